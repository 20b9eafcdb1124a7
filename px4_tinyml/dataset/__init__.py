"""Flight logs to labelled windows."""

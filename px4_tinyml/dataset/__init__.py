"""Flight logs to labelled windows."""

DEFAULT_EXAMPLES = 60_000
"""Examples of `dataset --inject`; here, where the help finds it without NumPy."""

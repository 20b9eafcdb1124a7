"""One log through every target, compared window by window."""

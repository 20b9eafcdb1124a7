"""px4-tinyml: flight logs into motion classifiers that run on the vehicle."""

__version__ = "0.1.0"

"""Logs into decisions: the classifier in Python."""

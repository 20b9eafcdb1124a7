"""The PX4 module."""

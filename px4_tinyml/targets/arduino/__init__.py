"""The Arduino sensor node."""

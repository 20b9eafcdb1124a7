"""A simulated vehicle that speaks MAVLink as PX4 does on an ONBOARD link."""

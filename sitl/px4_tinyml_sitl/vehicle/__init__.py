"""The simulated vehicle as a MAVLink peer: what PX4 speaks on an ONBOARD link, without PX4."""

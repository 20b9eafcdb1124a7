"""Simulated flights and vehicles: `simulate` writes logs, `px4` puts PX4 SITL in the loop, `vehicle` serves MAVLink."""

"""Live MAVLink: addresses, connections that come back, vehicles, recording."""

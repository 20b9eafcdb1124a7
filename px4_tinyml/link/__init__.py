"""Live MAVLink: addresses, reconnecting links, vehicles, recording."""

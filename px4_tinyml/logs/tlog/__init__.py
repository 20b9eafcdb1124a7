"""MAVLink telemetry logs (.tlog)."""

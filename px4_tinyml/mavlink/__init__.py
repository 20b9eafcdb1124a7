"""MAVLink frames: find, check, sign, decode into samples."""

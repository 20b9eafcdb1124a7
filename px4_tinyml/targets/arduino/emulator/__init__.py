"""The sensor node in an emulator: its sketch on a bare Cortex-M4F, behind a test double of the Arduino API."""

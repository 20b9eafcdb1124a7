"""ArduPilot dataflash logs (.bin)."""

"""Emulated Cortex-M4F and M7 (QEMU)."""

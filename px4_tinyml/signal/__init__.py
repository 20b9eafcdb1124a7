"""The signal path (docs/signal_path.md): samples, slots, windows, int8, decisions."""

"""Cost of a model on its target: instructions, flash, RAM, and the share of a processor (docs/bench.md)."""

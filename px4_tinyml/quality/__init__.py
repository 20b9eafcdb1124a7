"""How good a bundle is on real recordings: air that is known, vertical speed by references (docs/quality.md)."""

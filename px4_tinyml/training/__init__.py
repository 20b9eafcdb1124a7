"""Windows to a trained model, its physics baseline and its metrics."""

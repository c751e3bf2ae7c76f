"""Weights & Biases: the logger of a run, and the upload of finished ones."""

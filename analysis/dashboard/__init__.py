"""A Weights & Biases workspace and report of a suite."""

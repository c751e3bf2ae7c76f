"""Several devices, or machines, on one run: their processes, what these send one another, weights that are divided."""

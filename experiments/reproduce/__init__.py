"""Train a small suite again and compare every number with the committed ones."""

"""A suite followed in the terminal while it runs."""

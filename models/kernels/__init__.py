"""Parts computed faster than torch computes them; each is tested against its equation or its torch equivalent."""

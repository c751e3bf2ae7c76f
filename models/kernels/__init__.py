"""Fast implementations of network parts, each tested against its equation or torch's own implementation."""

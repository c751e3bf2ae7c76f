"""Generated long-range tasks, one per file."""

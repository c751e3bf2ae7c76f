"""Made-up records of every experiment."""

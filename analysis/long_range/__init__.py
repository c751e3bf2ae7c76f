"""Question 2 in the report: long range."""

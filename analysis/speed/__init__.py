"""Question 1 in the report: speed."""

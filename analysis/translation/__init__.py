"""Question 3 in the report: BLEU."""

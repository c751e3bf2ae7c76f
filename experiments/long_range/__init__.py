"""Question 2, long range: accuracy by gap and length, and probes of the trained networks."""

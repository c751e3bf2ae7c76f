"""Question 3, BLEU: translate, score, and look inside trained translation models."""

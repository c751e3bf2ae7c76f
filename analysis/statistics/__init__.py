"""Intervals, tests and BLEU resampling."""

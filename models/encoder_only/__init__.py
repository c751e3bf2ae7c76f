"""Encoders alone: a state for each source token, made from what is on both sides of it."""

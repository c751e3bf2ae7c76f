"""Texts for language models: a file of characters, and generated stories."""

"""Attention maps in words and pictures, for every experiment that keeps them."""

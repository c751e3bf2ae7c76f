"""Broken and hostile files for every reader."""

"""Carrying out the runs of a suite: on this machine, or on a Ray cluster."""

"""Speed bars: figures that the code must reach, each as a ratio or on a named machine."""

"""What is asked: configurations, the shared trainer, the run store and the suites."""

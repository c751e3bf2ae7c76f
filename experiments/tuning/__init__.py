"""The same number of trials for every model, judged on validation data."""

"""From the YAML of a suite to the runs it describes."""

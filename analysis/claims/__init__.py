"""The claims about recurrence and attention: rules, evidence, verdicts."""

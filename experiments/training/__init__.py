"""The trainer that all experiments share, and what keeps a run alive and exact."""

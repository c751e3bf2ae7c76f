"""What a run writes down: its folder, its one schema, its metrics and names. Imports nothing of the project."""

"""What a report is made of: blocks, figures, labels, templates."""

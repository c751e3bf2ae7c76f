"""What tests share: made-up records, tiny runs, a W&B server on this machine."""

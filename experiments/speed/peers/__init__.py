"""Speed of our models compared with JoeyNMT, torch.nn.Transformer and a textbook attention loop."""

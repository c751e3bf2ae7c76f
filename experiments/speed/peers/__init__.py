"""Speed of our models compared with JoeyNMT, torch.nn.Transformer, GPT-2 of transformers and textbook loops."""

"""How fast our models are beside others' code: JoeyNMT, torch.nn.Transformer and a textbook attention loop."""

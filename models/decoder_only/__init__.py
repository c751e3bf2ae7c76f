"""Networks without an encoder: source and target are one stream, and with an empty source a language model."""

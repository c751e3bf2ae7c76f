"""The English-German corpus that a grammar writes: no download needed."""

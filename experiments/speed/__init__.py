"""How fast the models train and decode: measured in alternation, in one process, against the machine's own peak."""

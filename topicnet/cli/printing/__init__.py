"""How results read on the terminal."""

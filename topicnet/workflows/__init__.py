"""The steps behind the commands: prepare a corpus, fit, transform, evaluate and export."""

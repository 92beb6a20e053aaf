"""One verb a file: the verbs of the command line."""

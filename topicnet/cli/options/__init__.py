"""Options and arguments of the commands, and their help texts."""

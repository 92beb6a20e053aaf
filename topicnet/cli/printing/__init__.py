"""Print results, progress and tables on the terminal."""

"""Printing of results, progress and tables on the terminal."""

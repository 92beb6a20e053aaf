"""Tokenisation: splitting documents into words, with the stop words and rules of each language."""

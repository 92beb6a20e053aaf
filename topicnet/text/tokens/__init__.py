"""Tokenise documents to words."""

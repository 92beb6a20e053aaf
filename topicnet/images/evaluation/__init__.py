"""Scores of image models."""

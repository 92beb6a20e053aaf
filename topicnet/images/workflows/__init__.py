"""Fit, compare, save and show image models."""

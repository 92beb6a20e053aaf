"""Experiments of many fits: comparisons of models, searches for the number of topics, and baselines."""

"""Scores of topics: numpy and scipy arrays in, numbers out."""

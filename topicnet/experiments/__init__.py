"""Experiments of many fits: comparisons of models, searches for the number of topics, and baselines.

A cell is one fit of an experiment: a model, its number of topics and its seed. Its scores are saved in the folder of
the experiment, so that an interrupted experiment can be resumed.
"""

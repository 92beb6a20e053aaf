"""Evaluation of fitted image models: bounds, aggregated posterior, categories, information and sample quality."""

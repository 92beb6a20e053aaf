"""topicnet: neural topic models on real text."""

__version__ = "0.1.0"

"""Scores of topic models, from arrays: coherence, diversity, perplexity, stability and agreement with labels."""

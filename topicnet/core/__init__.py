"""Building blocks in torch for text and image models: distributions, likelihoods, encoders, sparse batches."""

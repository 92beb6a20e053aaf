"""The image-VAE family."""

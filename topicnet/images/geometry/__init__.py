"""Geometry of the latent space of an image model: the metric of its decoder, geodesics between images, and views."""

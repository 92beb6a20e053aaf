"""PNG galleries and charts of image models."""

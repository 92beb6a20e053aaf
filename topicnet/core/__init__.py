"""Torch parts that know neither text nor images."""

"""Bytes on disk: atomic writes, formats, memory-mapped arrays and saved models."""

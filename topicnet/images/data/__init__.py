"""Readers of image files and folders (idx, npz, PNG, JPEG), and the splits into training, validation and test."""

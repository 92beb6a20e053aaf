"""Readers of image files and folders: idx (MNIST), npz and PNG, and the splits into training, validation and test."""

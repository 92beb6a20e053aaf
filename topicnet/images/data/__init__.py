"""Read images from files and folders."""

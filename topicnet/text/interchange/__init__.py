"""Read and write other tools' counts."""

"""Read and write the bag-of-words files of other tools: LDA-C, Matrix Market and SciPy NPZ."""

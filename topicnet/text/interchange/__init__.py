"""Exchange of word counts with other tools, in the formats LDA-C, Matrix Market and SciPy NPZ."""

"""Many fits: comparisons, searches for K and baselines."""

"""Image VAEs: the estimator, the table of variants and the parts that variants are built from."""

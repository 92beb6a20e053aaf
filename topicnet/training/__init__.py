"""Training loop with its optimiser, schedule, checkpoints and collapse checks."""

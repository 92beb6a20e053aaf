"""Jobs behind the `topicnet images` commands: fit, compare, save, load and show image models."""

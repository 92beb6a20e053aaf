"""Number of examples for property tests."""

import os

from hypothesis import settings

TIMES = int(os.environ.get("TOPICNET_EXAMPLES", "1"))  # multiplier for longer runs
BY_DEFAULT = 25


def examples(most: int) -> settings:
    """Return hypothesis settings with this number of examples."""
    return settings(max_examples=most * TIMES)

"""How many examples a property is tried on."""

import os

from hypothesis import settings

TIMES = int(os.environ.get("TOPICNET_EXAMPLES", "1"))  # a deeper run: so many times the examples of each property
BY_DEFAULT = 25


def examples(most: int) -> settings:
    """Settings of a property that is tried on another number of examples than by default."""
    return settings(max_examples=most * TIMES)

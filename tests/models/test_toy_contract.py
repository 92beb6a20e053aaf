"""What every model promises holds for one that was only just added."""

import pytest

from tests.models.test_contract import *  # noqa: F403
from tests.models.toy import Toy

pytestmark = pytest.mark.parametrize("kind", [Toy], ids=["toy"])

"""Short encoder warm-ups: they take most of a small fit, and few checks need an encoder that is warmed up well."""

import pytest

from topicnet.models import fitting


@pytest.fixture(autouse=True)
def short_warm_ups(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Warm encoders up for 20 steps, except in tests marked `full_warm_up`, which have to find topics."""
    if "full_warm_up" not in request.keywords:
        monkeypatch.setattr(fitting, "WARM_UP_STEPS", 20)
        monkeypatch.setattr(fitting, "RESEED_WARM_UP_STEPS", 20)

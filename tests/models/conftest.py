"""Fixture that shortens EM starts and encoder warm-ups, which take most of the time of a small fit."""

import pytest

from topicnet.models import fitting


@pytest.fixture(autouse=True)
def short_warm_ups(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Start with 20 passes and 10 warm-up steps, except in tests marked `full_warm_up`, which need good topics."""
    if "full_warm_up" not in request.keywords:
        monkeypatch.setattr(fitting, "EM_PASSES", 20)
        monkeypatch.setattr(fitting, "WARM_UP_STEPS", 10)
        monkeypatch.setattr(fitting, "RESEED_WARM_UP_STEPS", 10)

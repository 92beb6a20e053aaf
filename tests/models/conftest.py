"""Little teaching: most of a small fit is spent on it, and few checks need an encoder that has learned its lesson."""

import pytest

from topicnet.models import fitting


@pytest.fixture(autouse=True)
def little_teaching(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tenth of the steps, but for tests marked `taught`, where topics have to be found."""
    if "taught" not in request.keywords:
        monkeypatch.setattr(fitting, "WARM_UP_STEPS", 20)
        monkeypatch.setattr(fitting, "RESEED_WARM_UP_STEPS", 20)

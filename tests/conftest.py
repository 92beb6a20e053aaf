"""Fixtures, environment and hypothesis settings of the whole test suite."""

import gc
import os
from pathlib import Path

import pytest
from hypothesis import settings

# Tests run in one process per core, where more threads would mostly wait. Read when numpy and torch are imported.
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "TOPICNET_THREADS"):
    os.environ.setdefault(name, "1")
# Write compiled modules, because tests start many processes.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

pytest.register_assert_rewrite("tests.support")

from tests.support.examples import BY_DEFAULT, examples  # noqa: E402 - after registering its assertions

# No deadline: timings depend on other load and belong in benchmarks.
settings.register_profile("topicnet", examples(BY_DEFAULT), deadline=None)
settings.load_profile("topicnet")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the real corpora next to the checkout; skips the test with the reason if it does not exist."""
    folder = Path(os.environ.get("TOPICNET_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"needs the real corpora in {folder} (set TOPICNET_DATA to use another folder)")
    return folder


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name bytes by their length: gzip data contain the time, but all workers must agree on test names."""
    return f"{argname}-{len(val)}-bytes" if isinstance(val, bytes) else None


def pytest_collection_finish(session: pytest.Session) -> None:
    """Exclude imported modules from later garbage collections, which would traverse them each time."""
    gc.collect()
    gc.freeze()

"""Fixtures shared by the whole suite."""

import gc
import os
from pathlib import Path

import pytest
from hypothesis import settings

# A test process for each core: more threads would mostly wait for each other. Read when numpy and torch are imported.
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "TOPICNET_THREADS"):
    os.environ.setdefault(name, "1")
# Compiled modules are kept, for the many processes that tests start.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

pytest.register_assert_rewrite("tests.support")

from tests.support.examples import BY_DEFAULT, examples  # noqa: E402 - once its assertions are rewritten

# A busy machine is no failure: timings belong in benchmarks.
settings.register_profile("topicnet", examples(BY_DEFAULT), deadline=None)
settings.load_profile("topicnet")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real corpora that lies beside the checkout, or a skip that says why."""
    folder = Path(os.environ.get("TOPICNET_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"needs the real corpora in {folder} (set TOPICNET_DATA to name another place)")
    return folder


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Bytes are named by their length: they may hold the time, as gzip's do, and workers have to agree on all names."""
    return f"{argname}-{len(val)}-bytes" if isinstance(val, bytes) else None


def pytest_collection_finish(session: pytest.Session) -> None:
    """Leave what was imported out of all later garbage collections, which would walk through it again and again."""
    gc.collect()
    gc.freeze()

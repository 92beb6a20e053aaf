"""Forked processes: counts are fitted and transformed as in the parent, text is rejected at once."""

import os
import signal
from collections.abc import Callable

import polars as pl
import pytest

from tests.support.corpora import planted
from topicnet import ETM
from topicnet.errors import InputError
from topicnet.runtime.forking import check_can_use_polars, is_forked
from topicnet.text.corpus import Corpus

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")


def in_a_fork(holds: Callable[[], bool]) -> bool:
    """Evaluate a condition in a forked process, which is ended after a minute."""
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(60)
        try:
            os._exit(0 if holds() else 1)
        finally:
            os._exit(2)
    return os.waitpid(child, 0)[1] == 0


def test_counts_are_fitted_and_transformed_after_a_fork() -> None:
    counts, _ = planted(60, 30, 3, seed=0)

    def model() -> ETM:
        return ETM(3, max_epochs=1, init="random", random_state=0, device="cpu").fit(counts)

    fitted = model()
    theta = fitted.transform(counts)
    assert in_a_fork(lambda: is_forked() and bool((fitted.transform(counts) == theta).all()))
    assert in_a_fork(lambda: bool((model().components_ == fitted.components_).all()))
    assert not is_forked()


def test_text_is_rejected_after_a_fork() -> None:
    pl.Series(["word"]).str.extract_all("o")  # starts the threads of polars
    check_can_use_polars()

    def refused() -> bool:
        try:
            Corpus.from_texts(["planet orbit", "planet comet"])
        except InputError as error:
            return "a forked process cannot" in str(error) and "spawn" in str(error)
        return False

    assert in_a_fork(refused)

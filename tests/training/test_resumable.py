"""The folder of an unfinished fit: Ctrl-C leaves what was saved, and says so; if nothing was, it leaves nothing."""

import pytest
import torch

from topicnet import cli
from topicnet.cli.commands import corpora, experiments, images  # noqa: F401 - their commands are in the app before it is replaced
from topicnet.errors import StoppedError
from topicnet.training.checkpoint import Checkpoints, Saved
from topicnet.training.resumable import unfinished_fit


def broken_off(target, *, save, resume=False):
    """A fit that is broken off in its middle, before or after it saved something."""
    with unfinished_fit(target, {"seed": 1}, overwrite=False, resume=resume) as fit:
        if save:
            Checkpoints(fit.checkpoints, {"model": "ETM"}, 0.0).save(Saved({"w": torch.ones(2)}, {"epoch": 1}))
        raise KeyboardInterrupt


def test_what_was_saved_is_kept_and_told(tmp_path):
    with pytest.raises(StoppedError, match=r"run' was not written, but what was learned is kept.* --resume goes on"):
        broken_off(tmp_path / "run", save=True)
    assert [path.name for path in tmp_path.iterdir()] == ["run.unfinished"]
    with pytest.raises(StoppedError):  # once more, while it goes on
        broken_off(tmp_path / "run", save=False, resume=True)
    with unfinished_fit(tmp_path / "run", {"seed": 1}, overwrite=False, resume=True) as fit:
        assert fit.saved


def test_nothing_saved_leaves_nothing(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        broken_off(tmp_path / "run", save=False)
    assert list(tmp_path.iterdir()) == []


def test_the_command_line_says_it_in_one_line_with_the_status_of_an_interrupt(monkeypatch, capsys):
    def stopped(*given, **options):
        raise StoppedError("interrupted; what was learned is kept")

    assert cli.run(["--version"]) == 0  # every command has joined the app before it is replaced
    monkeypatch.setattr("topicnet.cli.app.app", stopped)
    assert cli.run(["fit"]) == 130
    assert capsys.readouterr().err == "topicnet: interrupted; what was learned is kept\n"

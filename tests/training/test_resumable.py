"""Working folder of an unfinished fit: Ctrl-C keeps checkpoints and reports them; without any, it leaves nothing."""

import pytest
import torch

from topicnet import cli
from topicnet.cli.commands import corpora, experiments, images  # noqa: F401 - their commands are in the app before it is replaced
from topicnet.errors import StoppedError
from topicnet.training.checkpoint import Checkpoints, Saved
from topicnet.training.resumable import unfinished_fit


def interrupted_fit(target, *, save, resume=False):
    """Run a fit that is interrupted before or after it saved a checkpoint."""
    with unfinished_fit(target, {"seed": 1}, overwrite=False, resume=resume) as fit:
        if save:
            Checkpoints(fit.checkpoints, {"model": "ETM"}, 0.0).save(Saved({"w": torch.ones(2)}, {"epoch": 1}))
        raise KeyboardInterrupt


def test_a_saved_checkpoint_is_kept_and_reported(tmp_path):
    with pytest.raises(StoppedError, match=r"run' was not written, but its last checkpoint is kept.* --resume"):
        interrupted_fit(tmp_path / "run", save=True)
    assert [path.name for path in tmp_path.iterdir()] == ["run.unfinished"]
    with pytest.raises(StoppedError):  # interrupted again after resuming
        interrupted_fit(tmp_path / "run", save=False, resume=True)
    with unfinished_fit(tmp_path / "run", {"seed": 1}, overwrite=False, resume=True) as fit:
        assert fit.saved


def test_without_a_checkpoint_nothing_is_left(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        interrupted_fit(tmp_path / "run", save=False)
    assert list(tmp_path.iterdir()) == []


def test_the_command_line_reports_it_in_one_line_and_exits_with_130(monkeypatch, capsys):
    def stopped(*given, **options):
        raise StoppedError("interrupted; what was learned is kept")

    assert cli.run(["--version"]) == 0  # registers every command before the app is replaced
    monkeypatch.setattr("topicnet.cli.app.app", stopped)
    assert cli.run(["fit"]) == 130
    assert capsys.readouterr().err == "topicnet: interrupted; what was learned is kept\n"

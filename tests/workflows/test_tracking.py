"""The adapters of docs/how-to/tracking.md, run as they are written there."""

import re
import sys
import types
from pathlib import Path

import pytest

from tests.support.corpora import texts

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "tracking.md"
OPTIONS = {
    "n_topics": 3, "max_df": 1.0, "hidden_dim": 8, "embedding_dim": 4, "max_epochs": 2, "init": "random",
    "device": "cpu",
}  # fmt: skip


def block_of(function: str) -> str:
    blocks = re.findall(r"^```python norun\n(.*?)^```", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    return next(block for block in blocks if f"def {function}(" in block)


class Recorder(types.ModuleType):
    """A substitute for a tracker that records every call of its functions and of the objects that they return."""

    def __init__(self, name: str, calls: list) -> None:
        super().__init__(name)
        self.calls = calls

    def __getattr__(self, name: str):
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *given, **named: self._noted(name, given, named)

    def _noted(self, name, given, named):
        self.calls.append((name, given, named))
        return self

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.calls.append(("exit", error, {}))

    @property
    def summary(self):
        return self


@pytest.mark.parametrize(
    ("module", "function", "log"), [("mlflow", "fit_with_mlflow", "log_metrics"), ("wandb", "fit_with_wandb", "log")]
)
def test_an_adapter_records_every_epoch_and_the_run(
    module: str, function: str, log: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list = []
    monkeypatch.setitem(sys.modules, module, Recorder(module, calls))
    monkeypatch.chdir(tmp_path)
    source = block_of(function)
    assert len([line for line in source.splitlines() if line.strip()]) <= 13
    names: dict = {}
    exec(compile(source, str(PAGE), "exec"), names)
    run = names[function](texts(), **OPTIONS, seeds=2)
    epochs = [(named["step"], given[0]) for name, given, named in calls if name == log and "step" in named]
    assert [(step, losses["seed"]) for step, losses in epochs] == [(1, 0), (2, 0), (3, 1), (4, 1)]
    best = [losses["loss"] for _, losses in epochs if losses["seed"] == run.model.random_state]
    assert best == [row["loss"] for row in run.model.history_]
    assert ("exit", (None, None, None), {}) in calls
    assert (tmp_path / "runs" / "tracked" / "run.json").is_file()
    assert any(str(OPTIONS["n_topics"]) in str(call) for call in calls)

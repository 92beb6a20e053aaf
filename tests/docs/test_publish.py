"""Benchmarks publish their tables with command, commit, machine, versions and date."""

import json

import pytest

from tests.support.scripts import load_script

TABLE = """Some words.

| system | NPMI |
|---|---|
| etm | 0.25 ± 0.01 |
| lda |  |

| words | seconds |
|---|---|
| 100 | 1.0 |
"""


@pytest.fixture
def publish(tmp_path, monkeypatch):
    module = load_script("benchmarks/publish.py")
    monkeypatch.setattr(module, "RESULTS", tmp_path)
    arguments = ["/somewhere/benchmarks/models.py", "--data", "/corpora", "--seeds", "3", "--publish", "models"]
    monkeypatch.setattr("sys.argv", arguments)
    return module


def test_each_markdown_table_is_published(publish, tmp_path):
    written = publish.publish_markdown("models-20ng", "Models", TABLE)
    assert written == [tmp_path / "models-20ng.json", tmp_path / "models-20ng-2.json"]
    first, second = (json.loads(path.read_text("utf-8")) for path in written)
    assert first["columns"] == ["system", "NPMI"]
    assert first["rows"] == [["etm", "0.25 ± 0.01"], ["lda", ""]]
    assert second["rows"] == [["100", "1.0"]]
    assert first["command"] == "python benchmarks/models.py --seeds 3"
    assert first["versions"]["Python"].startswith("3.")
    assert first["commit_is"] in ("measured", None)


def test_rows_need_a_cell_for_each_column(publish):
    with pytest.raises(ValueError, match="a cell for each"):
        publish.publish("models", "Models", ["system", "NPMI"], [["etm"]])
    with pytest.raises(ValueError, match="lower-case"):
        publish.publish("Models", "Models", ["system"], [["etm"]])

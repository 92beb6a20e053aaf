"""The smaller core: English text needs no extra, and each feature names the extra that it needs."""

import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from tests.support.corpora import texts
from topicnet.errors import CorpusError, InputError
from topicnet.runtime.extras import DISTRIBUTION, EXTRAS, check_installed, import_extra, is_installed

ROOT = Path(__file__).resolve().parents[2]
# Run commands one after the other in a process in which no optional library can be imported.
BLOCKED = """
import contextlib, importlib.abc, io, json, sys

class Blocked(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in json.loads(sys.argv[1]):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocked())
from topicnet import cli
for arguments in json.loads(sys.argv[2]):
    out, messages = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(messages):
        status = cli.run(arguments)
    print(json.dumps([status, messages.getvalue(), sorted({"torch"} & set(sys.modules))]))
"""
# torch's own optional imports of these are none of ours.
MODULES = sorted(EXTRAS)


def run_blocked(commands: list[list[str]], cwd: Path) -> list[tuple[int, str, list[str]]]:
    done = subprocess.run(
        [sys.executable, "-P", "-c", BLOCKED, json.dumps(MODULES), json.dumps(commands)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [tuple(json.loads(line)) for line in done.stdout.splitlines()]


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def names_of(requirements: list[str]) -> set[str]:
    return {re.split(r"[\[<>=~! ]", one)[0].lower() for one in requirements}


@pytest.mark.parametrize("module", EXTRAS)
def test_every_extra_of_a_message_installs_its_library(module: str) -> None:
    library, extra = EXTRAS[module]
    assert library.lower() in names_of(project()["optional-dependencies"][extra])
    assert library.lower() not in names_of(project()["dependencies"])


def test_all_holds_every_extra_for_users_but_ray_and_lda() -> None:
    extras = project()["optional-dependencies"]
    (everything,) = extras["all"]
    named = set(everything.partition("[")[2].rstrip("]").split(","))
    (languages,) = extras["languages"]
    assert set(languages.partition("[")[2].rstrip("]").split(",")) == {"lemmas", "zh", "ja", "ko"}
    assert named == set(extras) - {"all", "bench", "dev", "docs", "lda", "ray", "lemmas", "zh", "ja", "ko"}
    assert project()["name"] == DISTRIBUTION


def test_a_missing_library_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fastexcel", None)
    message = r"^reading a\.xlsx needs fastexcel, which is not installed: pip install 'topicnet-neural\[excel\]'$"
    assert not is_installed("fastexcel")
    with pytest.raises(InputError, match=message):
        check_installed("reading a.xlsx", ["fastexcel"])
    with pytest.raises(CorpusError, match=message):
        import_extra("reading a.xlsx", "fastexcel", CorpusError)


def test_english_needs_no_extra_and_every_feature_names_its_own(tmp_path: Path) -> None:
    (tmp_path / "corpus.txt").write_text("\n".join(texts()), "utf-8")
    for name in ("a.xlsx", "a.ods", "a.duckdb", "a.jsonl.zst", "pages/a.pdf", "pages/b.docx"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a.png").write_bytes(b"x")
    fit = ["fit", "corpus.txt", "--max-df", "1.0", "-k", "3", "--epochs", "1", "--init", "random", "--quiet"]
    refused = {
        ("a.xlsx",): "excel", ("corpus.txt", "a.ods"): "excel", ("a.duckdb",): "duckdb", ("a.jsonl.zst",): "zstd",
        ("pages",): "documents", ("pages/b.docx",): "documents", ("corpus.txt", "--lang", "zh"): "zh",
        ("corpus.txt", "--lang", "ja"): "ja", ("corpus.txt", "--lang", "ko"): "ko",
        ("corpus.txt", "--lemmatize"): "lemmas", ("m10",): "corpora", ("corpus.txt", "--engine", "ray"): "ray",
    }  # fmt: skip
    others = {
        ("compare", "corpus.txt", "--models", "lda-tomotopy"): "lda", ("tune", "corpus.txt"): "tune",
        ("images", "fit", "--data", "pictures"): "images",
    }  # fmt: skip
    commands = [["fit", *given, "--out", "no"] for given in refused] + [list(given) for given in others]
    found = run_blocked([*commands, [*fit, "--out", "run"], ["topics", "run"]], tmp_path)
    for command, extra, (status, message, loaded) in zip(
        commands, [*refused.values(), *others.values()], found[:-2], strict=True
    ):
        assert (status, loaded) == (2, []), (command, message)
        assert message.startswith("topicnet: "), command
        assert message.endswith(f"which is not installed: pip install 'topicnet-neural[{extra}]'\n"), command
        assert message.count("\n") == 1
    for status, message, _ in found[-2:]:
        assert (status, message) == (0, "")
    assert (tmp_path / "run" / "run.json").is_file()
    assert not (tmp_path / "no").exists()


def test_an_archive_of_texts_needs_no_extra(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for number, text in enumerate(texts()):
            archive.writestr(f"{number}.txt", text)
    ((status, message, _),) = run_blocked([["prepare", "a.zip", "--out", "counts", "--quiet"]], tmp_path)
    assert (status, message) == (0, "")

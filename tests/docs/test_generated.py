"""Generated pages and tables of the documentation are current."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import topicnet
import topicnet.images
import topicnet.images.gibbs
from tests.support.scripts import load_script

ROOT = Path(__file__).resolve().parents[2]
RESULTS = sorted((ROOT / "benchmarks" / "results").glob("*.json"))


@pytest.fixture(scope="module")
def generate_docs():
    return load_script("tools/generate_docs.py")


def test_generated_pages_are_current():
    # In a process of this test: the options of commands list the models registered when they were imported.
    command = [sys.executable, "tools/generate_docs.py", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"run python tools/generate_docs.py: outdated are {done.stdout}{done.stderr}"


def test_a_table_that_differs_from_its_results_is_refused(generate_docs):
    page = (ROOT / "docs" / "benchmarks" / "models.md").read_text("utf-8")
    assert generate_docs.with_tables(page) == page
    changed = page.replace("0.333\u00a0±\u00a00.006", "0.334\u00a0±\u00a00.006")
    assert changed != page
    assert generate_docs.with_tables(changed) == page


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_results_are_complete(path):
    found = json.loads(path.read_text("utf-8"))
    assert list(found) == [
        "title", "command", "commit", "commit_is", "date", "machine", "versions", "columns", "rows",
    ]  # fmt: skip
    assert found["commit_is"] in ("measured", "recorded", None)
    assert len(set(found["columns"])) == len(found["columns"])
    assert all(len(row) == len(found["columns"]) for row in found["rows"])
    assert all(isinstance(cell, str) for row in found["rows"] for cell in row)


def test_every_result_is_shown_and_every_table_has_results(generate_docs):
    pages = {page.name: page.read_text("utf-8") for page in generate_docs.pages_with_tables()}
    shown = {match["name"]: name for name, page in pages.items() for match in generate_docs.BLOCK.finditer(page)}
    known = {path.stem for path in RESULTS}
    assert not known - shown.keys(), "results that no page shows"
    assert not shown.keys() - known, (
        f"tables without results in {sorted({shown[name] for name in shown.keys() - known})}"
    )


def test_pages_of_benchmarks_hold_no_other_table(generate_docs):
    for page in sorted((ROOT / "docs" / "benchmarks").glob("*.md")):
        if page.name == "index.md":  # describes the result files
            continue
        rest = generate_docs.BLOCK.sub("", page.read_text("utf-8"))
        assert not [line for line in rest.splitlines() if line.startswith("|")], page.name


def test_some_columns_of_a_result_can_be_shown(generate_docs):
    text = generate_docs.with_tables("<!-- table: models-20ng | system; NPMI -->\nold\n<!-- /table -->\n")
    assert text.splitlines()[2] == "| system | NPMI |"
    assert text.splitlines()[4] == "| the EM start alone | 0.240\u00a0±\u00a00.002 |"
    assert "Data:" not in text


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("Words to show.  [default: 10; x>=1]", "Words to show. *Default: 10.* *Range: `x>=1`.*"),
        ("A run.  [required]", "A run. *Required.*"),
        ("Unit.  [default: line; of several files, file]", "Unit. *Default: line; of several files, file.*"),
        ("Samples.  [default: 64; 1<=x<=100]", "Samples. *Default: 64.* *Range: `1<=x<=100`.*"),
        ("Values such as [1, 2] or a_b.", r"Values such as \[1, 2\] or a\_b."),
    ],
)
def test_help_becomes_markdown(generate_docs, given, shown):
    assert generate_docs.described(given) == shown


def spans(page: str) -> set[str]:
    return set(re.findall(r"`[^`\n]+`", page))


def test_every_public_name_is_in_the_reference():
    text = "\n".join(page.read_text("utf-8") for page in (ROOT / "docs" / "reference" / "python").glob("*.md"))
    documented = set(re.findall(r"\.\. auto\w+:: (?:[\w.]+\.)?(\w+)", text)) | set(re.findall(r"`[\w.]+\.(\w+)`", text))
    packages = (topicnet, topicnet.images, topicnet.images.gibbs)
    for package in (*packages, topicnet.geometry, topicnet.transport, topicnet.explore):
        assert not set(package.__all__) - documented - {"__version__"}, package.__name__
    stability = (ROOT / "docs" / "reference" / "stability.md").read_text("utf-8")
    elsewhere = re.findall(r"\.\. auto(?:class|function):: (topicnet\.(?!images)[\w.]+)\.(\w+)", text)
    assert not [(module, name) for module, name in elsewhere if not {f"`{module}`", f"`{name}`"} <= spans(stability)]
    modules = {path.stem for path in (ROOT / "topicnet" / "evaluate").glob("*.py")}
    internal = {"__init__", "checks", "measures"}
    assert not {name for name in modules - internal if f"topicnet.evaluate.{name}\n" not in text}

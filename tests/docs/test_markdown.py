"""Markdown pages read well without the site: links have a text, and the README is short and complete."""

import json
import re
from pathlib import Path

import pytest

from topicnet.text.tokens.languages import known_languages

ROOT = Path(__file__).resolve().parents[2]
PAGES = [path for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")] if "_build" not in path.parts]
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))
README = (ROOT / "README.md").read_text("utf-8")


def links_without_text(page: str) -> list[str]:
    """Links `[](target)`, which are invisible on GitHub."""
    return re.findall(r"(?<!!)\[\s*\]\([^)]*\)", page)


@pytest.mark.parametrize("path", [*PAGES, *NOTEBOOKS], ids=lambda path: str(path.relative_to(ROOT)))
def test_links_have_a_text(path):
    page = path.read_text("utf-8")
    if path.suffix == ".ipynb":
        page = "\n".join("".join(cell["source"]) for cell in json.loads(page)["cells"])
    assert not links_without_text(page)


def test_a_link_without_text_is_found():
    assert links_without_text("See [](how-to/index.md), [guides](how-to/index.md) and ![](a.svg).") == [
        "[](how-to/index.md)"
    ]


def missing_targets(page: str) -> list[str]:
    """Relative links and code spans of the README that name no file of the repository."""
    links = [target.split("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", page) if "://" not in target]
    paths = re.findall(r"`((?:docs|tools|benchmarks|configs|corpora|tests|topicnet)/[\w./-]+)`", page)
    return [target for target in [*links, *paths] if target and not (ROOT / target).exists()]


def test_the_readme_fits_in_6000_bytes():
    assert len(README.encode()) <= 6000


def test_links_and_paths_of_the_readme_exist():
    assert missing_targets(README) == []


def test_the_readme_counts_the_languages_rightly():
    (number,) = re.findall(r"in (\d+)\s+languages", README)
    assert int(number) == len(known_languages())


def test_make_targets_of_the_readme_exist():
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"^([\w-]+):", makefile, re.MULTILINE))
    named = set(re.findall(r"(?:\$ |`)make ([\w-]+)", README))
    assert named
    assert named <= targets


def test_missing_targets_are_found():
    page = "[a](docs/strat.md), [b](docs/start.md#fit), ![c](topic.svg), `tools/none.py`, <https://example.org>"
    assert missing_targets(page) == ["docs/strat.md", "topic.svg", "tools/none.py"]


def test_measured_figures_of_the_readme_are_in_a_marked_table():
    block = re.compile(r"<!-- table: (?P<name>[\w-]+)[^\n]* -->\n(?P<body>.*?)<!-- /table -->", re.DOTALL)
    assert [match["name"] for match in block.finditer(README)] == ["peers-20ng-text"]
    rest = [line for line in block.sub("", README).splitlines() if line.startswith("|")]
    assert rest[0].startswith("| `--model` |")
    assert not [line for line in rest if re.search(r"\d\.\d", line)], "figures outside of the marked table"


def test_the_package_refers_to_pages_that_exist():
    for path in sorted((ROOT / "topicnet").rglob("*.py")):
        source = path.read_text("utf-8")
        assert "README," not in source, f"{path} names a section of the README: name a page of docs/"
        missing = [page for page in re.findall(r"\bdocs/[\w./-]+\.md", source) if not (ROOT / page).exists()]
        assert not missing, path

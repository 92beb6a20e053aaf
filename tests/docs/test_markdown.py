"""Markdown pages read well without the site: links have a text, and the README is short and complete."""

import json
import re
from pathlib import Path

import pytest

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

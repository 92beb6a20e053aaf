"""The files around the package agree with it: citation, changelog, container, names."""

import re
import subprocess
import tomllib
from datetime import date
from importlib.metadata import entry_points
from pathlib import Path

import pytest
import yaml

import topicnet
from topicnet.runtime.extras import DISTRIBUTION

ROOT = Path(__file__).resolve().parent.parent


def test_the_citation_is_that_of_this_version() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert cited["cff-version"] == "1.2.0"
    assert {"message", "title", "authors", "version", "license"} <= set(cited)
    assert cited["version"] == topicnet.__version__
    assert isinstance(cited["date-released"], date)
    assert all({"name"} <= set(one) or {"family-names", "given-names"} <= set(one) for one in cited["authors"])
    released = re.search(rf"^## \[{re.escape(cited['version'])}\] - (\S+)$", changelog(), re.MULTILINE)
    assert released is not None
    assert released[1] == cited["date-released"].isoformat()


def changelog() -> str:
    return (ROOT / "CHANGELOG.md").read_text("utf-8")


def test_the_changelog_keeps_its_form() -> None:
    headings = re.findall(r"^(#{1,3}) (.+)$", changelog(), re.MULTILINE)
    versions = [title for level, title in headings if level == "##"]
    assert all(re.fullmatch(r"\[Unreleased\]|\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", title) for title in versions)
    kinds = {title for level, title in headings if level == "###"}
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def test_the_command_and_the_package_keep_their_name() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["name"] == DISTRIBUTION
    assert project["scripts"] == {"topicnet": "topicnet.cli:main"}
    found = [one for one in entry_points(group="console_scripts") if one.name == "topicnet"]
    assert all(one.value == "topicnet.cli:main" for one in found)


@pytest.mark.parametrize("stage", [0, 1])
def test_the_container_copies_files_that_are_there(stage: int) -> None:
    stages = re.split(r"^FROM ", (ROOT / "Dockerfile").read_text("utf-8"), flags=re.MULTILINE)[1:]
    assert len(stages) == 2
    for sources in re.findall(r"^COPY (?!--from)(.+) \S+$", stages[stage], re.MULTILINE):
        for source in sources.split():
            assert (ROOT / source).exists()
            assert f"!{source}\n" in (ROOT / ".dockerignore").read_text("utf-8")


@pytest.mark.parametrize(
    ("extras", "wanted"), [("", "a.whl"), ("all", "a.whl[all]"), ("excel,lda", "a.whl[excel,lda]")]
)
def test_the_container_takes_any_extras_or_none(extras: str, wanted: str) -> None:
    (target,) = re.findall(
        r'pip install --constraint \S+ ("\$\{wheel\}.*")$', (ROOT / "Dockerfile").read_text("utf-8"), re.M
    )
    variables = {"wheel": "a.whl", "EXTRAS": extras}
    assert subprocess.check_output(["sh", "-c", f"printf %s {target}"], env=variables, text=True) == wanted


def test_the_container_runs_without_root() -> None:
    last = (ROOT / "Dockerfile").read_text("utf-8").rpartition("\nFROM ")[2]
    users = re.findall(r"^USER (\S+)$", last, re.MULTILINE)
    assert users
    assert not {"root", "0"} & set(users)
    assert 'ENTRYPOINT ["topicnet"]' in last
    assert last.index("USER ") < last.index("ENTRYPOINT")

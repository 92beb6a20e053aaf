"""The shape of the design: imports point one way, heavy libraries stay where they belong."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "topicnet"
TESTS = Path(__file__).resolve().parent
# A part may import the parts of lower layers, and its own. `errors` and `files` may be imported by all.
ALLOWED = {
    "errors": set(),
    "files": set(),
    "ahead": set(),
    "model_folder": set(),
    "blocks": set(),
    "config": set(),
    "text": set(),
    "evaluate": set(),
    "core": set(),
    "models": {"core"},
    "images": {"core", "model_folder"},
    "bundle": {"model_folder", "models", "text"},
    "tables": {"bundle", "text", "evaluate"},
    "results": {"bundle", "tables", "models", "text", "evaluate"},
    "scorecard": {"text", "evaluate"},
    "baselines": {"core", "evaluate"},
    "pipeline": {"config", "text"},
    "sources": {"pipeline", "config", "text"},
    "record": {"config", "models", "core", "text", "evaluate", "scorecard"},
    "word_vectors": {"config", "models", "text"},
    "preparing": {"pipeline", "config", "sources", "text"},
    "exports": {"bundle", "config", "core", "models", "results", "sources", "tables", "text"},
    "room": {"config", "models", "sources", "text"},
    "learning": {"bundle", "config", "core", "models", "sources", "text", "word_vectors"},
    "on_ray": {"bundle", "config", "core", "learning", "models", "sources", "text"},
    "run": {
        "learning",
        "room",
        "pipeline",
        "record",
        "results",
        "bundle",
        "tables",
        "config",
        "models",
        "core",
        "text",
        "evaluate",
        "scorecard",
        "sources",
    },
    "along": {"learning", "sources", "config", "core"},
    "evaluation": {"exports", "results", "bundle", "config", "sources", "scorecard", "text", "evaluate"},
    "worker": {"baselines", "models", "record", "scorecard", "text"},
    "figures": set(),
    "workspace": {"learning", "worker", "scorecard", "sources", "config", "core", "text"},
    "experiments": {
        "workspace",
        "worker",
        "figures",
        "run",
        "baselines",
        "models",
        "scorecard",
        "sources",
        "config",
        "core",
        "text",
        "evaluate",
    },
    "curve": {"scorecard", "evaluate"},
    "tuning": {
        "curve",
        "workspace",
        "worker",
        "figures",
        "models",
        "scorecard",
        "sources",
        "config",
        "text",
        "evaluate",
    },
    "cli": {
        "model_folder",
        "along",
        "learning",
        "on_ray",
        "experiments",
        "tuning",
        "evaluation",
        "preparing",
        "exports",
        "run",
        "sources",
        "results",
        "config",
        "models",
        "images",
        "core",
        "text",
    },
    "__init__": {"models", "results", "run", "text"},
    "__main__": {"cli"},
}
EVERYWHERE = {"errors", "files", "blocks", "ahead"}
FORBIDDEN = {
    "text": {"torch", "pandas.core"},
    "evaluate": {"torch", "sklearn", "pandas", "polars"},
    "core": {"pandas", "polars", "gensim", "typer", "rich"},
    "models": {"pandas", "polars", "typer", "rich"},
    "errors": {"torch", "numpy", "polars"},
}
FILES = sorted(PACKAGE.rglob("*.py"))


def part_of(path: Path) -> str:
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def imported(path: Path) -> list[str]:
    names = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: relative import"
            names += [node.module or ""]
            if node.module == "topicnet":
                names += [f"topicnet.{alias.name}" for alias in node.names]
    return names


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_one_way(path):
    part = part_of(path)
    ours = {name.split(".")[1] for name in imported(path) if name.startswith("topicnet.") and name != "topicnet"}
    ours -= {"__version__"}
    allowed = ALLOWED[part] | EVERYWHERE | {part}
    assert ours <= allowed, f"{part} may not import {ours - allowed}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_heavy_libraries_stay_where_they_belong(path):
    foreign = {name.split(".")[0] for name in imported(path)}
    if path.name == "downstream.py":  # classifiers on theta are scikit-learn's
        foreign -= {"sklearn"}
    assert not foreign & FORBIDDEN.get(part_of(path), set())


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_nothing_executes_what_it_loads(path):
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called not in {"eval", "exec", "torch.load", "yaml.load", "pickle.load", "pickle.loads"}
            if called == "torch.manual_seed":
                assert path.name == "seeding.py"
            assert called != "np.random.seed"


def test_files_can_be_read_in_one_sitting():
    long = {path.name: n for path in FILES if (n := path.read_text("utf-8").count("\n")) > 400}
    assert not long


@pytest.mark.parametrize("path", sorted(TESTS.rglob("*.py")), ids=lambda path: str(path.relative_to(TESTS)))
def test_tests_import_shared_builders_from_support_alone(path):
    ours = {name for name in imported(path) if name.split(".")[0] in {"tests", "conftest"}}
    assert all(name.startswith("tests.support.") for name in ours), ours

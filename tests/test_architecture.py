"""Architecture: imports point one way, heavy libraries are confined to some packages, functions are short."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "topicnet"
TESTS = Path(__file__).resolve().parent
# A package may import itself, the packages in its row, and everything that these may import. Every package may import
# `errors` and `_version`. Each package of the tree has a row.
ALLOWED = {
    "errors": set(),
    "_version": set(),
    "runtime": set(),
    "storage": {"runtime.memory"},
    "text": {"storage", "runtime"},
    "evaluate": {"storage", "runtime"},
    "core": {"storage", "runtime"},
    "training": {"core"},
    "models": {"training", "core"},
    "images": {"training", "core"},
    "workflows": {"models", "text", "evaluate"},
    "experiments": {"workflows"},
    "explore": {"workflows"},
    "cli": {"experiments", "explore", "images"},
    "__init__": {"explore"},
    "__main__": {"cli"},
}
EVERYWHERE = {"errors", "_version"}
FORBIDDEN = {
    "errors": {"torch", "numpy", "polars"},
    "runtime": {"pandas", "polars", "gensim", "typer", "rich"},
    "text": {"torch"},
    "evaluate": {"torch", "sklearn", "pandas", "polars"},
    "core": {"pandas", "polars", "gensim", "typer", "rich"},
    "training": {"pandas", "polars", "gensim", "typer", "rich"},
    "models": {"pandas", "polars", "typer", "rich"},
}
LONGEST_FUNCTION = 60  # lines, from `def` to the end, without the docstring


def files_of(package):
    return [path for path in sorted(PACKAGE.rglob("*.py")) if part_of(path) == package]


def part_of(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path):
    """Return the full names that a file imports; `from a import b` gives a.b."""
    names = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: relative import"
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return names


def importable(package):
    """Return the packages that a package may import, directly or through others."""
    row = ALLOWED.get(package, set())
    return {package} | EVERYWHERE | row.union(*map(importable, row))


def test_every_package_has_a_row():
    here = {part_of(path) for path in PACKAGE.rglob("*.py")}
    assert here == set(ALLOWED)
    assert {path.stem for path in PACKAGE.glob("*.py")} == {"__init__", "__main__", "_version", "errors"}


@pytest.mark.parametrize("package", ALLOWED)
def test_imports_point_one_way(package):
    allowed = tuple(f"topicnet.{name}." for name in importable(package))
    wrong = [
        f"{path.relative_to(PACKAGE)} imports {name}"
        for path in files_of(package)
        for name in imported(path)
        if name.split(".")[0] == "topicnet" and not f"{name}.".startswith(allowed)
    ]
    assert not wrong


@pytest.mark.parametrize("package", FORBIDDEN)
def test_heavy_libraries_stay_where_they_belong(package):
    for path in files_of(package):
        foreign = {name.split(".")[0] for name in imported(path)}
        if path.name == "downstream.py":  # classifiers on theta are scikit-learn's
            foreign -= {"sklearn"}
        assert not foreign & FORBIDDEN[package], path.relative_to(PACKAGE)


@pytest.mark.parametrize("package", ALLOWED)
def test_no_module_executes_loaded_data(package):
    for path in files_of(package):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                assert called not in {"eval", "exec", "torch.load", "yaml.load", "pickle.load", "pickle.loads"}
                if called == "torch.manual_seed":
                    assert path.name == "seeding.py"
                assert called != "np.random.seed"


@pytest.mark.parametrize("package", ALLOWED)
def test_functions_are_short(package):
    long = {
        f"{path.relative_to(PACKAGE)}: {node.name}": n_lines
        for path in files_of(package)
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (n_lines := length(node)) > LONGEST_FUNCTION
    }
    assert not long


def length(function):
    """Count the lines of a function without its docstring."""
    docstring = function.body[0] if ast.get_docstring(function) is not None else None
    lines = function.end_lineno - function.lineno + 1
    return lines - (docstring.end_lineno - docstring.lineno + 1 if docstring else 0)


def test_tests_import_shared_builders_only_from_support():
    wrong = [
        f"{path.relative_to(TESTS)} imports {name}"
        for path in sorted(TESTS.rglob("*.py"))
        for name in imported(path)
        if name.split(".")[0] in {"tests", "conftest"} and not name.startswith("tests.support.")
    ]
    assert not wrong

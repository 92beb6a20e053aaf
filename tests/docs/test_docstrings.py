"""Docstrings of the public interface: complete numpydoc, and examples that run."""

import doctest
import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

import topicnet
import topicnet.errors
import topicnet.evaluate
import topicnet.images
import topicnet.images.gibbs

# numpydoc's checks: parameters missing, unknown or in another order, without type or description; returns and raises
# without description; no summary; no docstring.
CHECKS = {"GL08", "SS01", "PR01", "PR02", "PR03", "PR04", "PR07", "PR10", "RT01", "RT03"}


def evaluate_modules() -> list[ModuleType]:
    names = [module.name for module in pkgutil.iter_modules(topicnet.evaluate.__path__, "topicnet.evaluate.")]
    return [importlib.import_module(name) for name in names]


def own(module: ModuleType) -> Iterator[tuple[str, Any]]:
    """Public classes and functions that a module defines."""
    for name, value in vars(module).items():
        defined_here = getattr(value, "__module__", None) == module.__name__
        if not name.startswith("_") and defined_here and (inspect.isclass(value) or inspect.isfunction(value)):
            yield f"{module.__name__}.{name}", value


def public() -> dict[str, Any]:
    """Public classes and functions by the names that users import."""
    found: dict[str, Any] = {}
    packages = (topicnet, topicnet.images, topicnet.images.gibbs)
    for package in (*packages, topicnet.geometry, topicnet.transport, topicnet.explore):
        for name in package.__all__:
            value = getattr(package, name)
            if inspect.isclass(value) or inspect.isfunction(value):
                found[f"{package.__name__}.{name}"] = value
    for module in [*evaluate_modules(), topicnet.errors]:
        found |= dict(own(module))
    return found


def members(name: str, value: Any) -> Iterator[str]:
    """The name itself, and for a class its own public methods and properties."""
    yield name
    if inspect.isclass(value):
        for attribute, member in vars(value).items():
            is_member = inspect.isfunction(member) or isinstance(member, property | classmethod | staticmethod)
            if not attribute.startswith("_") and is_member:
                yield f"{name}.{attribute}"


PUBLIC = public()


@pytest.mark.parametrize("name", PUBLIC)
def test_docstrings_are_complete(name: str) -> None:
    validate = pytest.importorskip("numpydoc.validate").validate
    faults = {
        member: wrong
        for member in members(name, PUBLIC[name])
        if (wrong := [error for error in validate(member)["errors"] if error[0] in CHECKS])
    }
    assert not faults


@pytest.mark.parametrize("name", ["ETM", "NVDMGSM", "WLDA", "GMNTM"])
def test_every_parameter_of_every_model_is_documented(name: str) -> None:
    model = getattr(topicnet, name)
    documentation = inspect.getdoc(model) or ""
    missing = [
        parameter for parameter in inspect.signature(model).parameters if f"\n{parameter} : " not in documentation
    ]
    assert not missing


@pytest.mark.parametrize("name", PUBLIC)
def test_examples_in_docstrings_run(name: str) -> None:
    finder, runner = doctest.DocTestFinder(), doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    value = PUBLIC[name]
    examples = [test for test in finder.find(value, name, module=inspect.getmodule(value)) if test.examples]
    is_error = inspect.isclass(value) and issubclass(value, Exception)
    assert examples or is_error, "no example"
    for test in examples:
        runner.run(test)
    assert runner.summarize(verbose=False).failed == 0

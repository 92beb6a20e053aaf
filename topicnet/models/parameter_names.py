"""Names of the parameters of a topic model, found without importing the model or torch."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from topicnet.errors import InputError
from topicnet.models.registry import REGISTRY

NOT_PARAMETERS = ("n_topics", "random_state", "device")  # given by options of their own


def check_parameter_names(model: str, given: Mapping[str, Any]) -> None:
    """Raise InputError for a model or a parameter that there is not."""
    if model not in REGISTRY:
        raise InputError(f"--model {model!r} given, this version has: {', '.join(REGISTRY)}")
    known = parameter_names(model)
    for name in given:
        if name not in known:
            raise InputError(f"parameter {name!r} given, {model} has: {', '.join(known)}")


@cache
def parameter_names(model: str) -> list[str]:
    """Names of the parameters of a model beside K, seed and device, sorted: the fields of its class, in its source."""
    registration = REGISTRY[model]
    return sorted(set(_fields(registration.module, registration.class_name)) - set(NOT_PARAMETERS))


def _fields(module: str, class_name: str) -> Iterator[str]:
    """Fields of a dataclass and of the dataclasses of this package that it derives from."""
    spec = find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    tree = ast.parse(Path(spec.origin).read_text("utf-8"))
    homes = {
        alias.name: node.module
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }
    found = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == class_name)
    for line in found.body:
        if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name):
            kind = ast.unparse(line.annotation)
            if not kind.startswith("ClassVar") and kind != "KW_ONLY":
                yield line.target.id
    homes |= {node.name: module for node in tree.body if isinstance(node, ast.ClassDef)}
    for base in found.bases:
        home = homes.get(ast.unparse(base), "")
        if home.startswith("topicnet."):
            yield from _fields(home, ast.unparse(base))

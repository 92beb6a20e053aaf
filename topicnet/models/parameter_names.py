"""Parameter names of the topic models, read from their source without importing torch."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from topicnet.errors import InputError
from topicnet.models.registry import REGISTRY

NOT_PARAMETERS = ("n_topics", "random_state", "device")  # the command line has separate options for these


def check_parameter_names(model: str, given: Mapping[str, Any]) -> None:
    """Raise InputError for an unknown model or an unknown parameter."""
    if model not in REGISTRY:
        raise InputError(f"--model {model!r} given, expected one of: {', '.join(REGISTRY)}")
    known = parameter_names(model)
    for name in given:
        if name not in known:
            raise InputError(f"parameter {name!r} given, {model} has: {', '.join(known)}")


@cache
def parameter_names(model: str) -> list[str]:
    """List the parameters of a model except K, seed and device, sorted: the dataclass fields found in its source."""
    registration = REGISTRY[model]
    return sorted(set(_fields(registration.module, registration.class_name)) - set(NOT_PARAMETERS))


def _fields(module: str, class_name: str) -> Iterator[str]:
    """Yield the fields of a dataclass and of its base classes in this package."""
    spec = find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    tree = ast.parse(Path(spec.origin).read_text("utf-8"))
    modules = {
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
    modules |= {node.name: module for node in tree.body if isinstance(node, ast.ClassDef)}
    for base in found.bases:
        origin = modules.get(ast.unparse(base), "")
        if origin.startswith("topicnet."):
            yield from _fields(origin, ast.unparse(base))

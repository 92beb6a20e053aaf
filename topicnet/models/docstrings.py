"""Complete docstrings: a model's own parameters and attributes, and those of its base classes."""

from __future__ import annotations

import re
from inspect import cleandoc

INHERITED = ("Parameters", "Attributes")
_HEADING = re.compile(r"^(\w+)\n-{3,}\n", re.MULTILINE)


def inherit_entries(own: str, base: str) -> str:
    """Add the parameters and attributes that a numpydoc docstring does not describe from that of a base class."""
    sections, inherited = _sections(own), _sections(base)
    for name in INHERITED:
        theirs = _entries(inherited.get(name, ""))
        first = {key: theirs[key] for key in ("n_topics",) if key in theirs}
        entries = first | _entries(sections.get(name, ""))
        entries |= {key: block for key, block in theirs.items() if key not in entries}
        sections[name] = "\n".join(dict.fromkeys(entries.values()))
    summary, references = sections.pop(""), sections.pop("References", None)
    parts = [f"{name}\n{'-' * len(name)}\n{body.strip()}" for name, body in sections.items()]
    parts += [] if references is None else [f"References\n----------\n{references.strip()}"]
    return "\n\n".join([summary.strip(), *parts]) + "\n"


def _sections(docstring: str) -> dict[str, str]:
    """Text of each section, by heading; the text before the first under ""."""
    summary, *rest = _HEADING.split(cleandoc(docstring))
    return {"": summary} | dict(zip(rest[::2], rest[1::2], strict=True))


def _entries(section: str) -> dict[str, str]:
    """Blocks of a section: each begins with a line that is not indented, and names what it describes."""
    blocks = re.split(r"\n(?=\S)", section.strip())
    return {name: block for block in blocks if block for name in block.split("\n")[0].partition(" :")[0].split(", ")}

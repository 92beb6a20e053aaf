"""Docstrings of model classes, completed with the parameters and attributes that their base classes describe."""

from __future__ import annotations

import re
from inspect import cleandoc

INHERITED = ("Parameters", "Attributes")
ORDER = ["Parameters", "Attributes", "Methods", "Raises", "See Also", "Notes", "References", "Examples"]  # numpydoc's
_HEADING = re.compile(r"^(\w[\w ]*)\n-{3,}\n", re.MULTILINE)


def inherit_entries(own: str, base: str) -> str:
    """Add the parameters and attributes that a class inherits to its numpydoc docstring.

    Parameters
    ----------
    own : str
        Docstring of the class, with the entries that it adds or describes differently from its base class.
    base : str
        Complete docstring of the base class.

    Returns
    -------
    str
        The docstring with all entries: those of the base class first, as in the signature of a dataclass. Sections are
        in the order of numpydoc.

    Examples
    --------
    >>> from topicnet.models.docstrings import inherit_entries
    >>> own = "Parameters\\n----------\\nb : int\\n    Own."
    >>> print(inherit_entries(own, "Parameters\\n----------\\na : int\\n    Inherited."))
    Parameters
    ----------
    a : int
        Inherited.
    b : int
        Own.
    <BLANKLINE>
    """
    sections, inherited = _sections(own), _sections(base)
    for name in INHERITED:
        entries = _entries(inherited.get(name, "")) | _entries(sections.get(name, ""))
        if entries:
            sections[name] = "\n".join(dict.fromkeys(entries.values()))
    summary = sections.pop("")
    names = sorted(sections, key=[*ORDER, *sections].index)  # unknown sections come last
    parts = [f"{name}\n{'-' * len(name)}\n{sections[name].strip()}" for name in names]
    return "\n\n".join([summary.strip(), *parts]).lstrip() + "\n"


def _sections(docstring: str) -> dict[str, str]:
    """Split a docstring into its sections, by heading, with the text before the first under ""."""
    summary, *rest = _HEADING.split(cleandoc(docstring))
    return {"": summary} | dict(zip(rest[::2], rest[1::2], strict=True))


def _entries(section: str) -> dict[str, str]:
    """Split a section into entries by name: each begins with an unindented line, which holds the names."""
    blocks = re.split(r"\n(?=\S)", section.strip())
    return {name: block for block in blocks if block for name in block.split("\n")[0].partition(" :")[0].split(", ")}

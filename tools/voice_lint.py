"""Voice lint: fail where tell-tale phrases of stilted English exceed 1 per 1,000 words of prose.

Prose is the docstrings and comments of Python files, the strings of the package that hold at least three words (help
texts and messages), and Markdown outside of fenced code. Counts are per folder: each package of `topicnet/` and
`topicnet/images/`, each folder of tests, and so on.

    python tools/voice_lint.py               # the table of all folders; exit status 1 above the limit
    python tools/voice_lint.py topicnet/core # each occurrence in these files and folders
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

LIMIT = 1.0  # occurrences per 1,000 words
ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("topicnet", "tests", "benchmarks", "tools", "docs", "examples")
PHRASES = re.compile(
    r"\b(?:told|anew|kept apart|stands?|lies?|(?:by |of )?so many|(?:go|goes|gone) on"
    r"|what (?:is|was|a|an|the|it|they)|who(?:ever)? (?:asked|asks|waits|has)|begun|broken off|at hand|of its own"
    r"|meanwhile|in (?:the|their) place(?: of)?|by so|one another|beside|shall|that which|said|says|given back"
    r"|give back|of such|nothing worth)\b",
    re.IGNORECASE,
)
_IN_PLACE = re.compile(r"in the place\Z", re.IGNORECASE)  # a tell only with "of"
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")

Passage = tuple[int, str]


def python_prose(source: str, strings: bool) -> Iterator[Passage]:
    """Line and text of each docstring and comment; also of strings with at least three words if `strings`."""
    nodes = list(ast.walk(ast.parse(source)))
    docstrings = {id(node.body[0].value): node.body[0] for node in nodes if _has_docstring(node)}
    for statement in docstrings.values():
        yield statement.lineno, statement.value.value
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string.lstrip("#: ")
    for node in nodes if strings else []:
        text = node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
        if id(node) not in docstrings and len(_WORD.findall(text)) >= 3:
            yield node.lineno, text


def _has_docstring(node: ast.AST) -> bool:
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return isinstance(node, kinds) and ast.get_docstring(node, clean=False) is not None


def markdown_prose(source: str) -> Iterator[Passage]:
    """Line and text of Markdown outside of fenced blocks and inline code."""
    fenced = False
    for number, line in enumerate(source.splitlines(), 1):
        if line.lstrip().startswith(("```", ":::")):
            fenced = not fenced if line.lstrip().startswith("```") else fenced
        elif not fenced:
            yield number, re.sub(r"`[^`]*`", "`", line)


def prose(path: Path) -> Iterator[Passage]:
    """Line and text of the prose of a Python or Markdown file."""
    source = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        yield from python_prose(source, strings=path.relative_to(ROOT).parts[0] == "topicnet")
    else:
        yield from markdown_prose(source)


def findings(path: Path) -> tuple[int, list[tuple[int, str, str]]]:
    """Words of a file, and line, phrase and surroundings of each phrase found."""
    words, found = 0, []
    for line, text in prose(path):
        words += len(_WORD.findall(text))
        flat = " ".join(text.split())
        for match in PHRASES.finditer(flat):
            if not _IN_PLACE.match(match.group()):
                around = flat[max(0, match.start() - 40) : match.end() + 40]
                found.append((line, match.group().lower(), around))
    return words, found


def files(names: list[str]) -> list[Path]:
    """Python and Markdown files of the repository, or of the given files and folders."""
    tops = [Path(name).resolve() for name in names] or [
        *(ROOT / folder for folder in FOLDERS),
        *ROOT.glob("*.md"),
    ]
    paths = {
        path
        for top in tops
        for path in ([top] if top.is_file() else top.rglob("*"))
        if path.suffix in (".py", ".md") and not {"_build", "__pycache__"} & set(path.parts)
    }
    return sorted(paths)


def folder_of(path: Path) -> str:
    """The folder a file counts for: two levels, three within the images package."""
    parts = path.relative_to(ROOT).parts[:-1]
    return "/".join(parts[:2]) or path.name


def main(names: list[str]) -> int:
    if names:
        for path in files(names):
            for line, phrase, around in findings(path)[1]:
                print(f"{path.relative_to(ROOT)}:{line}: {phrase!r} in {around!r}")
        return 0
    words: Counter[str] = Counter()
    hits: Counter[str] = Counter()
    for path in files([]):
        n_words, found = findings(path)
        words[folder_of(path)] += n_words
        hits[folder_of(path)] += len(found)
    failed = False
    print(f"{'folder':<24}{'words':>8}{'phrases':>9}{'per 1,000':>11}")
    for folder in sorted(words):
        rate = 1000 * hits[folder] / max(words[folder], 1)
        # Where there is little prose a single phrase would fail a folder.
        over = rate > LIMIT and hits[folder] > 1
        failed |= over
        print(f"{folder:<24}{words[folder]:>8,}{hits[folder]:>9}{rate:>11.1f}{'  above the limit' if over else ''}")
    if failed:
        print(f"voice: more than {LIMIT:g} per 1,000 words; list them with: python tools/voice_lint.py FOLDER")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

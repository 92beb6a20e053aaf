"""Voice lint: fail where tell-tale phrases of stilted English exceed 1 per 1,000 words of prose.

Prose is the docstrings and comments of Python files, the strings of the package that hold at least three words (help
texts and messages; an f-string is one string, and each of its values a word), and Markdown of pages and notebooks
outside of code. Counts are per folder: each package of `topicnet/` and `topicnet/images/`, each folder of tests, and so
on. A docstring that begins with a relative clause ("Whether ...") fails anywhere.

    python tools/voice_lint.py               # the table of all folders; exit status 1 above the limit
    python tools/voice_lint.py topicnet/core # each occurrence in these files and folders
"""

from __future__ import annotations

import ast
import io
import json
import re
import sys
import tokenize
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

LIMIT = 1.0  # occurrences per 1,000 words
ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("topicnet", "tests", "benchmarks", "tools", "docs")
SUFFIXES = (".py", ".md", ".ipynb")
PHRASES = re.compile(
    (
        r"\b(?:told|anew|kept apart|stands?|lies?|(?:by |of )?so many|(?:go|goes|gone) on"
        r"|what (?:is|was|a|an|the|it|they)|who(?:ever)? (?:asked|asks|waits|has)|begun|broken off|at hand|of its own"
        r"|meanwhile|in the place of|in their place|by so|one another|beside|shall|that which|said|says|given back"
        r"|give back|of such|nothing worth)\b"
    ).replace(" ", r"\s+"),
    re.IGNORECASE,
)
OPENINGS = re.compile(r"\s*(?:What|Whether|Whose|Who|Which|Where|How|Of)\b(?! to\b)")
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
_FENCE = re.compile(r"\s*(?:`{3,}|:{3,})\s*(?P<info>.*)")
_PROSE_BLOCK = re.compile(r"\{(?:note|tip|hint|important|warning|caution|attention|danger|error|seealso|admonition)\}")
_NEW_BLOCK = re.compile(r"\s*(?:[-*+]\s|\d+[.)]\s|[|#:]|>)")

Passage = tuple[int, str]


def python_prose(source: str, strings: bool) -> Iterator[Passage]:
    """Line and text of each docstring and block of comments; also of strings of three or more words if `strings`."""
    tree = ast.parse(source)
    passages = list(docstrings(tree))
    yield from passages
    yield from _comments(source)
    if strings:
        yield from _strings(tree)


def docstrings(tree: ast.Module) -> Iterator[Passage]:
    """Line and text of the docstrings of modules, classes, functions and attributes."""
    for node in ast.walk(tree):
        if _is_docstring(node):
            yield node.lineno, node.value.value


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _comments(source: str) -> Iterator[Passage]:
    """Line and text of each comment; comments that fill successive lines are one passage."""
    start, block = 0, []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            alone = not token.line[: token.start[1]].strip()
            if block and not (alone and token.start[0] == start + len(block)):
                yield start, "\n".join(block)
                block = []
            start = start if block else token.start[0]
            block.append(token.string.lstrip("#: "))
    if block:
        yield start, "\n".join(block)


def _strings(node: ast.AST) -> Iterator[Passage]:
    """Line and text of the strings that hold at least three words, with `{}` for each value of an f-string."""
    if _is_docstring(node):
        return
    text, n_values = "", 0
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        text = node.value
    elif isinstance(node, ast.JoinedStr):
        parts = [part.value if isinstance(part, ast.Constant) else "{}" for part in node.values]
        text, n_values = "".join(map(str, parts)), parts.count("{}")
    if len(_WORD.findall(text)) + n_values >= 3:
        yield node.lineno, " ".join(text.split())
    for child in ast.iter_child_nodes(node):
        if not (isinstance(node, ast.JoinedStr) and isinstance(child, ast.Constant)):
            yield from _strings(child)


def markdown_prose(source: str) -> Iterator[Passage]:
    """Line and text of each paragraph, item, heading or row of Markdown, without fenced and inline code."""
    fence = ""  # of the open block: "code" or "prose"
    start, block = 0, []
    for number, line in enumerate([*source.splitlines(), ""], 1):
        found = _FENCE.match(line)
        ends = found is not None or not line.strip() or fence == "code"
        if block and (ends or _NEW_BLOCK.match(line)):
            yield start, re.sub(r"`[^`]*`", lambda code: "`" + "\n" * code[0].count("\n"), "\n".join(block))
            block = []
        if found is not None and fence:
            fence = fence if found["info"] else ""
        elif found is not None:
            fence = "prose" if _PROSE_BLOCK.match(found["info"]) else "code"
        elif not ends:
            start = start if block else number
            block.append(line)


def notebook_prose(source: str) -> Iterator[Passage]:
    """Number of the cell, from 1, and text of each passage of the Markdown cells of a notebook."""
    for number, cell in enumerate(json.loads(source)["cells"], 1):
        if cell["cell_type"] == "markdown":
            for _, text in markdown_prose("".join(cell["source"])):
                yield number, " ".join(text.split())


def prose(path: Path) -> Iterator[Passage]:
    """Line and text of the prose of a Python file, a Markdown page or a notebook."""
    source = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        yield from python_prose(source, strings=path.relative_to(ROOT).parts[0] == "topicnet")
    elif path.suffix == ".ipynb":
        yield from notebook_prose(source)
    else:
        yield from markdown_prose(source)


def findings(path: Path) -> tuple[int, list[tuple[int, str, str]]]:
    """Words of a file, and line, phrase and surroundings of each phrase found."""
    words, found = 0, []
    for line, text in prose(path):
        words += len(_WORD.findall(text))
        for match in PHRASES.finditer(text):
            around = text[max(0, match.start() - 40) : match.end() + 40]
            at = line + text.count("\n", 0, match.start())
            found.append((at, " ".join(match[0].lower().split()), " ".join(around.split())))
    return words, found


def relative_openings(path: Path) -> list[Passage]:
    """Line and first line of each docstring of a Python file that begins with a relative clause."""
    if path.suffix != ".py":
        return []
    passages = docstrings(ast.parse(path.read_text(encoding="utf-8")))
    return [(line, text.strip().splitlines()[0]) for line, text in passages if OPENINGS.match(text)]


def files(names: list[str]) -> list[Path]:
    """Files with prose in the repository, or in the given files and folders."""
    tops = [Path(name).resolve() for name in names] or [
        *(ROOT / folder for folder in FOLDERS),
        *ROOT.glob("*.md"),
    ]
    paths = {
        path
        for top in tops
        for path in ([top] if top.is_file() else top.rglob("*"))
        if path.suffix in SUFFIXES and not {"_build", "__pycache__", ".ipynb_checkpoints"} & set(path.parts)
    }
    return sorted(paths)


def folder_of(path: Path) -> str:
    """Folder that a file counts for: two levels, three within the images package."""
    parts = path.relative_to(ROOT).parts[:-1]
    return "/".join(parts[: 3 if parts[:2] == ("topicnet", "images") else 2]) or path.name


def unusable(name: str) -> str | None:
    """Reason why a given path cannot be read, or None."""
    path = Path(name).resolve()
    if not path.exists():
        return f"{name}: no such file or folder"
    if not path.is_relative_to(ROOT):
        return f"{name}: not in the repository {ROOT}"
    return None


def list_findings(paths: list[Path]) -> None:
    """Print each phrase and each opening found in the files."""
    for path in paths:
        for line, phrase, around in findings(path)[1]:
            print(f"{path.relative_to(ROOT)}:{line}: {phrase!r} in {around!r}")
        for line, text in relative_openings(path):
            print(f"{path.relative_to(ROOT)}:{line}: docstring begins with a relative clause: {text!r}")


def check_all() -> int:
    """Print the table of all folders; return 1 if one is above the limit or a docstring begins wrongly, else 0."""
    words: Counter[str] = Counter()
    hits: Counter[str] = Counter()
    openings = []
    for path in files([]):
        n_words, found = findings(path)
        words[folder_of(path)] += n_words
        hits[folder_of(path)] += len(found)
        openings += [f"{path.relative_to(ROOT)}:{line}" for line, _ in relative_openings(path)]
    failed = False
    print(f"{'folder':<28}{'words':>8}{'phrases':>9}{'per 1,000':>11}")
    for folder in sorted(words):
        rate = 1000 * hits[folder] / max(words[folder], 1)
        # Where there is little prose a single phrase would fail a folder.
        over = rate > LIMIT and hits[folder] > 1
        failed |= over
        print(f"{folder:<28}{words[folder]:>8,}{hits[folder]:>9}{rate:>11.1f}{'  above the limit' if over else ''}")
    if failed:
        print(f"voice: more than {LIMIT:g} per 1,000 words; list them with: python tools/voice_lint.py FOLDER")
    if openings:
        print(f"voice: docstrings that begin with a relative clause: {', '.join(openings)}")
    return int(failed or bool(openings))


def main(names: list[str]) -> int:
    """Check the repository, or list the findings in the given files and folders; return the exit status."""
    if not names:
        return check_all()
    for name in names:
        reason = unusable(name)
        if reason is not None:
            print(f"voice_lint: {reason}", file=sys.stderr)
            return 2
    list_findings(files(names))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Output of `topicnet words`: words and lines that may be boilerplate, with the evidence."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from topicnet.cli.printing.output import echo
from topicnet.storage.atomic import atomic_file
from topicnet.storage.formats import write_text
from topicnet.storage.recognition import not_ours
from topicnet.text.boilerplate import Suggestion
from topicnet.text.repeated_lines import RepeatedLine

HOW_TO = (
    "put the uninformative words in a file, one per line, and give it to prepare or fit: --add-stop-words FILE adds"
    " them to the language's stop words, --stop-words FILE replaces those"
)


def show_words(suggestions: Sequence[Suggestion], lines: Sequence[RepeatedLine] = ()) -> None:
    """Print a table of words with their evidence and of repeated lines, and on stderr how to use the words."""
    width = shutil.get_terminal_size((120, 24)).columns
    if not suggestions:
        echo("no word is in enough documents to be boilerplate")
    else:
        longest = min(24, max(4, *(len(found.word) for found in suggestions)))
        echo(f"{'word':{longest}}  documents     tokens  information  evidence")
    for found in suggestions:
        evidence = f"{found.reason} [{', '.join(found.examples)}]"
        row = f"{found.word:{longest}}  {found.document_share:9.1%} {found.tokens:10,d}  {found.information:+11.2f}  "
        echo(_cut(row + evidence, width))
    if lines:
        echo("\ndocuments  consecutive words (without stop words)")
    for line in lines:
        echo(_cut(f"{line.documents:9,d}  {' '.join(line.words)} [{', '.join(line.examples)}]", width))
    if suggestions:
        echo(HOW_TO, err=True)


def records(suggestions: Sequence[Suggestion], lines: Sequence[RepeatedLine] = ()) -> dict[str, Any]:
    """Return the words and lines as JSON values: {"words": [...], "lines": [...]}."""
    return {"words": [asdict(found) for found in suggestions], "lines": [asdict(line) for line in lines]}


def write_words(suggestions: Sequence[Suggestion], path: Path, *, overwrite: bool = False) -> None:
    """Write the words to a file, one per line, to be edited and given to --add-stop-words.

    Raises
    ------
    OutputError
        The file exists and `overwrite` is false, its content is not a beginning of this word list, or it cannot be
        written.
    """
    if overwrite:
        check_list(suggestions, path)
    with atomic_file(path, overwrite=overwrite) as part:
        write_text(part, _list_of(suggestions))


def check_list(suggestions: Sequence[Suggestion], path: Path) -> None:
    """Raise OutputError unless an existing file is a beginning of this word list.

    Any other content may have been written by the user.
    """
    if path.is_file() and not _list_of(suggestions).encode().startswith(path.read_bytes()):
        raise not_ours(path)


def _list_of(suggestions: Sequence[Suggestion]) -> str:
    return "".join(f"{found.word}\n" for found in suggestions)


def _cut(line: str, width: int) -> str:
    return line if len(line) <= width else line[: width - 1] + "…"

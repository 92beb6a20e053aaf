"""Header rows of tables: detection, unique column names, and rows below the header that hold no data."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from statistics import median

from topicnet.text.readers.documents import Columns, folded

Cells = Sequence[str]

ROW_NAMES = "row_name"  # name given to R's unnamed column of row names
_ENOUGH = 2  # points of evidence needed for a header
_FEW, _SOME = 2, 4  # minimum numbers of rows below that must fit a pattern
_LONG = 40  # minimum median length of a column of texts, in characters
_IMPORT_ID = re.compile(r"""\s*\{\s*["']ImportId["']\s*:""")
_RESPONSES = {"response", "open-ended response"}  # the second header row of SurveyMonkey
_CHOICES = {*_RESPONSES, "other (please specify)"}
_DATUM = re.compile(
    r"[\d\s.,:/+\-−%$€£¥TZ]*\d[\d\s.,:/+\-−%$€£¥TZ]*(?:[AP]\.?M\.?)?(?:\s*[A-Z]{3,4}(?:[+-]\d+)?(?::\d+)?)?",
    re.IGNORECASE,
)
_PLAIN = re.compile(r"[\w.\-]+")
USUAL_NAMES = {
    "text", "texts", "document", "documents", "doc", "docs", "title", "abstract", "body", "content", "comment",
    "comments", "message", "answer", "answers", "response", "review", "reviews", "tweet", "post", "description",
    "summary", "question", "sentence", "tokens", "words", "selftext", "headline", "article", "speech", "transcript",
    "verbatim", "feedback", "note", "notes", "id", "date", "time", "timestamp", "label", "labels", "class", "category",
    "topic", "split", "part", "partition", "set", "subset", "author", "user", "username", "name", "source", "url",
    "year", "lang", "language", "score", "rating", "sentiment", "department", "email", "country", "gender", "age",
}  # fmt: skip
_ROW_NUMBERS = {"id", "ids", "nr", "no", "no.", "number", "index", "key", "n", "#", "row", "respondent id"}
_SPLITS = {"train", "training", "val", "valid", "validation", "dev", "test", "testing"}


# --- is the first row a header? ---


def looks_like_header(first: Cells, below: Sequence[Cells], column: int) -> bool:
    """Return whether the first row of a table is a header.

    It is if no cell looks like data or reappears in its column, equal cells belong to columns with different values,
    and there is enough evidence: columns of numbers or dates, of few categories, or of long texts below, or common
    column names.

    Parameters
    ----------
    first : sequence of str
        Cells of the first row.
    below : sequence of rows
        Some of the following rows.
    column : int
        Position of the text column, from 0.

    Examples
    --------
    >>> looks_like_header(["year", "text"], [["1999", "a b"], ["2001", "c d"]], column=1)
    True
    >>> looks_like_header(["1998", "x y"], [["1999", "a b"], ["2001", "c d"]], column=1)
    False
    """
    cells = [cell.strip() for cell in first]
    filled = [cell for cell in cells if cell]
    if not cells[column : column + 1] or not cells[column] or any(map(is_datum, filled)):
        return False
    rows = [row for row in below if len(row) == len(first)]
    if len(set(filled)) < len(filled) and not _differ_below(cells, rows):
        return False
    score = 0
    for i, cell in enumerate(cells):
        values = [value for row in rows if (value := row[i].strip())]
        found = _evidence(cell, values, is_text=i == column)
        if found is None:
            return False
        score += found
    return score >= _ENOUGH


def _differ_below(cells: Sequence[str], rows: Sequence[Cells]) -> bool:
    """Return whether columns with equal first cells mostly differ in the rows below."""
    places = {cell: i for i, cell in enumerate(cells)}
    pairs = [(i, places[cell]) for i, cell in enumerate(cells) if cell and places[cell] != i]
    return bool(rows) and all(2 * sum(row[i] == row[j] for row in rows) < len(rows) for i, j in pairs)


def _evidence(cell: str, values: list[str], *, is_text: bool) -> int | None:
    """Score the evidence that a cell is the name of the column of `values`; None if it looks like one of them."""
    if not cell:
        return 0
    if cell in values or (values and _shape(cell) is not None and {_shape(cell)} == set(map(_shape, values))):
        return None
    if cell.casefold() in USUAL_NAMES:
        return _ENOUGH if is_text else 1
    if is_text:
        is_question = cell.endswith("?") and 2 * sum(value.endswith("?") for value in values) < len(values)
        typical = median(map(len, values)) if values else 0
        return int(is_question) + int(len(values) >= _FEW and typical >= _LONG and 3 * len(cell) <= typical)
    if len(values) >= _FEW and all(map(is_datum, values)):
        return _ENOUGH
    return int(len(values) >= _SOME and 2 * len(set(values)) <= len(values))


def is_datum(cell: str) -> bool:
    """Return whether a cell is a number, a date or a time, and so not a column name.

    Examples
    --------
    >>> is_datum("3,50 €"), is_datum("1999-01-02 14:30"), is_datum("price")
    (True, True, False)
    """
    return _DATUM.fullmatch(cell.strip()) is not None


def _shape(cell: str) -> str | None:
    """Replace the numbers in a code such as d17 or R_0001 by 0; None if the cell is not a code."""
    has_digit = any(c.isdigit() for c in cell)
    return re.sub(r"\d+", "0", cell) if has_digit and _PLAIN.fullmatch(cell) else None


def is_split_header(first: Cells, below: Sequence[Cells], vocabulary: set[str]) -> bool:
    """Return whether the first row of an OCTIS corpus (text, split, label) is a header.

    Parameters
    ----------
    first : sequence of str
        Cells of the first row.
    below : sequence of rows
        Some of the following rows.
    vocabulary : set of str
        Words of the corpus; a word among them may be a document.

    Examples
    --------
    >>> is_split_header(["text", "split"], [["a b", "train"], ["c d", "test"]], vocabulary=set())
    True
    """
    cells = [cell.strip().casefold() for cell in first]
    if not cells or len(cells[0].split()) != 1 or cells[0] not in USUAL_NAMES or len(set(cells)) < len(cells):
        return False
    if len(cells) == 1:
        return cells[0] not in vocabulary
    splits = {row[1].strip().casefold() for row in below if len(row) == len(first)}
    if cells[1] in splits or cells[1] in _SPLITS:
        return False
    return all(cell in USUAL_NAMES for cell in cells) or bool(splits and splits <= _SPLITS)


# --- its names ---


def unique_names(header: Cells, columns: Columns) -> list[str]:
    """Make the column names unique: requested columns get their requested name, blank and repeated names a number.

    Examples
    --------
    >>> unique_names(["text", "note", "note", ""], Columns())
    ['text', 'note', 'note_2', 'column_4']
    """
    renaming = columns.renaming(header)
    asked = {*columns.texts, columns.key, *columns.kept}
    taken, names = set[str](), list[str]()
    for number, given in enumerate(header, 1):
        name = renaming.get(given, given)
        if name not in asked:
            bare = _trimmed(name)
            is_other = bare in asked or bare in header[: number - 1] or bare in header[number:]
            name = f"column_{number}" if not bare else given if is_other else bare
        unique, n = name, 1
        while unique in taken or (unique != given and unique in header):
            n += 1
            unique = f"{name}_{n}"
        taken.add(unique)
        names.append(unique)
    return names


def _trimmed(name: str) -> str:
    bare = name.strip().strip("\ufeff\u200b").strip()
    return unicodedata.normalize("NFC", bare) if folded(bare) else ""


# --- rows and fields that do not match it ---


def survey_rows(below: Sequence[Cells], texts: Sequence[int], header: Cells = ()) -> tuple[int, str]:
    """Count the rows below the header that name the questions, and return the survey program that wrote them.

    Parameters
    ----------
    below : sequence of rows
        The rows below the header.
    texts : sequence of int
        Positions of the text columns, from 0.
    header : sequence of str
        Cells of the header.

    Examples
    --------
    >>> survey_rows([["", "Open-Ended Response"], ["1", "an answer"]], texts=[1])
    (1, 'SurveyMonkey')
    """
    for n, row in enumerate(below[:2], 1):
        filled = [cell for cell in row if cell.strip()]
        if filled and all(map(_IMPORT_ID.match, filled)):
            return n, "Qualtrics"
    if below and _is_of_surveymonkey(below[0], texts):
        return 1, "SurveyMonkey"
    if below and any(map(_is_response_id, header, below[0])):
        return 1, "Qualtrics"
    return 0, ""


def _is_response_id(name: str, cell: str) -> bool:
    """Return whether a cell is the label of the id column in a Qualtrics export without the ImportId row."""
    return name.strip() in ("ResponseId", "ResponseID", "V1") and cell.strip() in ("Response ID", "ResponseID")


def _is_of_surveymonkey(row: Cells, texts: Sequence[int]) -> bool:
    cells = [cell.strip().casefold() for cell in row]
    filled = {cell for cell in cells if cell}
    if not filled & _RESPONSES or any(cells[i] not in {"", *_CHOICES} for i in texts if i < len(cells)):
        return False
    if filled == {"response"} and len(cells) == 1:
        return False  # may be an answer
    return filled <= _CHOICES or not cells[0]


def extra_fields(header: Cells, below: Sequence[Cells]) -> tuple[str, int]:
    """Find by how many fields the rows consistently differ from the header.

    Returns
    -------
    kind : str
        "trailing" if most rows have extra empty fields at the end, or the header has; "row names" if all rows have
        one extra field at the beginning, as R writes them; "" otherwise.
    more : int
        Number of extra fields; negative if the header has them.

    Examples
    --------
    >>> extra_fields(["text", "year"], [["a b", "1999", ""], ["c d", "2001", ""]])
    ('trailing', 1)
    """
    rows = [row for row in below if list(row) != list(header)]
    beyond = [row for row in rows if len(row) != len(header)]
    widths = {len(row) for row in beyond}
    if len(widths) != 1 or 2 * len(beyond) <= len(rows):
        return "", 0
    more = widths.pop() - len(header)
    if more > 0 and not any(cell for row in beyond for cell in row[len(header) :]):
        return "trailing", more
    if len(beyond) < len(rows):
        return "", 0
    if more < 0 and not any(header[more:]):
        return "trailing", more
    return ("row names", 1) if more == 1 and _are_row_names(header, rows) else ("", 0)


def _are_row_names(header: Cells, below: Sequence[Cells]) -> bool:
    """Return whether the first fields are row names, as R writes them, and not due to an unquoted delimiter."""
    first = [row[0].strip() for row in below]
    if any(row[1].startswith(" ") for row in below):
        return False
    if len(first) >= _FEW and first in ([str(i) for i in range(begin, len(first) + begin)] for begin in (0, 1)):
        # If the header starts with an id column, these are its ids, unless unique numbers or codes follow them.
        second = [_shape(row[1].strip()) and row[1] for row in below]
        return header[0].strip().casefold() not in _ROW_NUMBERS or (all(second) and len(set(second)) == len(second))
    named = all(map(_PLAIN.fullmatch, first)) and len(set(first)) == len(first)
    return named and len(first) > _FEW and header[0].strip().casefold() not in _ROW_NUMBERS

"""Tests of the CSV and TSV readers: delimiter detection, tables without a header, malformed rows."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.readers import anything, numbers, read, refusal, write
from topicnet.text.readers import delimited
from topicnet.text.readers.documents import Documents, ReadingOptions, SkippedRows
from topicnet.text.readers.read import read_documents

TRIED = "(commas, semicolons, tabs and pipes were tried)"


def table(path: Path, rows: list[list[Any]], delimiter: str = ",") -> Path:
    buffer = io.StringIO(newline="")
    csv.writer(buffer, delimiter=delimiter).writerows(rows)
    return write(path, buffer.getvalue())


# --- the delimiter ---


@given(st.lists(st.tuples(anything, anything), max_size=6), st.sampled_from(",;\t"), st.booleans())
def test_a_csv_delimiter_is_detected_by_the_text_column(tmp_path_factory, rows, delimiter, bom):
    path = table(tmp_path_factory.mktemp("csv") / "a.csv", [["nr", "text"], *map(list, rows)], delimiter)
    if bom:
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    docs = read(path)
    assert docs.texts == [text for _, text in rows]
    assert docs.metadata == [{"nr": nr} for nr, _ in rows]


def test_a_decimal_comma_is_text(tmp_path):
    path = write(tmp_path / "a.csv", 'text;preis\r\n"gut; billig";3,50\r\nschlecht;1.200,00\r\n', "utf-8-sig")
    docs = read(path)
    assert docs == Documents(["1", "2"], ["gut; billig", "schlecht"], [{"preis": "3,50"}, {"preis": "1.200,00"}])


@pytest.mark.parametrize(
    ("content", "texts"),
    [
        ("text\na;b\n", ["a;b"]),  # every delimiter shows the text: the comma is used
        ('"a\nb";text\n1;x\n', ["x"]),  # a line break within a name
        ('"text";"n"\n"x";1\n', ["x"]),
        ("\n\ntext;n\nx;1\n", ["x"]),
        ('text,"a;text;b"\nx,1\n', ["x"]),
    ],
)
def test_odd_headers_are_split_correctly(tmp_path, content, texts):
    assert read(write(tmp_path / "a.csv", content)).texts == texts


@pytest.mark.parametrize("first", ["sep=;", "SEP=;", '"sep=;"', "\ufeffsep=;"])
def test_excels_sep_line_sets_the_delimiter(tmp_path, first):
    docs = read(write(tmp_path / "a.csv", f"{first}\r\nnr;text\r\n1;x\r\n"))
    assert docs == Documents(["1"], ["x"], [{"nr": "1"}])
    assert read(write(tmp_path / "b.csv", "sep=|\nnr|text\n1|x\n")).texts == ["x"]


@pytest.mark.parametrize("first", ["sep=", 'sep="', "sep=a", "sep=;;"])
def test_a_line_that_is_not_a_sep_line_is_a_header(tmp_path, first):
    message = refusal(write(tmp_path / "a.csv", f"{first}\r\ntext\r\nx\r\n"))
    assert message.startswith(("no column 'text' in", f"line 1 of {tmp_path / 'a.csv'} is not well-formed"))


def test_the_sep_line_counts_as_line_1(tmp_path):
    path = write(tmp_path / "a.csv", "sep=;\nnr;text\n1;x\n2\n")
    assert f"line 4 of {path} has 1 field(s), expected 2 as in the header" in refusal(path)
    assert "no column 'body' in" in refusal(path, text_column="body")
    assert TRIED not in refusal(path, text_column="body")


def test_an_error_about_the_text_column_lists_the_delimiters_tried(tmp_path):
    path = write(tmp_path / "a.csv", "nr;body\n1;x\n")
    assert refusal(path) == f"no column 'text' in {path} {TRIED}; it has: nr, body. Name one with --text-column"
    assert refusal(path, text_column="body", id_column="k").startswith(f"no column 'k' in {path}; it has: nr, body.")


def test_a_tsv_is_split_only_at_tabs(tmp_path):
    path = write(tmp_path / "a.tsv", "nr;text\n1;x\n")
    assert refusal(path) == f"no column 'text' in {path}; it has: nr;text. Name one with --text-column"


def test_a_malformed_header_is_rejected_with_its_line(tmp_path):
    path = write(tmp_path / "a.csv", '\n"text,n\n' + "x,1\n" * 5000)
    assert f"line 2 of {path} is not well-formed (unexpected end of data)" in refusal(path)
    assert f"line 2 of {path} is not well-formed" in refusal(path, skipped=SkippedRows())


# --- tables without a header ---

LIKE_M10 = 'inference "markov chain" method\ttrain\t2\n"open quote\ttest\t0\nplain, text\tval\t1\n'


def test_a_tsv_without_a_header_is_read_without_quoting(tmp_path):
    docs = read(write(tmp_path / "a.tsv", LIKE_M10), text_column="1")
    assert docs.texts == ['inference "markov chain" method', '"open quote', "plain, text"]
    assert docs.metadata[0] == {"column_2": "train", "column_3": "2"}
    assert docs.ids == numbers(3)


def test_a_label_equal_to_the_column_number_is_not_a_header(tmp_path):
    path = write(tmp_path / "a.tsv", "fast cut\ttrain\t1\nother\ttest\t0\n")
    assert read(path, text_column="1").texts == ["fast cut", "other"]
    assert read(write(tmp_path / "b.tsv", "今日はとても天気がいいので散歩に行きます\t1\n"), text_column="1").ids == [
        "1"
    ]
    assert read(write(tmp_path / "c.tsv", "good\t1\t1\n"), text_column="1").texts == ["good"]


@pytest.mark.parametrize("header", ["id,1,2", "0,1,2", "1,x"])
def test_a_header_may_consist_of_numbers(tmp_path, header):
    names = header.split(",")
    path = table(tmp_path / "a.csv", [names, [f"cell {name}" for name in names]])
    docs = read(path, text_column="1", id_column=names[0])
    assert docs.texts == ["cell 1"]
    assert docs.ids == [f"cell {names[0]}"]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_csv_without_a_header_keeps_its_quoting(tmp_path, delimiter):
    path = table(tmp_path / "a.csv", [["k1", f"a{delimiter} b"], ["", 'say "c"\nd']], delimiter)
    docs = read(path, text_column="2", id_column="1")
    assert docs == Documents(["k1", "2"], [f"a{delimiter} b", 'say "c"\nd'], [{}, {}])


@given(st.lists(st.tuples(anything, anything, anything), min_size=1, max_size=6), st.integers(1, 3))
def test_rows_without_a_header_are_read_as_written(tmp_path_factory, rows, column):
    rows = [("first document of three words", "id", "x"), *rows] if column == 1 else [("id", "a b c", "d e f"), *rows]
    path = table(tmp_path_factory.mktemp("plain") / "a.csv", [list(row) for row in rows])
    docs = read(path, text_column=str(column), header_row=0)
    assert docs.texts == [row[column - 1] for row in rows]
    others = [number for number in (1, 2, 3) if number != column]
    assert docs.metadata == [{f"column_{number}": row[number - 1] for number in others} for row in rows]


@pytest.mark.parametrize("options", [{"text_column": "4"}, {"text_column": "1", "id_column": "key"}])
def test_a_missing_column_number_error_lists_the_numbers(tmp_path, options):
    path = write(tmp_path / "a.tsv", LIKE_M10)
    missing = options.get("id_column", "4")
    assert f"no column '{missing}' in {path}, read without a header line; it has: 1, 2, 3. Name" in refusal(
        path, **options
    )


@pytest.mark.parametrize("column", ["0", "01", "1.0", "-1", "²", "9" * 5000])
def test_only_plain_numbers_are_column_numbers(tmp_path, column):
    message = refusal(write(tmp_path / "a.tsv", "a b c\tx\n"), text_column=column)
    assert message.startswith(f"no column '{column}' in ")


def test_blank_lines_without_a_header(tmp_path):
    assert read(write(tmp_path / "a.tsv", "\na\tb\n\nc\td\n"), text_column="1").texts == ["a", "c"]
    assert read(write(tmp_path / "b.tsv", "\na\n\nc\n"), text_column="1").texts == ["", "a", "", "c"]
    assert list(read_documents(write(tmp_path / "c.tsv", ""), ReadingOptions("1"))) == []
    assert list(read_documents(write(tmp_path / "d.csv", "\n\n"), ReadingOptions("1"))) == []


def test_a_row_of_another_length_without_a_header_is_rejected(tmp_path):
    path = write(tmp_path / "a.tsv", "a\tb\nc\n")
    assert f"line 2 of {path} has 1 field(s), expected 2 as in the first line. Separate" in refusal(
        path, text_column="1"
    )


def test_the_first_row_of_a_csv_without_a_header_must_be_well_formed(tmp_path):
    path = write(tmp_path / "a.csv", '"open,1\n')
    assert f"line 1 of {path} is not well-formed" in refusal(path, text_column="1", skipped=SkippedRows())


# --- malformed rows ---


def test_a_broken_quote_in_a_tsv_suggests_reading_without_quoting(tmp_path):
    path = write(tmp_path / "a.tsv", 'text\tn\n"quoted" word\t1\n')
    message = refusal(path)
    assert f"line 2 of {path} is not well-formed" in message
    assert 'write a quote inside them as ""' in message
    assert message.endswith("and if they are plain characters, --quote none")
    assert read(path, quote="none").texts == ['"quoted" word']


def skip(path: Path, **options: Any) -> tuple[Documents, SkippedRows]:
    skipped = SkippedRows()
    return read(path, skipped=skipped, **options), skipped


def test_rows_of_another_length_can_be_skipped(tmp_path):
    path = write(tmp_path / "a.csv", "text,n\na,1\nb\nc,3,4\nd,5\n")
    docs, skipped = skip(path)
    assert docs == Documents(["1", "4"], ["a", "d"], [{"n": "1"}, {"n": "5"}])  # rows keep their number in the source
    assert skipped.listed == [
        f"line 3 of {path}: 1 field(s), expected 2",
        f"line 4 of {path}: 3 field(s), expected 2",
    ]


def test_only_the_line_of_an_open_quote_is_skipped(tmp_path):
    path = write(tmp_path / "a.csv", 'text,n\na,1\n"open,2\n"b\nB",3\nc,4\n"shut"x,5\nd\re,6\nf,7\n')
    docs, skipped = skip(path)
    assert docs.texts == ["a", "b\nB", "c", "f"]
    assert [line.split(" of ")[0] for line in skipped.listed] == ["line 3", "line 7", "line 8"]
    assert skipped.count == 3


def test_an_open_quote_at_the_end_is_skipped(tmp_path):
    docs, skipped = skip(write(tmp_path / "a.csv", 'text,n\na,1\n"open,2\n' + "x,1\n" * 5000))
    assert (len(docs.ids), skipped.count) == (5001, 1)


def test_a_file_of_open_quotes_is_not_reread_repeatedly(tmp_path, monkeypatch):
    n_rows, taken = 3000, 0
    take = delimited._Lines.__next__

    def counted(lines: Any) -> str:
        nonlocal taken
        taken += 1
        return take(lines)

    monkeypatch.setattr(delimited._Lines, "__next__", counted)
    monkeypatch.setattr(delimited, "_REREAD_BUDGET", 100_000)
    monkeypatch.setattr(delimited, "_SHORT_RECORD", 100)
    path = write(tmp_path / "a.csv", "text,n\n" + 'a","\n' * n_rows + "fine,1\n")  # each quote stays open
    docs, skipped = skip(path)
    assert (docs.texts, skipped.count) == (["fine"], n_rows)
    assert taken < 40 * n_rows  # without the limit, each quote is followed to the end: n_rows / 2 on average


def test_rows_with_bad_bytes_can_be_skipped(tmp_path):
    path = write(tmp_path / "a.csv", b'text,n\na,1\ncaf\xe9,2\n"b\n\xff\n",3\nc\0,4\nd,5\n')
    docs, skipped = skip(path)
    assert docs.texts == ["a", "d"]
    assert skipped.listed == [
        f"line 3 of {path}: the byte 0xe9, expected text in 'utf-8'",
        f"line 5 of {path}: the byte 0xff, expected text in 'utf-8'",
        f"line 7 of {path}: a NUL byte",
    ]
    path = write(tmp_path / "a.tsv", b"a b\t1\ncaf\xe9\t2\nd\t3\te\nf\t4\n")
    docs, skipped = skip(path, text_column="1")
    assert (docs.texts, skipped.count) == (["a b", "f"], 2)


def test_a_header_with_bad_bytes_is_rejected(tmp_path):
    path = write(tmp_path / "a.csv", b"text,caf\xe9\na,1\n")
    message = refusal(path, skipped=SkippedRows())
    assert f"line 1 of {path} is the header and has the byte 0xe9, expected text in 'utf-8'" in message


good_rows = st.tuples(anything, anything).map(lambda row: (True, list(row)))
bad_rows = st.lists(anything.filter(bool), min_size=3, max_size=5).map(lambda row: (False, row))


@given(st.lists(st.one_of(good_rows, bad_rows), max_size=8))
def test_rows_read_and_rows_skipped_are_the_rows_written(tmp_path_factory, rows):
    path = table(tmp_path_factory.mktemp("skip") / "a.csv", [["text", "n"], *(row for _, row in rows)])
    docs, skipped = skip(path)
    assert docs.texts == [row[0] for good, row in rows if good]
    assert skipped.count == sum(not good for good, _ in rows)


@pytest.mark.parametrize(("name", "delimiter", "quote"), [("a.csv", ",", None), ("a.tsv", "\t", "none")])
def test_a_backslash_escapes_as_in_a_mysql_dump(tmp_path, name, delimiter, quote):
    cells = [r"fish\nsecond\tthird\r", r"\N", r"C:\\new \N", rf"a\{delimiter}b"]
    rows = [f"n{delimiter}text", *(f"1{delimiter}{cell}" for cell in cells)]
    path = write(tmp_path / name, "".join(f"{row}\n" for row in rows))
    options = ReadingOptions(escape="backslash", quote=quote, missing=("\\n",))
    (batch,) = read_documents(path, options)
    assert batch.texts == ["fish\nsecond\tthird\r", "", r"C:\new N", f"a{delimiter}b"]
    write(tmp_path / name, f'n{delimiter}text\n{{0}}N{delimiter}"a{{0}}nb"\n'.format("\\"))
    (batch,) = read_documents(path, ReadingOptions(escape="backslash", missing=("\\n",)))
    assert (batch.texts, batch.metadata) == (["a\nb"], [{"n": None}])

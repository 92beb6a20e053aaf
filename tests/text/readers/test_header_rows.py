"""Tests of the first rows of tables: header detection, column names, rows and fields that hold no data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.support.readers import numbers, read, refusal, write
from tests.support.workbooks import write_xlsx
from topicnet.errors import CorpusError, InputError
from topicnet.text.readers.documents import Columns, Documents, ReadingLog, ReadingOptions, folded, no_column
from topicnet.text.readers.header_rows import extra_fields, looks_like_header, survey_rows, unique_names
from topicnet.text.readers.in_memory import documents_of_frame
from topicnet.text.readers.read import read_documents

LONG = "The staff were friendly and the rooms were clean, but we waited for hours"


def noticed(path: Path, **options: Any) -> tuple[list[str], list[str]]:
    """Return the texts of a source and the notices about it."""
    log = ReadingLog()
    texts = [text for batch in read_documents(path, ReadingOptions(**options), log) for text in batch.texts]
    assert all(notice.isprintable() for notice in log.notices)
    return texts, [notice.replace(str(path), "FILE") for notice in log.notices]


# --- rows below the header that are not answers ---

IDS = '"{""ImportId"":""recordId""}","{""ImportId"":""QID5_TEXT""}"\n'
SURVEYS = {
    "Qualtrics": "ResponseId,text\nResponse ID,What should be better?\n" + IDS + "R_1,one\nR_2,two\n",
    "Qualtrics without wording": "ResponseId,text\n" + IDS + "R_1,one\nR_2,two\n",
    "old Qualtrics": "V1;text\nid;Why?\n{'ImportId': 'a'};{'ImportId': 'b'}\nR_1;one\nR_2;two\n",
    "two exports": 2 * ("R,text\nID,Why?\n" + IDS + "R_1,one\nR_2,two\n"),
    "Qualtrics without ids": "ResponseId,text\nResponse ID,What should be better?\nR_1,one\nR_2,two\n",
    "legacy Qualtrics": "V1,text\nResponseID,What should be better?\nR_1,one\nR_2,two\n",
    "SurveyMonkey": "Respondent ID,Date,text,Which?,\n,,Open-Ended Response,Good,Bad\n7,2024,one,Good,\n8,,two,,Bad\n",
    "SurveyMonkey, one question": "Respondent ID,text\n,Open-Ended Response\n7,one\n8,two\n",
    "SurveyMonkey, a choice": "text,Why\nOpen-Ended Response,Response\none,x\ntwo,y\n",
}


@pytest.mark.parametrize("kind", SURVEYS)
def test_survey_header_rows_are_not_documents(tmp_path, kind):
    texts, notices = noticed(write(tmp_path / "a.csv", SURVEYS[kind]))
    assert texts == ["one", "two"] * (2 if kind == "two exports" else 1)
    assert "below the header of FILE" in " ".join(notices)
    assert ("Qualtrics" if "SurveyMonkey" not in kind else "SurveyMonkey") in " ".join(notices)


@pytest.mark.parametrize(
    "rows", ["1,Response\n2,ok\n", "1,Open-Ended Response\n2,x\n", ",Very good\n2,x\n", '1,"{""a"": 1}"\n2,x\n']
)
def test_answers_that_look_like_header_rows_are_documents(tmp_path, rows):
    texts, notices = noticed(write(tmp_path / "a.csv", "id,text\n" + rows))
    assert len(texts) == 2
    assert notices == []
    assert survey_rows([["Response"]], [0]) == (0, "")


@pytest.mark.parametrize(
    ("content", "where"),
    [
        ("id,text\n1,a\nid,text\n2,b\n", "1 row of FILE equal to its header (line 3)"),
        ("\ufeffid,text\n1,a\n\ufeffid,text\n2,b\nid,text\n", "2 rows of FILE equal to its header (line 3, ...)"),
        ('\ufeff"id","text"\n1,a\n\ufeff"id","text"\n2,b\n', "1 row of FILE equal to its header (line 3)"),
        ("text\ta\na\t1\ntext\ta\nb\t2\n", "1 row of FILE equal to its header (line 3)"),
        ("text\tg\n1\ta\tx\n2\tb\ty\ntext\tg\n", "1 row of FILE equal to its header (line 4)"),  # row names of R
    ],
)
@pytest.mark.parametrize("skip_bad_rows", [False, True])
def test_a_repeated_header_is_not_a_document(tmp_path, content, where, skip_bad_rows):
    path = write(tmp_path / ("a.tsv" if "\t" in content else "a.csv"), content)
    texts, notices = noticed(path, skip_bad_rows=skip_bad_rows)
    assert texts == ["a", "b"]
    assert f"skipped {where}" in notices


# --- lines before the header ---


@pytest.mark.parametrize(
    ("before", "n"), [("Report: comments\nGenerated 2024-05-01\n\n", 3), ("# a, b\n", 1), ("x;y;z\n" * 19, 19)]
)
@pytest.mark.parametrize("header", ["id,text\n1,a\n", "id, text\n1, a\n", "id;n;text\n1;2;a\n", "text\tn\na\t1\n"])
def test_lines_before_the_header_are_skipped_as_the_message_suggests(tmp_path, before, n, header):
    path = write(tmp_path / ("a.tsv" if "\t" in header else "a.csv"), before + header)
    assert refusal(path).endswith(f"Line {n + 1} has it: if that is the header, give --skip-rows {n}")
    assert read(path, skip_rows=n).texts == read(path, header_row=n + 1).texts == ["a"]
    assert f"line {n + 2} of" in refusal(write(path, before + header.partition("\n")[0] + '\n"\n'), skip_rows=n)


def test_lines_are_skipped_below_the_sep_line(tmp_path):
    path = write(tmp_path / "a.csv", "sep=;\n# note\nid;text;a,b\n1;x;2\n")
    assert read(path, skip_rows=2).texts == read(path, header_row=3).texts == ["x"]
    with pytest.raises(InputError, match="--skip-rows 1 and --header-row 2 given, expected one of them"):
        ReadingOptions(skip_rows=1, header_row=2)
    assert "has 4 line(s), expected more for --skip-rows 5" in refusal(path, skip_rows=5)
    assert "has 4 line(s), expected more for --header-row 9" in refusal(path, header_row=9)


def test_a_data_row_with_the_column_name_is_not_suggested_as_header(tmp_path):
    path = write(tmp_path / "a.csv", "id,label,body\n0,health,words\n1,rail,words\n")
    assert refusal(path, text_column="health").endswith("Name one with --text-column")


# --- columns by number ---

WITH_HEADER = {
    "Google Forms": ('Timestamp,Department,"What went well, or did not?"\n', "2024/03/01 3:15:22 PM GMT+1,rail,{}\n"),
    "semicolons": ("Zeitstempel;Ort;Antwort\n", "01.02.2024;Ulm;{}\n"),
    "usual names": ("a,b,text\n", "x,y,{}\n"),
    "long texts under a question": ("Site,Group,Why did you come?\n", "north,b,{}\n"),
    "scores": ("who,points,what they wrote\n", "amy,3.5,{}\n"),
}  # fmt: skip


@pytest.mark.parametrize("kind", WITH_HEADER)
def test_a_header_is_recognised_if_the_column_is_given_by_number(tmp_path, kind):
    header, row = WITH_HEADER[kind]
    path = write(tmp_path / "a.csv", header + "".join(row.format(f'"{LONG}, {n}"') for n in range(6)))
    texts, notices = noticed(path, text_column="3")
    assert texts == [f"{LONG}, {n}" for n in range(6)]
    assert notices[0].startswith("FILE: line 1 is read as the header, and the texts from column 3 (")
    assert notices[0].endswith("if it is a document, give --header-row 0")
    assert list(read(path, text_column="3").metadata[0]) == header.replace(";", ",").split(",")[:2]
    assert len(noticed(path, text_column="3", header_row=0)[0]) == 7


@pytest.mark.parametrize(
    "content",
    [
        "good film\tpos\nbad film\tneg\nnice film\tpos\ndull film\tneg\n",
        "d1\tshort\tx\n" + "".join(f"d{n}\t{LONG}\tx{n}\n" for n in range(2, 8)),
        "text of one\ttrain\t2\nanother\ttest\t0\n",
        "a;b,b\nc;d,d\n".replace(";", "\t"),
        "Is this a question?\tqa\n" + "".join(f"{LONG}?\tq{n}\n" for n in "bcdef"),
    ],
)
def test_the_first_document_of_a_table_without_a_header_is_logged(tmp_path, content):
    path = write(tmp_path / "a.tsv", content)
    texts, notices = noticed(path, text_column="1")
    assert len(texts) == content.count("\n")
    assert notices == [
        f"FILE is read as a table without a header line: its first row is document 1, {texts[0]!r};"
        " if it is the header, give --header-row 1"
    ]
    assert noticed(path, text_column="1", header_row=1)[0] == texts[1:]


@pytest.mark.parametrize("kind", [kind for kind in SURVEYS if kind != "two exports"])
def test_a_survey_header_is_recognised_if_the_column_is_given_by_number(tmp_path, kind):
    number = "3" if kind == "SurveyMonkey" else "1" if "choice" in kind else "2"
    assert read(write(tmp_path / "a.csv", SURVEYS[kind]), text_column=number).texts == ["one", "two"]


def test_without_a_header_there_are_no_column_names(tmp_path):
    path = write(tmp_path / "a.csv", "id,text\n1,a\n")
    assert "without a header line no column is called 'text'" in refusal(path, header_row=0)
    assert read(path, header_row=0, text_column="2").texts == ["text", "a"]


def test_evidence_of_a_header():
    below = [[f"2024-01-0{n}", "rail", LONG] for n in range(1, 6)]
    assert looks_like_header(["When", "Where", "Remark"], below, 2)
    assert not looks_like_header(["2024-01-09", "road", "Remark"], below, 2)  # looks like data
    assert not looks_like_header(["When", "rail", "Remark"], below, 2)  # reappears in its column
    assert looks_like_header(["When", "When", "Remark"], below, 2)  # names may repeat
    alike = [[date, date, text] for date, _, text in below]
    assert not looks_like_header(["When", "When", "Remark"], alike, 2)  # ends like the values
    assert not looks_like_header(["When", "Where"], below, 2)
    assert not looks_like_header(["R_0", "x"], [["R_1", LONG], ["R_2", LONG]], 1)  # a code like those below
    assert looks_like_header(["text"], [], 0)


def test_the_delimiter_for_column_numbers_gives_rows_of_equal_length(tmp_path):
    for n, delimiter in enumerate(",;\t|"):
        path = write(tmp_path / f"{n}.csv", "".join(f"words here{delimiter}l{i}\n" for i in "abc"))
        assert read(path, text_column="1").texts == ["words here"] * 3
        assert read(path, text_column="2").texts == ["la", "lb", "lc"]


def test_an_id_column_can_be_given_by_number(tmp_path):
    path = write(tmp_path / "a.csv", "nr,comment\n17,great\n18,poor\n")
    assert read(path, text_column="comment", id_column="1").ids == ["17", "18"]
    assert read(path, text_column="2", id_column="nr") == Documents(["17", "18"], ["great", "poor"], [{}, {}])
    assert "no column '9'" in refusal(path, text_column="comment", id_column="9")


# --- names of columns ---


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        (" text", "text"), ("text ", "text"), ("\ufefftext", "text"),
        ("re\u0301ponse", "réponse"), ("réponse", "re\u0301ponse"),
        ("my\u00a0answer", "my answer"), ("What\nnow?", "What now?"), ("\u200btext", "text"),
    ],
)  # fmt: skip
def test_names_match_regardless_of_spaces_and_accent_encoding(tmp_path, name, asked):
    csv = write(tmp_path / "a.csv", f'n,"{name}"\n1,a\n')
    frame = pl.DataFrame({"n": [1], name: ["a"]})
    frame.write_parquet(tmp_path / "a.parquet")
    frame.write_ndjson(tmp_path / "a.jsonl")
    book = write_xlsx(tmp_path / "a.xlsx", [["n", name], [1, "a"]])
    for path in (csv, tmp_path / "a.parquet", tmp_path / "a.jsonl", book):
        assert read(path, text_column=asked).texts == ["a"]
    assert (
        documents_of_frame(frame, asked, None).texts
        == documents_of_frame(frame.to_pandas(), asked, None).texts
        == ["a"]
    )
    assert folded(name) == folded(asked)


def test_an_exact_match_of_a_name_is_preferred(tmp_path):
    path = write(tmp_path / "a.csv", "text , text,text\n1,2,3\n")
    assert read(path).texts == ["3"]
    assert read(path, text_column=" text").texts == ["2"]
    assert "it has: 'text ', ' text', n." in refusal(write(path, "text , text,n\n1,2,3\n"))  # two similar names


def test_messages_show_names_that_can_be_copied(tmp_path):
    question = "What should the hospital improve for its patients, their families and everybody else who visits it?"
    path = write(tmp_path / "a.csv", f'id,Text,my\u00a0x, y,"{question}"\n')
    message = refusal(path)
    assert f"it has: id, Text, my\\xa0x, ' y', {question}. Name one with --text-column, such as 'Text'" in message
    assert "x" * 299 + "… (column 1)" in str(no_column("it", ["x" * 5000], Columns()))


def test_blank_and_repeated_names_matter_only_if_requested(tmp_path):
    path = write(tmp_path / "a.csv", "text,x,x,, \na,1,2,3,4\n")
    assert read(path).metadata == [{"x": "1", "x_2": "2", "column_4": "3", "column_5": "4"}]
    assert "two columns 'x' (2 and 3)" in refusal(path, kept=("x",))
    assert "two columns 'text' (1 and 2)" in refusal(write(tmp_path / "b.csv", "text,text\na,b\n"))
    assert unique_names(["a", "a_2", "a", "", "column_4"], Columns()) == ["a", "a_2", "a_3", "column_4_2", "column_4"]
    assert unique_names(["n ", "text", " n"], Columns()) == ["n", "text", "n_2"]


# --- fields beyond the header ---


@pytest.mark.parametrize(
    ("content", "texts"),
    [
        ("id,text\n1,a,\n2,b,\n", ["a", "b"]),
        ("n\ttext\n1\ta\t\n2\tb\t\n3\tc\n", ["a", "b", "c"]),  # the last row has none
        ("id;text\n1;a;;;\n2;b;;;\n", ["a", "b"]),
        ("id,text,\n1,a\n2,b\n", ["a", "b"]),
        ("id,text,\n1,a,\n2,b,\n", ["a", "b"]),
        ('"text"\t"g"\n"1"\t"a"\t"x"\n"2"\t"b"\t"y"\n', ["a", "b"]),  # R's write.table
        ("text,g\nann,a,x\nbob,b,y\ncat,c,z\n", ["a", "b", "c"]),
        ("text,g\n0,a,x\n1,b,y\n", ["a", "b"]),
        (",text,g\n0,a,x\n1,b,y\n", ["a", "b"]),  # pandas, with its index
    ],
)
@pytest.mark.parametrize("skip_bad_rows", [False, True])
def test_extra_fields_are_recognised(tmp_path, content, texts, skip_bad_rows):
    path = write(tmp_path / ("a.tsv" if "\t" in content else "a.csv"), content)
    found, notices = noticed(path, skip_bad_rows=skip_bad_rows)
    assert found == texts
    is_guess = content.startswith(("text,g", '"text"'))
    assert ["row names that R writes" in notice for notice in notices] == ([True] if is_guess else [])


@pytest.mark.parametrize(
    "content",
    [
        "id,text\n1,Hello, world\n2,Good, day\n",  # a comma within a text
        "text,n\nHello, world,1\nGood, day,2\n",
        "nr,text\n1,yes,no\n2,ja,nein\n",
        "id,text\n1,a,\n2,b,x\n",
        "id,text\n1,a,b\n",  # one row is not enough evidence
    ],
)
def test_an_unquoted_delimiter_is_rejected_with_its_line(tmp_path, content):
    path = write(tmp_path / "a.csv", content)
    assert "has 3 field(s), expected 2 as in the header. Quote fields" in refusal(path)
    assert extra_fields(["a"], []) == ("", 0)


# --- delimiters, quotes and escapes ---


@pytest.mark.parametrize(
    ("content", "options", "text"),
    [
        ("id|text\n1|a, b\n", {}, "a, b"),
        ("id|text|n\n1|a; b|1,5\n", {}, "a; b"),
        ("id:text\n1:a\n", {"delimiter": ":"}, "a"),
        ("text,a;text\n1;x\n", {"delimiter": "semicolon"}, "x"),
        ("id\ttext\n1\ta\n", {"delimiter": "\\t"}, "a"),
        ("id\ttext\n1\ta\n", {"delimiter": "tab"}, "a"),
        ("id text\n1 'a b'\n", {"delimiter": "space", "quote": "'"}, "a b"),
        ('id,text\n1,"say \\"a\\", b"\n', {"escape": "\\"}, 'say "a", b'),
        ("id,text\n1,a\\, b\n", {"escape": "backslash"}, "a, b"),
        ('id,text\n1,a\\, "b\n', {"escape": "backslash", "quote": "none"}, 'a, "b'),
        ('id,text\n1,"a\n', {"quote": "none"}, '"a'),
        ('id, text\n1, "a, b"\n', {}, "a, b"),
        ("id;text;preis\n1;a, b;3,50\n", {}, "a, b"),
    ],
)
@pytest.mark.parametrize("skip_bad_rows", [False, True])
def test_delimiter_quote_and_escape_can_be_given(tmp_path, content, options, text, skip_bad_rows):
    path = write(tmp_path / "a.csv", content)
    assert noticed(path, **options, skip_bad_rows=skip_bad_rows) == ([text], [])


def test_a_tsv_takes_the_same_options(tmp_path):
    path = write(tmp_path / "a.tsv", 'id\ttext\n1\t"open\n2\tshut\n')
    assert read(path, quote="none").texts == ['"open', "shut"]
    assert refusal(path).endswith("and if they are plain characters, --quote none")
    assert read(write(tmp_path / "b.tsv", "id|text\n1|a\n"), delimiter="|").texts == ["a"]
    assert read(write(tmp_path / "c.tsv", '"a\tb"\tx\nc\ty\n'), text_column="1", quote='"').texts == ["a\tb", "c"]
    broken = write(tmp_path / "d.tsv", "id\ttext\n1\ta\tb\n2\n")
    assert "Separate fields by single tabs: quotes are plain characters with --quote none" in refusal(
        broken, quote="none"
    )


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({"delimiter": "ab"}, "--delimiter 'ab' given, expected one character"),
        ({"quote": "\n"}, "--quote '\\n' given, expected one character"),
        ({"escape": ""}, "--escape '' given, expected one character"),
        ({"delimiter": ";", "escape": "semicolon"}, "';' given for two of --delimiter, --quote and --escape"),
        ({"text_column": []}, "text_column=[] given, expected the name of a column"),
        ({"text_column": ["a", "a"]}, "the text column 'a' was given twice"),
    ],
)
def test_impossible_options_are_rejected_before_reading(options, found):
    with pytest.raises(InputError) as caught:
        ReadingOptions(**options)
    assert str(caught.value).startswith(found)


# --- several text columns ---

TITLES = pl.DataFrame({"Title": ["A", None, None], "n": [1, 2, 3], "Abstract": ["b c", "d", None]})


def test_the_texts_of_several_columns_are_joined(tmp_path):
    TITLES.write_csv(tmp_path / "a.csv")
    TITLES.write_csv(tmp_path / "a.tsv", separator="\t")
    TITLES.write_ndjson(tmp_path / "a.jsonl")
    TITLES.write_parquet(tmp_path / "a.parquet")
    write_xlsx(tmp_path / "a.xlsx", [TITLES.columns, *TITLES.rows()])
    for name in ("a.csv", "a.tsv", "a.jsonl", "a.parquet", "a.xlsx"):
        docs = read(tmp_path / name, text_column=["Title", "Abstract"])
        assert docs.texts == ["A\nb c", "d", ""], name
        assert [list(row) for row in docs.metadata] == [["n"]] * 3
        assert read(tmp_path / name, text_column=["Abstract", "Title"]).texts[0] == "b c\nA"
        assert "no column 'Body' in" in refusal(tmp_path / name, text_column=["Title", "Body"])
    assert read(tmp_path / "a.csv", text_column=["1", "3"], header_row=1).texts[0] == "A\nb c"
    assert read(tmp_path / "a.csv", text_column=["1", "3"], header_row=0).texts[1] == "A\nb c"


@pytest.mark.parametrize("frame", [TITLES, TITLES.to_pandas(), TITLES.lazy()])
def test_the_texts_of_several_columns_of_a_frame_are_joined(frame):
    docs = documents_of_frame(frame, ["Title", "Abstract"], None)
    assert docs == Documents(numbers(3), ["A\nb c", "d", ""], [{"n": 1}, {"n": 2}, {"n": 3}])
    with pytest.raises(CorpusError, match="no column 'Body' in the table"):
        documents_of_frame(frame, ["Title", "Body"], None)
    with pytest.raises(InputError, match=r"texts\[0\] is int"):
        documents_of_frame(frame, ["n", "Title"], None)


def test_a_nested_part_is_rejected(tmp_path):
    pl.DataFrame({"text": ["a"], "words": [["b"]]}).write_parquet(tmp_path / "a.parquet")
    assert "in the column 'words', expected text" in refusal(tmp_path / "a.parquet", text_column=["text", "words"])


@pytest.mark.parametrize(
    ("header", "column"),
    [("id,text,text", "3"), ("Timestamp,What should be better?,What should be better?", "2")],
)
def test_a_header_may_repeat_a_name(tmp_path, header, column):
    rows = "".join(f'{i},"{LONG} {i}","{LONG} again {i}"\n' for i in range(1, 6))
    texts, notices = noticed(write(tmp_path / "a.csv", f"{header}\n{rows}"), text_column=column)
    assert len(texts) == 5
    assert "line 1 is read as the header" in notices[0]
    assert not looks_like_header(["good", "good", "text"], [["bad", "bad", "a"], ["fine", "fine", "b"]], 2)


def test_a_repeated_header_in_another_case_is_not_a_document(tmp_path):
    texts, notices = noticed(write(tmp_path / "a.csv", "id,text\n1,one\nID,Text\n2,two\n"))
    assert texts == ["one", "two"]
    assert "equal to its header (line 3)" in notices[0]
    assert read(write(tmp_path / "b.csv", "text\none\nText\n")).texts == ["one", "Text"]


@pytest.mark.parametrize(("name", "options"), [("a.tsv", {}), ("a.csv", {"delimiter": " "})])
def test_r_row_names_may_precede_ids(tmp_path, name, options):
    rows = [["id", "text"], ["1", "100", LONG], ["2", "101", LONG], ["3", "102", LONG]]
    by = options.get("delimiter", "\t")
    lines = [[cell if n == 1 and cell.isdigit() else f'"{cell}"' for n, cell in enumerate(row)] for row in rows]
    content = "".join(by.join(line) + "\n" for line in lines)
    docs = read(write(tmp_path / name, content), **options)
    assert (docs.ids, docs.texts) == (["100", "101", "102"], [LONG] * 3)
    below = [["1", "yes", "no"], ["2", "well", "then"]]  # texts with commas
    assert extra_fields(["id", "text"], below) == ("", 0)


def test_column_0_is_rejected_with_a_hint(tmp_path):
    message = refusal(write(tmp_path / "a.csv", "id,text\n1,one\n"), text_column="0")
    assert message.endswith("Columns are numbered from 1: give 1 for the first")

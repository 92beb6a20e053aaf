"""Contents of doc_topic.csv and topic_word.csv, and exact round trips of theta and ids."""

import datetime
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.examples import examples
from topicnet.errors import BundleError, InputError, OutputError
from topicnet.storage import formats
from topicnet.workflows import tables
from topicnet.workflows.tables import (
    FORMATS,
    choose_format,
    doc_topic_table,
    read_doc_topic,
    topic_word_table,
    write_doc_table,
    write_word_table,
)

IDS = ["1", "=b", "c,d"]
STATUS = ["ok", "oov", "ok"]
THETA = np.array([[0.2, 0.8], [0.5, 0.5], [0.6, 0.4]], dtype=np.float32)
WORDS = ["apple", "=bit", "cat", "dog"]
BETA = np.array([[0.1, 0.2, 0.3, 0.4], [0.4, 0.1, 0.4, 0.1]], dtype=np.float32)


def round_trip(ids: list[str], status: list[str], theta: Any) -> pl.DataFrame:
    with tempfile.TemporaryDirectory() as folder:
        formats.write_table(Path(folder, "doc_topic.csv"), doc_topic_table(ids, status, theta))
        return read_doc_topic(Path(folder), theta.shape[1])


# ---------------------------------------------------------------- documents by topics


def test_a_folder_named_with_brackets_is_not_a_pattern(tmp_path: Path) -> None:
    for name, ids in {"Q1": ["other", "x", "y"], "Q[1]": ["mine", "x", "y"], "C [1]": ["mine", "x", "y"]}.items():
        (tmp_path / name).mkdir()
        formats.write_table(tmp_path / name / "doc_topic.csv", doc_topic_table(ids, STATUS, THETA))
    for name in ("Q[1]", "C [1]"):
        assert read_doc_topic(tmp_path / name, 2)["doc_id"].to_list() == ["mine", "x", "y"]


def test_each_document_has_a_row_with_status_top_topic_and_theta() -> None:
    table = doc_topic_table(["a", "b", "c", "d"], ["ok", "empty", "oov", "ok"], THETA[[0, 1, 2, 2]])
    assert table.schema == {
        "doc_id": pl.String,
        "status": pl.String,
        "top_topic": pl.Int64,
        "topic_0": pl.Float32,
        "topic_1": pl.Float32,
    }
    assert table["doc_id"].to_list() == ["a", "b", "c", "d"]
    assert table["status"].to_list() == ["ok", "empty", "oov", "ok"]
    assert table["top_topic"].to_list() == [1, None, None, 0]
    np.testing.assert_array_equal(table.select("topic_0", "topic_1").to_numpy(), THETA[[0, 1, 2, 2]])


def test_the_top_topic_of_a_tie_is_the_first() -> None:
    assert doc_topic_table(["a"], ["ok"], np.full((1, 3), 1 / 3, dtype=np.float32))["top_topic"].to_list() == [0]


def test_the_table_of_no_documents_has_the_same_columns() -> None:
    table = doc_topic_table([], [], np.zeros((0, 2), dtype=np.float32))
    assert table.height == 0
    assert table.schema == doc_topic_table(["a"], ["ok"], THETA[:1]).schema
    assert round_trip([], [], np.zeros((0, 2), dtype=np.float32)).equals(table)


def test_the_file_has_the_documented_layout(tmp_path: Path) -> None:
    write_doc_table(tmp_path / "t.csv", IDS, STATUS, THETA, "csv", overwrite=False)
    assert (tmp_path / "t.csv").read_text("utf-8").split("\n") == [
        "doc_id,status,top_topic,topic_0,topic_1",
        "1,ok,1,0.2,0.8",
        "'=b,oov,,0.5,0.5",
        '"c,d",ok,0,0.6,0.4',
        "",
    ]


theta_rows = st.lists(st.floats(0, 1, width=32), min_size=3, max_size=3)


@examples(60)
@given(st.lists(st.tuples(st.sampled_from(["ok", "empty", "oov"]), theta_rows), max_size=8))
@example([("ok", [0.1, 2.0**-149, 1 - 2.0**-24])])
def test_theta_and_status_are_read_back_exactly(rows: list[tuple[str, list[float]]]) -> None:
    theta = np.array([row for _, row in rows], dtype=np.float32).reshape(len(rows), 3)
    status = [name for name, _ in rows]
    table = doc_topic_table([str(n) for n in range(len(rows))], status, theta)
    again = round_trip(table["doc_id"].to_list(), status, theta)
    assert again.equals(table)
    assert again.select("topic_0", "topic_1", "topic_2").to_numpy().tobytes() == (
        table.select("topic_0", "topic_1", "topic_2").to_numpy().tobytes()
    )


@pytest.mark.parametrize(
    "doc_id",
    [
        *("=1+1", "@me", "+a", "-", "-5", "+5", "\tx", "\rx", "-1\n", "'plain", "''", "'", "\0", "\ufeffx", "é\u2028"),
        *("", " x ", "null", "NaN", "007", "a,b", 'a"b', '"', "a\nb", "a\r\nb", "a\rb", "#x", "folder/file.txt"),
    ],
)
def test_any_special_id_is_read_back_exactly(doc_id: str) -> None:
    for ids in ([doc_id], [doc_id, "next"], ["before", doc_id]):
        again = round_trip(ids, ["ok"] * len(ids), THETA[: len(ids)])
        assert again["doc_id"].to_list() == ids


@pytest.mark.parametrize("doc_id", ["'=x", "'@x", "'+5", "'-x", "'\t"])
def test_an_id_that_looks_guarded_already_is_read_back_exactly(doc_id: str) -> None:
    assert round_trip([doc_id], ["ok"], THETA[:1])["doc_id"].to_list() == [doc_id]


@examples(60)
@given(st.lists(st.text(st.sampled_from('=+-@\t\r\n",1e.a ') | st.characters(exclude_categories=("Cs",)))))
def test_any_ids_are_read_back_exactly(ids: list[str]) -> None:
    ids = [doc_id.lstrip("'") for doc_id in ids]  # covered by the test above
    again = round_trip(ids, ["ok"] * len(ids), np.full((len(ids), 2), 0.5, dtype=np.float32))
    assert again["doc_id"].to_list() == ids


@pytest.mark.parametrize(
    "content",
    [
        None,
        b"",
        b"\xff\x00junk\n1",
        b"x,y,z,w,v\na,ok,1,0.5,0.5\n",
        b"doc_id,status,top_topic,topic_0\na,ok,1,0.5\n",
        b"doc_id,status,top_topic,topic_0,topic_1,topic_2\na,ok,1,0.5,0.5,0\n",
        b"doc_id,status,top_topic,topic_0,topic_1\na,ok,1,0.5,half\n",
    ],
    ids=["missing", "empty", "junk", "foreign", "fewer", "more", "words"],
)
def test_a_damaged_table_is_reported_in_one_line(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "doc_topic.csv").write_bytes(content)
    with pytest.raises(BundleError, match=r"doc_topic.csv in .* cannot be read") as caught:
        read_doc_topic(tmp_path, 2)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("lost", [5, 6, 10])
def test_a_table_cut_off_within_a_row_is_refused(tmp_path: Path, lost: int) -> None:
    formats.write_table(tmp_path / "doc_topic.csv", doc_topic_table(IDS, STATUS, THETA))
    content = (tmp_path / "doc_topic.csv").read_bytes()
    assert content.endswith(b",0.6,0.4\n")
    (tmp_path / "doc_topic.csv").write_bytes(content[:-lost])
    with pytest.raises(BundleError):
        read_doc_topic(tmp_path, 2)


# ---------------------------------------------------------------- topics by words


def test_the_words_of_a_topic_are_sorted_by_decreasing_probability() -> None:
    table = topic_word_table(BETA, WORDS, 3)
    assert table.columns == ["topic", "rank", "word", "probability"]
    assert table.rows() == [
        (0, 1, "dog", BETA[0, 3]),
        (0, 2, "cat", BETA[0, 2]),
        (0, 3, "=bit", BETA[0, 1]),
        (1, 1, "apple", BETA[1, 0]),
        (1, 2, "cat", BETA[1, 2]),
        (1, 3, "=bit", BETA[1, 1]),
    ]


def test_a_number_of_words_above_the_vocabulary_gives_all_words() -> None:
    table = topic_word_table(BETA, WORDS, 99)
    assert table.height == BETA.size
    assert table.group_by("topic").agg(pl.col("probability").sum())["probability"].to_list() == pytest.approx([1, 1])
    assert table.group_by("topic").agg(pl.col("word").n_unique())["word"].to_list() == [4, 4]


# ---------------------------------------------------------------- formats


@pytest.mark.parametrize(
    ("path", "asked", "expected"),
    [
        ("theta.csv", None, "csv"),
        ("theta.CSV", None, "csv"),
        ("a.b/theta.Parquet", None, "parquet"),
        ("theta.npz", None, "npz"),
        ("theta.csv", "npz", "npz"),
        ("theta", "parquet", "parquet"),
        ("theta.txt", "csv", "csv"),
    ],
)
def test_the_format_option_overrides_the_ending(path: str, asked: str | None, expected: str) -> None:
    assert choose_format(Path(path), asked) == expected


@pytest.mark.parametrize(
    ("path", "asked", "printed"),
    [
        ("theta", None, "file 'theta'"),
        ("theta.txt", None, "file 'theta.txt'"),
        (".csv", None, "file '.csv'"),
        ("theta.csv", "", "--format ''"),
        ("theta.csv", "CSV", "--format 'CSV'"),
        ("theta.csv", "x\ny", "--format"),
    ],
)
def test_an_unknown_format_is_refused_with_a_list_of_formats(path: str, asked: str | None, printed: str) -> None:
    with pytest.raises(InputError) as caught:
        choose_format(Path(path), asked)
    message = str(caught.value)
    assert message.startswith(printed)
    assert message.isprintable()
    assert ", ".join(FORMATS) in message


def test_every_format_holds_the_same_documents(tmp_path: Path) -> None:
    for name in FORMATS:
        write_doc_table(tmp_path / f"doc_topic.{name}", IDS, STATUS, THETA, name, overwrite=False)
    expected = doc_topic_table(IDS, STATUS, THETA)
    assert pl.read_parquet(tmp_path / "doc_topic.parquet").equals(expected)
    assert read_doc_topic(tmp_path, 2).equals(expected)
    with np.load(tmp_path / "doc_topic.npz", allow_pickle=False) as arrays:
        assert sorted(arrays) == ["doc_id", "status", "theta"]
        assert arrays["theta"].tobytes() == THETA.tobytes()
        assert arrays["theta"].dtype == np.float32
        assert arrays["doc_id"].tolist() == IDS
        assert arrays["status"].tolist() == STATUS
    assert len(list(tmp_path.iterdir())) == len(FORMATS)


def test_every_format_holds_the_same_words(tmp_path: Path) -> None:
    for name in FORMATS:
        write_word_table(tmp_path / f"words.{name}", BETA, WORDS, 2, name, overwrite=False)
    table = topic_word_table(BETA, WORDS, 2)
    assert pl.read_parquet(tmp_path / "words.parquet").equals(table)
    kinds = {"topic": pl.Int64, "rank": pl.Int64, "word": pl.String, "probability": pl.Float32}
    assert pl.read_csv(tmp_path / "words.csv", schema=kinds).equals(table)
    with np.load(tmp_path / "words.npz", allow_pickle=False) as arrays:
        assert sorted(arrays) == ["beta", "vocabulary"]
        assert arrays["beta"].tobytes() == BETA.tobytes()
        assert arrays["vocabulary"].tolist() == WORDS


def test_top_0_writes_every_word(tmp_path: Path) -> None:
    write_word_table(tmp_path / "words.parquet", BETA, WORDS, 0, "parquet", overwrite=False)
    assert pl.read_parquet(tmp_path / "words.parquet").height == BETA.size


def test_tables_of_components_name_them(tmp_path: Path) -> None:
    write_doc_table(tmp_path / "doc_component.csv", IDS, STATUS, THETA, "csv", unit="component", overwrite=False)
    assert read_doc_topic(tmp_path, 2, "component").columns[2:] == ["top_component", "component_0", "component_1"]
    write_word_table(tmp_path / "w.csv", BETA, WORDS, 2, "csv", unit="component", overwrite=False)
    assert pl.read_csv(tmp_path / "w.csv").columns == ["component", "rank", "word", "probability"]
    write_doc_table(tmp_path / "d.npz", IDS, STATUS, THETA, "npz", unit="component", overwrite=False)
    write_word_table(tmp_path / "w.npz", BETA, WORDS, 2, "npz", unit="component", overwrite=False)
    for name, array in (("d", "component"), ("w", "component_word")):
        with np.load(tmp_path / f"{name}.npz", allow_pickle=False) as arrays:
            assert array in arrays


# ---------------------------------------------------------------- kept columns

KEPT = pl.DataFrame(
    {
        "label": ["=cmd()", None, "a,b\n'c'"],
        "n": [1, -2, None],
        "share": [0.25, None, -1.5],
        "day": [datetime.date(2020, 2, 29), None, datetime.date(1, 1, 1)],
        "flag": [True, False, True],
        "nothing": [None, None, None],
    }
)


def test_kept_columns_follow_the_last_topic_in_order() -> None:
    table = doc_topic_table(IDS, STATUS, THETA, kept=KEPT)
    plain = doc_topic_table(IDS, STATUS, THETA)
    assert table.columns == [*plain.columns, *KEPT.columns]
    assert table.select(plain.columns).equals(plain)
    assert table.select(KEPT.columns).equals(KEPT)


@pytest.mark.parametrize("kept", [None, pl.DataFrame(), pl.DataFrame(height=3)])
def test_without_kept_columns_the_table_is_unchanged(kept: pl.DataFrame | None) -> None:
    assert doc_topic_table(IDS, STATUS, THETA, kept=kept).equals(doc_topic_table(IDS, STATUS, THETA))


@pytest.mark.parametrize(
    ("unit", "given", "expected"),
    [
        ("topic", ["doc_id", "status", "top_topic"], ["doc_id_", "status_", "top_topic_"]),
        (
            "topic",
            ["topic_0", "topic_25", "topic_x", "topic_", "Status"],
            ["topic_0_", "topic_25_", "topic_x", "topic_", "Status"],
        ),
        ("topic", ["status", "status_", "status__"], ["status___", "status_", "status__"]),
        ("topic", ["status_", "status"], ["status_", "status__"]),
        ("topic", ["component_0", "top_component", "theta"], ["component_0", "top_component", "theta"]),
        ("component", ["component_0", "top_component", "topic_0"], ["component_0_", "top_component_", "topic_0"]),
    ],
)
def test_a_kept_column_named_like_a_column_of_the_table_is_renamed(
    unit: str, given: list[str], expected: list[str]
) -> None:
    kept = pl.DataFrame({name: [f"{name} {row}" for row in range(3)] for name in given})
    table = doc_topic_table(IDS, STATUS, THETA, unit, kept)
    assert table.columns[5:] == expected
    assert table.columns[:5] == doc_topic_table(IDS, STATUS, THETA, unit).columns
    for name, renamed in zip(given, expected, strict=True):
        assert table[renamed].to_list() == kept[name].to_list()


def test_kept_columns_of_other_documents_are_refused() -> None:
    for rows in (1, 2, 4):
        with pytest.raises(InputError, match=f"{rows} rows of kept columns given for 3 documents"):
            doc_topic_table(IDS, STATUS, THETA, kept=pl.DataFrame({"label": ["a"] * rows}))


@pytest.mark.parametrize("unit", ["topic", "component"])
def test_a_table_with_kept_columns_is_read_back_without_them(tmp_path: Path, unit: str) -> None:
    kept = KEPT.with_columns(
        pl.lit("x").alias(f"{unit}_1"), pl.lit("y").alias("status"), pl.lit("z").alias(f"{unit}_x")
    )
    write_doc_table(tmp_path / f"doc_{unit}.csv", IDS, STATUS, THETA, "csv", unit=unit, kept=kept, overwrite=False)
    assert read_doc_topic(tmp_path, 2, unit).equals(doc_topic_table(IDS, STATUS, THETA, unit))


@examples(30)
@given(
    st.dictionaries(
        st.text(st.characters(codec="utf-8", exclude_characters="\0*^"), min_size=1, max_size=6)
        | st.sampled_from(["doc_id", "topic_0", "topic_9", "status_"]),
        st.lists(st.text(st.characters(codec="utf-8"), max_size=5) | st.none(), min_size=3, max_size=3),
        max_size=4,
    )
)
@example({"a": ["\n", '"', "\r\n"], "'": ["", None, ","]})
def test_theta_ids_and_status_are_read_back_exactly_with_any_kept_columns(kept: dict[str, list[str | None]]) -> None:
    frame = pl.DataFrame(kept, schema=dict.fromkeys(kept, pl.String))
    with tempfile.TemporaryDirectory() as folder:
        table = doc_topic_table(IDS, STATUS, THETA, kept=frame)
        formats.write_table(Path(folder, "doc_topic.csv"), table)
        assert read_doc_topic(Path(folder), 2).equals(doc_topic_table(IDS, STATUS, THETA))


@pytest.mark.parametrize("kind", [pl.String, pl.Categorical, pl.Enum(["=cmd()", "ok", "-1"])])
def test_a_kept_formula_is_guarded(tmp_path: Path, kind: Any) -> None:
    kept = pl.DataFrame({"label": pl.Series(["=cmd()", "ok", "-1"], dtype=kind)})
    write_doc_table(tmp_path / "t.csv", IDS, STATUS, THETA, "csv", kept=kept, overwrite=False)
    assert (tmp_path / "t.csv").read_text("utf-8").split("\n") == [
        "doc_id,status,top_topic,topic_0,topic_1,label",
        "1,ok,1,0.2,0.8,'=cmd()",
        "'=b,oov,,0.5,0.5,ok",
        '"c,d",ok,0,0.6,0.4,-1',
        "",
    ]
    write_doc_table(tmp_path / "t.parquet", IDS, STATUS, THETA, "parquet", kept=kept, overwrite=False)
    assert pl.read_parquet(tmp_path / "t.parquet")["label"].to_list() == ["=cmd()", "ok", "-1"]


def test_kept_columns_are_arrays_of_an_npz(tmp_path: Path) -> None:
    kept = KEPT.with_columns(
        theta=pl.Series([1, 2, 3], dtype=pl.UInt8),
        file=pl.Series(["a", "bb", "é\u2028"]),
        big=pl.Series([2**60 + 1, None, 1]),
        maybe=pl.Series([True, None, False]),
        price=pl.Series(["1.10", "2", "3"]).cast(pl.Decimal(10, 2)),
    )
    write_doc_table(tmp_path / "t.npz", IDS, STATUS, THETA, "npz", kept=kept, overwrite=False)
    with np.load(tmp_path / "t.npz", allow_pickle=False) as arrays:
        found = {name: arrays[name] for name in arrays.files}
    assert list(found) == ["doc_id", "status", "theta", *KEPT.columns, "theta_", "file", "big", "maybe", "price"]
    assert found["theta"].tobytes() == THETA.tobytes()
    assert found["doc_id"].tolist() == IDS
    assert found["label"].tolist() == ["=cmd()", "", "a,b\n'c'"]
    np.testing.assert_array_equal(found["n"], [1, -2, np.nan])
    np.testing.assert_array_equal(found["share"], [0.25, np.nan, -1.5])
    assert found["day"].tolist() == ["2020-02-29", "", "0001-01-01"]
    assert found["flag"].dtype == np.bool_
    assert found["nothing"].tolist() == ["", "", ""]
    assert found["theta_"].dtype == np.uint8
    assert found["file"].tolist() == ["a", "bb", "é\u2028"]
    assert found["big"].tolist() == [str(2**60 + 1), "", "1"]
    np.testing.assert_array_equal(found["maybe"], [1, np.nan, 0])
    assert found["price"].tolist() == ["1.10", "2.00", "3.00"]


@examples(40)
@given(
    st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=9), max_size=12),
    st.integers(1, 30),
)
def test_a_string_array_written_in_slices_is_complete(texts: list[str], characters: int) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patched:
        patched.setattr(tables, "ARRAY_SLICE", characters)
        theta = np.full((len(texts), 1), 1, dtype=np.float32)
        write_doc_table(Path(folder, "t"), texts, ["ok"] * len(texts), theta, "npz", overwrite=False)
        with np.load(Path(folder, "t"), allow_pickle=False) as arrays:
            assert arrays["doc_id"].tolist() == texts
            assert arrays["doc_id"].dtype == np.array(texts or [""], dtype=str).dtype


@pytest.mark.parametrize("name", FORMATS)
def test_an_existing_file_is_replaced_only_with_overwrite(tmp_path: Path, name: str) -> None:
    path = tmp_path / "old"
    path.write_text("old")
    with pytest.raises(OutputError, match="--overwrite"):
        write_doc_table(path, IDS, STATUS, THETA, name, overwrite=False)
    with pytest.raises(OutputError, match="--overwrite"):
        write_word_table(path, BETA, WORDS, 2, name, overwrite=False)
    assert path.read_text() == "old"
    write_doc_table(path, IDS, STATUS, THETA, name, overwrite=True)
    assert path.read_bytes() != b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["old"]

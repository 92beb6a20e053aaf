"""Tables: what doc_topic.csv and topic_word.csv hold, and that theta and ids come back as they were."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from topicnet import files
from topicnet.errors import BundleError, InputError, OutputError
from topicnet.tables import (
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
        files.write_table(Path(folder, "doc_topic.csv"), doc_topic_table(ids, status, theta))
        return read_doc_topic(Path(folder), theta.shape[1])


# ---------------------------------------------------------------- documents by topics


def test_a_row_a_document_with_its_status_top_topic_and_theta() -> None:
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


def test_of_equal_topics_the_first_is_on_top() -> None:
    assert doc_topic_table(["a"], ["ok"], np.full((1, 3), 1 / 3, dtype=np.float32))["top_topic"].to_list() == [0]


def test_no_documents_are_a_table_of_the_same_columns() -> None:
    table = doc_topic_table([], [], np.zeros((0, 2), dtype=np.float32))
    assert table.height == 0
    assert table.schema == doc_topic_table(["a"], ["ok"], THETA[:1]).schema
    assert round_trip([], [], np.zeros((0, 2), dtype=np.float32)).equals(table)


def test_the_file_is_the_one_of_the_design(tmp_path: Path) -> None:
    write_doc_table(tmp_path / "t.csv", IDS, STATUS, THETA, "csv", overwrite=False)
    assert (tmp_path / "t.csv").read_text("utf-8").split("\n") == [
        "doc_id,status,top_topic,topic_0,topic_1",
        "1,ok,1,0.2,0.8",
        "'=b,oov,,0.5,0.5",
        '"c,d",ok,0,0.6,0.4',
        "",
    ]


theta_rows = st.lists(st.floats(0, 1, width=32), min_size=3, max_size=3)


@settings(max_examples=150)
@given(st.lists(st.tuples(st.sampled_from(["ok", "empty", "oov"]), theta_rows), max_size=8))
@example([("ok", [0.1, 2.0**-149, 1 - 2.0**-24])])
def test_theta_and_status_come_back_bit_for_bit(rows: list[tuple[str, list[float]]]) -> None:
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
def test_an_id_comes_back_whatever_it_holds(doc_id: str) -> None:
    for ids in ([doc_id], [doc_id, "next"], ["before", doc_id]):
        again = round_trip(ids, ["ok"] * len(ids), THETA[: len(ids)])
        assert again["doc_id"].to_list() == ids


@pytest.mark.parametrize("doc_id", ["'=x", "'@x", "'+5", "'-x", "'\t"])
def test_an_id_that_looks_quoted_by_us_already_comes_back(doc_id: str) -> None:
    assert round_trip([doc_id], ["ok"], THETA[:1])["doc_id"].to_list() == [doc_id]


@settings(max_examples=150)
@given(st.lists(st.text(st.sampled_from('=+-@\t\r\n",1e.a ') | st.characters(exclude_categories=("Cs",)))))
def test_any_ids_come_back(ids: list[str]) -> None:
    ids = [doc_id.lstrip("'") for doc_id in ids]  # the test above has those
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
def test_a_damaged_table_is_one_line(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "doc_topic.csv").write_bytes(content)
    with pytest.raises(BundleError, match=r"doc_topic.csv in .* cannot be read") as caught:
        read_doc_topic(tmp_path, 2)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("lost", [5, 6, 10])
def test_a_table_cut_off_within_a_row_is_refused(tmp_path: Path, lost: int) -> None:
    files.write_table(tmp_path / "doc_topic.csv", doc_topic_table(IDS, STATUS, THETA))
    content = (tmp_path / "doc_topic.csv").read_bytes()
    assert content.endswith(b",0.6,0.4\n")
    (tmp_path / "doc_topic.csv").write_bytes(content[:-lost])
    with pytest.raises(BundleError):
        read_doc_topic(tmp_path, 2)


# ---------------------------------------------------------------- topics by words


def test_the_words_of_a_topic_by_falling_probability() -> None:
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


def test_more_words_than_there_are_give_all_of_them() -> None:
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
def test_the_format_asked_for_beats_the_ending(path: str, asked: str | None, expected: str) -> None:
    assert choose_format(Path(path), asked) == expected


@pytest.mark.parametrize(
    ("path", "asked", "said"),
    [
        ("theta", None, "file 'theta'"),
        ("theta.txt", None, "file 'theta.txt'"),
        (".csv", None, "file '.csv'"),
        ("theta.csv", "", "--format ''"),
        ("theta.csv", "CSV", "--format 'CSV'"),
        ("theta.csv", "x\ny", "--format"),
    ],
)
def test_an_unknown_format_is_refused_with_the_known_ones(path: str, asked: str | None, said: str) -> None:
    with pytest.raises(InputError) as caught:
        choose_format(Path(path), asked)
    message = str(caught.value)
    assert message.startswith(said)
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


@pytest.mark.parametrize("name", FORMATS)
def test_an_existing_file_is_replaced_only_when_asked_for(tmp_path: Path, name: str) -> None:
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

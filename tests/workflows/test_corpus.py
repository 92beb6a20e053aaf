"""Every kind of corpus a configuration can name is read and counted, and oddities are reported in notices."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import topicnet
from tests.support.corpora import themed_documents
from topicnet.errors import CorpusError, InputError, TopicnetError
from topicnet.experiments.workspace import read_parts
from topicnet.runtime.reporter import Reporter
from topicnet.storage.mapped import is_mapped
from topicnet.text.corpus import Corpus
from topicnet.text.interchange.bags import write_ldac
from topicnet.text.readers.documents import Documents, ReadingLog, ReadingOptions
from topicnet.text.readers.in_memory import documents_of_texts
from topicnet.text.tokens.options import TextOptions
from topicnet.workflows.config import FitConfig, read_config
from topicnet.workflows.corpus import (
    CorpusRequest,
    Counting,
    InMemory,
    SavedCounts,
    TextFiles,
    count_every_word,
    read_corpus,
    resolve_corpus,
    resolve_source,
)
from topicnet.workflows.evaluate import _counted
from topicnet.workflows.text_options import COUNTING_OPTIONS, TextPlan, kept_columns, resolve_text, with_vocabulary

TEXTS = themed_documents(40)
ROWS = [{"id": f"d{n}", "text": text, "theme": n % 4} for n, text in enumerate(TEXTS)]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a working directory with a corpus and its counts."""
    monkeypatch.chdir(tmp_path)
    write_rows("corpus.jsonl", ROWS)
    counts = read(of("corpus.jsonl"), Path("."))
    counts.save(tmp_path / "counts")
    for path in tmp_path.glob("*.npy"):
        path.unlink()
    return tmp_path


def write_rows(name: str, rows: list[Any]) -> None:
    lines = (row if isinstance(row, str) else json.dumps(row) for row in rows)
    Path(name).write_text("".join(f"{line}\n" for line in lines), "utf-8")


def of(corpus: str | list[str] | None, **given: Any) -> FitConfig:
    return read_config(None, {"corpus": corpus, **given})


def read(
    config: FitConfig, folder: Path | None = None, *, excerpts: bool = True, reported: list[str] | None = None
) -> Corpus:
    """Read the corpus that a configuration names; notices are appended to `reported`."""
    reporter = Reporter() if reported is None else Reporter(reported.append)
    return read_corpus(resolve_corpus(config), reporter, Counting(folder, excerpts=excerpts))


def every_word(config: FitConfig, make: Any) -> Corpus:
    return count_every_word(resolve_corpus(config), make)


def refused(config: FitConfig) -> str:
    """Return the error message, checked to be one line, of reading a corpus."""
    with pytest.raises(TopicnetError) as caught:
        read(config)
    assert str(caught.value).isprintable()
    return str(caught.value)


# ---------------------------------------------------------------- names


@pytest.mark.parametrize(
    ("corpus", "name"),
    [
        ("corpus.jsonl", "corpus"),
        ("posts/Corpus.csv.zst", "Corpus"),
        ("posts/part-*.csv", "part"),
        ("-", "stdin"),
        ("lee", "lee"),
        (["b.csv", "a.csv"], "b"),
    ],
)
def test_a_corpus_is_named_after_its_source(corpus: str | list[str], name: str) -> None:
    assert resolve_source(of(corpus)).name == name


@pytest.mark.parametrize("corpus", [None, "", []])
def test_a_configuration_without_a_corpus_is_refused(corpus: Any) -> None:
    with pytest.raises(InputError, match="no corpus was given"):
        resolve_source(of(corpus))


def test_a_name_that_is_also_a_file_here_is_refused(here: Path) -> None:
    (here / "lee").mkdir()
    assert "./lee" in refused(of("lee"))
    (here / "lee" / "a.txt").write_text("planet orbit\n")
    (here / "lee" / "b.txt").write_text("oven butter\n")
    assert read(of("./lee")).ids == ["a.txt", "b.txt"]


def test_counts_are_distinguished_from_texts(here: Path) -> None:
    found = resolve_source(of("counts"))
    assert isinstance(found, SavedCounts)
    assert found.folder == Path("counts")
    for corpus in ("corpus.jsonl", ".", "-", "none"):
        assert isinstance(resolve_source(of(corpus)), TextFiles)
    assert isinstance(resolve_source(of("-", file_format="ldac")), TextFiles)
    counted = found.load()
    assert counted.folder == Path("counts")
    assert is_mapped(counted.counts.data)


@pytest.mark.parametrize("corpus", [["counts", "corpus.jsonl"], ["corpus.jsonl", "bag.ldac"], ["counts", "counts"]])
def test_counts_together_with_other_sources_are_refused(corpus: list[str], here: Path) -> None:
    counted = read(of("counts"))
    write_ldac("bag.ldac", counted.counts, counted.vocabulary)
    reported = refused(of(corpus))
    assert "holds counts" in reported
    assert repr(corpus[0] if corpus[0] == "counts" else corpus[1]) in reported


def test_the_default_language_is_that_of_the_named_corpus_or_english(here: Path) -> None:
    assert read(of("corpus.jsonl")).source["options"]["lang"] == "en"
    assert read(of("corpus.jsonl", lang="de")).source["options"]["lang"] == "de"
    assert read(of("lee")).source["options"]["lang"] == "en"


# ---------------------------------------------------------------- counting


def test_texts_and_their_counts_are_the_same_corpus(here: Path) -> None:
    texts, counts = read(of("corpus.jsonl")), read(of("counts"))
    np.testing.assert_array_equal(texts.counts.toarray(), counts.counts.toarray())
    np.testing.assert_array_equal(texts.tokens, counts.tokens)
    assert texts.vocabulary == counts.vocabulary
    assert texts.ids == counts.ids == [row["id"] for row in ROWS]
    assert texts.metadata.equals(counts.metadata)
    assert texts.source == counts.source
    assert texts.excerpts[0].startswith(TEXTS[0][:20])


@pytest.mark.parametrize("excerpts", [True, False])
def test_counts_are_written_to_the_folder_given(excerpts: bool, here: Path) -> None:
    place = here / "place"
    place.mkdir()
    corpus = read(of("corpus.jsonl"), place, excerpts=excerpts)
    assert is_mapped(corpus.counts.data)
    assert is_mapped(corpus.tokens)
    assert {path.name for path in place.iterdir()} == {"data.npy", "indices.npy", "indptr.npy", "tokens.npy"}
    assert (corpus.excerpts[0] != "") is excerpts


@pytest.mark.parametrize(
    "name", [*COUNTING_OPTIONS, "vocabulary", "id_column", "encoding", "file_format", "skip_bad_rows"]
)
def test_options_on_text_are_refused_for_counts(name: str, here: Path) -> None:
    values = {"min_df": 2, "max_df": 0.5, "max_vocab": 7, "lang": "de", "encoding": "latin-1", "file_format": "csv"}
    kind = FitConfig.model_fields[name].annotation
    reported = refused(of("counts", **{name: values.get(name, True if kind is bool else "words.txt")}))
    assert ("--format" if name == "file_format" else "--" + name.replace("_", "-")) in reported
    assert "'counts'" in reported
    assert "holds counts, not text" in reported


@pytest.mark.parametrize("name", COUNTING_OPTIONS)
def test_options_on_text_are_refused_for_counts_of_another_tool(name: str, here: Path) -> None:
    corpus = read(of("counts"))
    write_ldac("bag.ldac", corpus.counts, corpus.vocabulary)
    values = {"min_df": 2, "max_df": 0.5, "max_vocab": 7, "lang": "de"}
    kind = FitConfig.model_fields[name].annotation
    reported = refused(of("bag.ldac", **{name: values.get(name, True if kind is bool else "words.txt")}))
    assert "--" + name.replace("_", "-") in reported
    bag = read(of("bag.ldac", vocabulary="bag.vocab"))
    np.testing.assert_array_equal(bag.counts.toarray(), corpus.counts.toarray())
    assert bag.source["reading_order"] is False
    assert bag.source["options"]["counted_elsewhere"] is True


def test_an_octis_folder_is_counted_in_its_own_vocabulary(here: Path) -> None:
    (here / "octis").mkdir()
    Path("octis/corpus.tsv").write_text("the b2b cat\ttrain\t0\ncat unknown\tval\t1\n\ttest\t1\n")
    Path("octis/vocabulary.txt").write_text("the\ncat\nb2b\n")
    corpus = read(of("octis"))
    assert corpus.vocabulary == ["b2b", "cat", "the"]
    assert corpus.counts.toarray().tolist() == [[1, 1, 1], [0, 1, 0], [0, 0, 0]]
    assert corpus.status.tolist() == ["ok", "ok", "empty"]
    assert corpus.metadata.to_dict(as_series=False) == {"split": ["train", "val", "test"], "label": ["0", "1", "1"]}


def test_documents_without_a_word_of_their_vocabulary_are_refused_and_quoted(here: Path) -> None:
    (here / "octis").mkdir()
    rows = ["the cat sat", "a dog ran", "one bird sang"]
    Path("octis/corpus.tsv").write_text("".join(f"{n}\t{row}\n" for n, row in enumerate(rows)))
    Path("octis/vocabulary.txt").write_text("cat\ndog\n")
    reported = refused(of("octis"))
    assert "none of the 3 documents holds a word of the vocabulary" in reported
    assert "column 1 of corpus.tsv holds '0', '1', '2', ..." in reported
    assert "The text seems to be column 2" in reported
    assert read(of("octis/corpus.tsv", text_column="2", vocabulary="octis/vocabulary.txt")).n_docs == 3
    write_rows("rows.jsonl", [{"text": str(n), "body": row} for n, row in enumerate(rows)])
    reported = refused(of("rows.jsonl", vocabulary="octis/vocabulary.txt"))
    assert reported.endswith("The text seems to be the column 'body': name it with --text-column")
    Path("other.txt").write_text("zebra\n")
    assert "Check the vocabulary" in refused(of("rows.jsonl", vocabulary="other.txt"))


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("a.csv", "id,text\n" + "1,a b,c,d\n" * 5, "all 5 rows were left out"),
        ("b.jsonl", "{]\n" * 4, "all 4 rows were left out"),
        ("c.mallet", "one\ntwo\n", "all 2 rows were left out"),
        ("d.tsv", 'id\ttext\n1\t"a\n', "the only row was left out"),
    ],
)
def test_if_all_rows_are_skipped_the_first_are_named(name: str, content: str, why: str, here: Path) -> None:
    Path(name).write_text(content)
    reported = refused(of(name, skip_bad_rows=True))
    assert reported.startswith(f"no document is left: {why}, as they could not be read: line ")
    assert f" of {name}: " in reported
    assert reported.endswith("Correct them")
    assert ("; and 2 more." in reported) is (name == "a.csv")


@pytest.mark.parametrize("content", ["", "id,text\n"])
def test_files_without_a_document_are_named(content: str, here: Path) -> None:
    (here / "none.csv").write_text(content)
    with pytest.raises(CorpusError, match=r"'none\.csv' holds no documents"):
        read(of("none.csv"))
    (here / "other.csv").write_text(content)
    with pytest.raises(CorpusError, match=r"'none\.csv' and 1 more hold no documents"):
        read(of(["none.csv", "other.csv"]))


def test_if_no_word_is_left_each_filter_is_named_with_the_number_it_dropped(here: Path) -> None:
    Path("few.txt").write_text("".join(f"the cat and dog x{chr(97 + n)}\n" for n in range(25)))
    assert "no word is left of 27: 25 in fewer than 2 document(s) (--min-df) and 2 in more than 12 (--max-df)" in (
        reported := refused(of("few.txt"))
    )
    assert "after 50 stop words in the text" in reported
    Path("none.txt").write_text("the and\nof it\n")
    assert "4 stop words were left out" in refused(of("none.txt"))


@pytest.mark.parametrize("given", [{"lang": "auto"}, {"min_df": 2}, {"phrases": True}, {"tokenizer": "letters"}])
def test_options_on_words_are_refused_for_an_octis_folder(given: dict[str, Any], here: Path) -> None:
    (here / "octis").mkdir()
    Path("octis/corpus.tsv").write_text("the cat\ncat\n")
    Path("octis/vocabulary.txt").write_text("the\ncat\n")
    assert "the vocabulary of 'octis' is fixed" in refused(of("octis", **given))


def test_every_word_is_counted_without_pruning(here: Path) -> None:
    Path("few.txt").write_text("the cat\nthe dog\n\nthe\n" + "rest\n" * 30)
    every = every_word(of("few.txt"), TextOptions)
    assert every.vocabulary == ["cat", "dog", "rest", "the"]
    assert every.status.tolist()[:4] == ["ok", "ok", "empty", "ok"]
    dropped = every_word(of("few.txt"), lambda lang: TextOptions(lang, stop_words=("the",)))
    assert dropped.vocabulary == ["cat", "dog", "rest"]
    assert dropped.status.tolist()[:4] == ["ok", "ok", "empty", "oov"]
    assert every_word(of("counts"), TextOptions).vocabulary == read(of("counts")).vocabulary


def test_several_text_columns_are_joined_and_recorded(here: Path) -> None:
    rows = [{"title": f"title{n % 3} words", "body": text, "n": n} for n, text in enumerate(TEXTS)]
    write_rows("parts.jsonl", rows)
    config = of("parts.jsonl", text_column=["title", "body"])
    corpus = read(config)
    assert "words" not in corpus.vocabulary  # in all documents
    assert corpus.metadata.columns == ["n"]
    assert FitConfig(**config.model_dump()) == config
    assert "given twice" in refused(of("parts.jsonl", text_column=["body", "body"]))


# ---------------------------------------------------------------- notices


def test_skipped_rows_are_reported_and_listed_with_the_counts(here: Path) -> None:
    write_rows("bad.jsonl", [*ROWS[:2], "not json", *ROWS[2:], {"text": {}}])
    assert "line 3 of bad.jsonl" in refused(of("bad.jsonl"))
    reported: list[str] = []
    corpus = read(of("bad.jsonl", skip_bad_rows=True), reported=reported)
    assert corpus.ids == [row["id"] for row in ROWS]
    assert len(reported) == 1
    assert reported[0].startswith("left out 2 rows that could not be read: line 3 of bad.jsonl")
    assert f"line {len(ROWS) + 2} of bad.jsonl" in reported[0]
    assert reported[0].isprintable()
    assert corpus.source["skipped"]["rows"] == 2
    assert [where.split(":")[0] for where in corpus.source["skipped"]["listed"]] == [
        "line 3 of bad.jsonl",
        f"line {len(ROWS) + 2} of bad.jsonl",
    ]
    corpus.save(here / "kept")
    assert Corpus.load(here / "kept").source["skipped"] == corpus.source["skipped"]


def test_only_the_first_of_many_skipped_rows_are_listed(here: Path) -> None:
    write_rows("bad.jsonl", [*ROWS, *["{"] * 50])
    reported: list[str] = []
    corpus = read(of("bad.jsonl", skip_bad_rows=True), reported=reported)
    assert corpus.source["skipped"]["rows"] == 50
    assert len(corpus.source["skipped"]["listed"]) == 20
    assert reported[0].endswith("and 30 more")
    write_rows("one.jsonl", [*ROWS, "{"])
    read(of("one.jsonl", skip_bad_rows=True), reported=reported)
    assert reported[1].startswith("left out 1 row that")


def test_without_skipped_rows_there_is_no_notice(here: Path) -> None:
    reported: list[str] = []
    corpus = read(of("corpus.jsonl", skip_bad_rows=True), reported=reported)
    assert reported == []
    assert "skipped" not in corpus.source


def test_repeated_ids_are_reported_and_all_rows_kept(here: Path) -> None:
    write_rows("twice.jsonl", [row | {"id": f"d{n // 2}"} for n, row in enumerate(ROWS)])
    reported: list[str] = []
    corpus = read(of("twice.jsonl"), here, reported=reported)
    assert corpus.ids == [f"d{n // 2}" for n in range(len(ROWS))]
    assert reported == ["20 documents share an id with another document (e.g. 'd0'); all are kept, in input order"]
    corpus.save(here / "twice")
    assert read(of("twice"), reported=reported).ids == corpus.ids
    assert reported[1] == reported[0]  # a fit of the counts reports it too


def test_one_repeated_id_is_reported_in_the_singular(here: Path) -> None:
    write_rows("twice.jsonl", [row | {"id": f"d{max(n, 1)}"} for n, row in enumerate(ROWS)])
    reported: list[str] = []
    read(of("twice.jsonl"), reported=reported)
    assert reported == ["1 document shares an id with another document (e.g. 'd1'); all are kept, in input order"]


def test_the_detected_language_is_reported_and_recorded(here: Path) -> None:
    Path("de.txt").write_text("Der Hund und die Katze sind in dem Haus\nDie Stadt ist nicht weit von der Küste\n" * 5)
    reported: list[str] = []
    found = read(of("de.txt", lang="auto"), reported=reported)
    named = read(of("de.txt", lang="de"))
    assert reported[0] == "language: de (100 % of 10 sampled documents agree)"
    assert reported[1].startswith("8 documents repeat the text of an earlier one")
    assert found.source["language"] == reported[0]
    assert found.vocabulary == named.vocabulary
    assert found.source["options"] == named.source["options"]


def test_an_undetectable_language_is_an_error(here: Path) -> None:
    assert "give --lang" in refused(of("corpus.jsonl", lang="auto"))
    Path("two.txt").write_text("the cat and the dog are in the house\nder Hund und die Katze sind im Haus\n" * 10)
    assert "several languages" in refused(of("two.txt", lang="auto"))
    Path("empty.txt").write_text("")
    assert "'empty.txt' holds no documents" in refused(of("empty.txt", lang="auto"))


# ---------------------------------------------------------------- columns


def test_columns_are_kept_once_each_in_the_order_named() -> None:
    config = of("x", label_column="label", time_column="year", keep_columns=["note", "label", "year", "a"])
    assert kept_columns(config) == ("label", "year", "note", "a")
    assert kept_columns(of("x")) == ()


@pytest.mark.parametrize("corpus", ["corpus.jsonl", "counts"])
@pytest.mark.parametrize(
    "given", [{"label_column": "topic"}, {"time_column": "year"}, {"keep_columns": ["theme", "note"]}]
)
def test_a_missing_column_is_refused_with_a_list_of_those_that_exist(
    corpus: str, given: dict[str, Any], here: Path
) -> None:
    reported = refused(of(corpus, **given))
    assert repr(next(iter(given.values()))).strip("[]").rpartition(", ")[2] in reported
    assert "theme" in reported
    read(of(corpus, label_column="theme"))


def test_a_column_of_a_corpus_without_columns_is_refused(here: Path) -> None:
    Path("plain.txt").write_text("\n".join(TEXTS))
    assert "none other than the text" in refused(of("plain.txt", label_column="label"))


# ---------------------------------------------------------------- options


def test_text_options_contain_everything_configured(here: Path) -> None:
    Path("stop.txt").write_text("# mine\nTeam goal\n")
    Path("more.txt").write_text("planet\n")
    given = dict.fromkeys(("lemmatize", "phrases", "drop_urls", "drop_emails", "strip_html", "keep_numbers"), True)
    config = of(
        "x", stop_words="stop.txt", add_stop_words="more.txt", min_df=3, max_df=0.4, max_vocab=9, tokenizer="letters",
        **given,
    )  # fmt: skip
    options = resolve_text(config).options("de")
    assert options.lang == "de"
    assert options.stop_words == ("Team", "goal")
    assert options.more_stop_words == ("planet",)
    assert options.dropped() == ["goal", "planet", "team"]
    assert (options.pruning.min_df, options.pruning.max_df, options.pruning.max_vocab) == (3, 0.4, 9)
    assert options.lemmatize
    assert options.phrases is True
    assert all(options.cleaning.describe().values())
    assert resolve_text(of("x")).options("en") == TextOptions("en")


def test_a_vocabulary_is_tokenised_like_the_text_and_lines_of_several_words_are_phrases(here: Path) -> None:
    Path("words.txt").write_text("Häuser\nNew York\nprime_minister\n\n# no word\nHÄUSER\n", "utf-8")
    options = resolve_text(of("x", vocabulary="words.txt")).options("none")
    assert options.vocabulary == ("häuser", "new_york", "prime_minister")
    assert options.phrases == (("new", "york"), ("prime", "minister"))
    lemmas = resolve_text(of("x", vocabulary="words.txt", lemmatize=True)).options("de")
    assert lemmas.vocabulary is not None
    assert lemmas.vocabulary[0] == "haus"
    spaced = resolve_text(of("x", vocabulary="words.txt", tokenizer="spaces")).options("none")
    assert spaced.phrases is False


@pytest.mark.parametrize("name", ["vocabulary", "stop_words", "add_stop_words"])
def test_an_unreadable_list_of_words_is_named(name: str, here: Path) -> None:
    (here / "binary.txt").write_bytes(b"\xff\xfe\x00")
    for path in ("none.txt", ".", "binary.txt"):
        assert repr(path) in refused(of("corpus.jsonl", **{name: path}))


def test_only_the_words_of_a_vocabulary_are_counted(here: Path) -> None:
    Path("words.txt").write_text("team\nGOAL\nnew york\nzebra\n")
    corpus = read(of("corpus.jsonl", vocabulary="words.txt"))
    assert corpus.vocabulary == ["goal", "new_york", "team", "zebra"]
    expected = [[text.split().count("goal"), 0, text.split().count("team"), 0] for text in TEXTS]
    assert corpus.counts.toarray().tolist() == expected
    assert corpus.source["options"]["vocabulary"] == "given"


def test_words_given_in_python_can_be_phrases_too() -> None:
    options = with_vocabulary(TextOptions("en"), ["new_york", "team"])
    assert options.phrases == (("new", "york"),)
    corpus = Corpus.from_texts(["the team of New York", "York new"], options=options)
    assert corpus.counts.toarray().tolist() == [[1, 1], [0, 0]]


# ---------------------------------------------------------------- corpora in memory, test documents


def test_tables_and_texts_in_memory_give_the_same_counts() -> None:
    table = pl.DataFrame({"key": ["a", "b"], "body": ["aa bb", None], "label": [1, 2]})

    def counted(texts: Any, ids: list[str] | None = None, columns: tuple[str, ...] = ()) -> Corpus:
        return read_corpus(
            CorpusRequest(InMemory(texts, ids, ReadingOptions("body", "key")), TextPlan("none"), columns)
        )

    from_table, from_pandas = counted(table), counted(table.to_pandas())
    from_texts = counted(["aa bb", ""], ["a", "b"])
    for corpus in (from_table, from_pandas, from_texts):
        assert corpus.ids == ["a", "b"]
        assert corpus.counts.toarray().tolist() == [[1, 1], [0, 0]]
        assert corpus.status.tolist() == ["ok", "empty"]
        assert corpus.source["name"] == "texts"
        assert corpus.source["sha256"] == from_table.source["sha256"]
    assert from_table.metadata["label"].to_list() == [1, 2]
    with pytest.raises(InputError, match="id_column"):
        counted(table, ["a", "b"])
    with pytest.raises(CorpusError, match="topic"):
        counted(table, None, ("label", "topic"))


def test_test_documents_are_counted_in_the_vocabulary_of_the_corpus(here: Path) -> None:
    """`compare` and `tune` tokenise them like the corpus, with its lemmas and phrases."""
    Path("train.txt").write_text("Die Häuser in New York sind alt\nDas Haus am Berg\n" * 12)
    Path("test.txt").write_text("Ein Haus in New York\n\nunbekannt\nBerge\n")
    corpus, test = read_parts(
        resolve_corpus(of("train.txt", lang="auto", lemmatize=True, phrases=True, max_df=1.0)), of("test.txt"), 2
    )
    assert test is not None
    assert test.vocabulary == corpus.vocabulary == ["alt", "berg", "haus", "new_york"]
    assert test.counts.toarray().tolist() == [[0, 0, 1, 1], [0, 0, 0, 0], [0, 0, 0, 0], [0, 1, 0, 0]]
    assert test.tokens.tolist() == [2, 3, 1]
    with pytest.raises(InputError, match="none of the 40 documents"):
        read_parts(resolve_corpus(of("train.txt", lang="de")), of("corpus.jsonl"), 2)


def test_documents_are_read_once_and_in_order(here: Path) -> None:
    write_rows("second.jsonl", [{"text": "more"}, {"text": "and more"}, "{"])
    log = ReadingLog()
    batches = list(resolve_source(of(["corpus.jsonl", "second.jsonl"], skip_bad_rows=True)).documents(log))
    assert all(isinstance(batch, Documents) for batch in batches)
    assert [i for batch in batches for i in batch.ids] == [*(row["id"] for row in ROWS), "41", "42"]
    assert log.skipped.count == 1
    lee = [text for batch in resolve_source(of("lee")).documents(ReadingLog()) for text in batch.texts]
    assert len(lee) == 300


def test_test_documents_are_counted_as_transform_counts_them(here: Path) -> None:
    """Stop words are dropped as stored: tokenised and lemmatised a second time, some would change."""
    texts = ["better meetings left the best leaves", "was leaving better teams meeting", "dogs and better leaves"] * 8
    run = topicnet.fit(texts, n_topics=2, max_epochs=1, init="random", lemmatize=True, max_df=1.0)
    (here / "test.txt").write_text("\n".join(texts) + "\n")
    counted = _counted(run.bundle, of("test.txt"), Reporter())
    assert np.array_equal(
        counted.over.counts.toarray(), run.bundle.count([documents_of_texts(texts, None)]).counts.toarray()
    )

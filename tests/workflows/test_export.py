"""Transform and export: theta of new documents in every form, and the counts of a run for other tools."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import topicnet
from tests.support.command_line import snapshot
from tests.support.corpora import themed_documents
from topicnet.errors import CorpusError, InputError, TopicnetError
from topicnet.runtime.reporter import Reporter
from topicnet.text.corpus import Corpus
from topicnet.text.interchange.bags import read_bag
from topicnet.workflows.config import read_config
from topicnet.workflows.corpus import counts_of
from topicnet.workflows.export import export_tables
from topicnet.workflows.prepare import prepare
from topicnet.workflows.run import Run
from topicnet.workflows.transform import transform_to_file, with_columns_of

ROWS = [{"id": f"d{n}", "text": text, "theme": n % 4, "note": f"n{n}"} for n, text in enumerate(themed_documents(40))]
NEW = [{"id": "a", "text": "team goal orbit zebra"}, {"id": "b", "text": ""}, {"id": "c", "text": "zebra"}]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a corpus, its counts and a run; tests must not change it."""
    folder = tmp_path_factory.mktemp("made")
    pl.DataFrame(ROWS).write_parquet(folder / "corpus.parquet")
    prepare(
        read_config(None, {"corpus": str(folder / "corpus.parquet")}), folder / "counts", Reporter(), overwrite=False
    )
    fitted = topicnet.fit(Corpus.load(folder / "counts"), n_topics=3, max_epochs=1, init="random", device="cpu")
    fitted.save(folder / "run")
    return folder


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    pl.DataFrame(NEW).write_ndjson("new.jsonl")
    return tmp_path


def transform(run: Path, corpus: str | Path | list[str], out: str, *, overwrite: bool = False, **given: Any) -> Corpus:
    config = read_config(None, {"corpus": corpus if isinstance(corpus, list) else str(corpus), **given})
    return transform_to_file(run, config, Path(out), refine=0, overwrite=overwrite)


def export(
    run: Path, targets: Mapping[str, str | None], file_format: str | None = None, *, overwrite: bool = False
) -> list[str]:
    return export_tables(
        run,
        {name: None if path is None else Path(path) for name, path in targets.items()},
        file_format,
        50,
        overwrite=overwrite,
    )


def table(path: str | Path) -> pl.DataFrame:
    return pl.read_csv(path, infer_schema=False)


def message(error: pytest.ExceptionInfo[TopicnetError]) -> str:
    assert str(error.value).isprintable()
    return str(error.value)


# ---------------------------------------------------------------- new documents


def test_transform_of_the_corpus_of_the_fit_gives_the_theta_of_the_fit(made: Path, here: Path) -> None:
    expected = (made / "run" / "doc_topic.csv").read_bytes()
    for number, source in enumerate((made / "corpus.parquet", made / "counts", made / "run" / "corpus")):
        corpus = transform(made / "run", source, f"{number}.csv")
        assert corpus.n_docs == 40
        assert Path(f"{number}.csv").read_bytes() == expected
    export(made / "run", {"counts": "bag.ldac"})
    transform(made / "run", "bag.ldac", "bag.csv")
    assert table("bag.csv").drop("doc_id").equals(table(made / "run" / "doc_topic.csv").drop("doc_id"))
    assert table("bag.csv")["doc_id"].to_list() == [str(n) for n in range(1, 41)]


def test_n_new_documents_are_n_rows_in_order_with_their_status(made: Path, here: Path) -> None:
    transform(made / "run", "new.jsonl", "theta.csv")
    found = table("theta.csv")
    assert found["doc_id"].to_list() == ["a", "b", "c"]
    assert found["status"].to_list() == ["ok", "empty", "oov"]
    assert found["top_topic"].null_count() == 2
    theta = found.select("^topic_.*$").cast(pl.Float32).to_numpy()
    assert theta.sum(1) == pytest.approx(np.ones(3), abs=1e-6)
    assert np.array_equal(theta[1], theta[2])
    assert not np.array_equal(theta[0], theta[1])
    transform(made / "run", ["new.jsonl", "new.jsonl"], "twice.parquet")
    assert pl.read_parquet("twice.parquet")["doc_id"].to_list() == ["a", "b", "c"] * 2


@pytest.mark.parametrize("source", ["corpus.parquet", "counts"])
@pytest.mark.parametrize("ending", ["csv", "parquet", "npz"])
def test_kept_columns_are_written_in_every_format(source: str, ending: str, made: Path, here: Path) -> None:
    transform(made / "run", made / source, f"t.{ending}", label_column="theme", keep_columns=["note"])
    if ending == "npz":
        with np.load("t.npz", allow_pickle=False) as arrays:
            found: dict[str, list[Any]] = {name: arrays[name].tolist() for name in ("theme", "note", "doc_id")}
    else:
        read = pl.read_parquet("t.parquet") if ending == "parquet" else pl.read_csv("t.csv")
        assert read.columns[-2:] == ["theme", "note"]
        found = read.to_dict(as_series=False)
    for name, column in (("theme", "theme"), ("note", "note"), ("doc_id", "id")):
        assert found[name] == [row[column] for row in ROWS]


def test_plain_text_needs_no_columns_of_the_fit(made: Path, here: Path) -> None:
    (here / "run").mkdir()
    record = json.loads((made / "run" / "run.json").read_text())
    record["config"] |= {"text_column": "answer"}
    (here / "run" / "run.json").write_text(json.dumps(record))
    Path("new.txt").write_text("team goal\n")
    for corpus, column in (("new.txt", "text"), ("new.jsonl", "answer"), ("-", "text")):
        assert with_columns_of(here / "run", read_config(None, {"corpus": corpus})).text_column == column


@pytest.mark.parametrize("source", ["corpus.parquet", "counts"])
def test_a_missing_column_is_refused_and_nothing_written(source: str, made: Path, here: Path) -> None:
    before = snapshot(here)
    with pytest.raises(CorpusError) as caught:
        transform(made / "run", made / source, "t.csv", label_column="topic")
    assert "'topic'" in message(caught)
    assert "theme, note" in message(caught)
    assert snapshot(here) == before


def test_documents_that_cannot_be_transformed_are_refused_in_one_line(made: Path, here: Path) -> None:
    Path("empty.txt").write_text("")
    Path("taken.csv").write_text("mine")
    before = snapshot(here)
    cases: list[tuple[Any, str, str]] = [
        ("empty.txt", "t.csv", "holds no documents"),
        ("none.txt", "t.csv", "none.txt"),
        (str(made / "run"), "t.csv", "a run of topicnet"),
        ("new.jsonl", "taken.csv", "--overwrite"),
        ("new.jsonl", "t.xlsx", "csv, parquet, npz"),
    ]
    for source, out, word in cases:
        with pytest.raises(TopicnetError) as caught:
            transform(made / "run", source, out)
        assert word in message(caught)
    assert snapshot(here) == before
    with pytest.raises(TopicnetError, match="refusing to replace 'taken"):
        transform(made / "run", "new.jsonl", "taken.csv", overwrite=True)
    assert snapshot(here) == before
    for out in ("t.csv", "t.parquet", "t.npz"):
        for _ in range(2):
            transform(made / "run", "new.jsonl", out, overwrite=True)
    assert table("t.csv").height == 3


def test_a_model_of_counts_of_another_tool_reports_its_tokenizer(made: Path, here: Path) -> None:
    export(made / "run", {"counts": "bag.mm"})
    bag = read_bag("bag.mm", file_format="mm")
    corpus = Corpus.from_counts(bag.counts, bag.vocabulary, bag.ids, name=bag.name)
    topicnet.fit(corpus, n_topics=3, max_epochs=1, init="random", device="cpu").save("theirs")
    notices: list[str] = []
    config = read_config(None, {"corpus": str(made / "corpus.parquet")})
    transform_to_file(
        Path("theirs"), config, Path("t.csv"), refine=0, overwrite=False, reporter=Reporter(notices.append)
    )
    assert notices == ["the model was fitted to counts of another tool: the text is tokenised by unicode-letters-2"]
    assert Path("t.csv").read_bytes() == (made / "run" / "doc_topic.csv").read_bytes()


# ---------------------------------------------------------------- counts for other tools


@pytest.mark.parametrize("name", ["x.ldac", "x.mm", "x.ldac.gz", "x.mtx"])
@pytest.mark.parametrize("source", ["run", "counts"])
def test_counts_are_written_and_read_back(source: str, name: str, made: Path, here: Path) -> None:
    lines = export(made / source, {"counts": name})
    assert lines == [f"wrote {name}", "wrote x.vocab"]
    assert sorted(path.name for path in here.iterdir()) == sorted(["new.jsonl", "x.vocab", name])
    kind = "ldac" if "ldac" in name else "mm"
    bag, corpus = read_bag(name, file_format=kind), Corpus.load(made / "counts")
    np.testing.assert_array_equal(bag.counts.toarray(), corpus.counts.toarray())
    assert bag.vocabulary == corpus.vocabulary


def test_the_format_option_overrides_the_ending(made: Path, here: Path) -> None:
    export(made / "counts", {"counts": "x.dat"}, "ldac")
    corpus = Corpus.load(made / "counts")
    np.testing.assert_array_equal(read_bag("x.dat", file_format="ldac").counts.toarray(), corpus.counts.toarray())


def test_several_tables_are_written_at_once(made: Path, here: Path) -> None:
    lines = export(made / "run", {"doc-topic": "d.parquet", "counts": "x.mm", "topic-word": "w.npz"})
    assert sorted(lines) == ["wrote d.parquet", "wrote w.npz", "wrote x.mm", "wrote x.vocab"]
    assert {"d.parquet", "x.mm", "x.vocab", "w.npz"} <= {path.name for path in here.iterdir()}
    assert pl.read_parquet("d.parquet")["doc_id"].to_list() == [row["id"] for row in ROWS]


REFUSED: dict[str, tuple[str, Mapping[str, str | None], str | None, str]] = {
    "nothing": ("run", {"counts": None}, None, "--counts FILE"),
    "the same file twice": ("run", {"doc-topic": "a.csv", "topic-word": "./a.csv"}, None, "file of its own"),
    "counts as a table": ("run", {"counts": "a.csv"}, None, "ldac or mm"),
    "counts as Parquet": ("run", {"counts": "a.mm"}, "parquet", "ldac or mm"),
    "counts as npz": ("run", {"counts": "a.npz"}, None, "ldac or mm"),
    "counts in no format": ("run", {"counts": "a"}, None, "'a'"),
    "a table as counts": ("run", {"doc-topic": "a.csv"}, "ldac", "--counts"),
    "an existing output": ("run", {"counts": "taken.mm"}, None, "taken.mm"),
    "an existing vocabulary": ("run", {"counts": "words.mm"}, None, "words.vocab"),
    "tables of counts": ("counts", {"doc-topic": "a.csv"}, None, "no model"),
    "components of etm": ("run", {"doc-component": "a.csv"}, None, "only gmntm"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_an_export_that_is_impossible_is_refused_and_nothing_written(case: str, made: Path, here: Path) -> None:
    source, targets, file_format, word = REFUSED[case]
    for taken in ("taken.mm", "words.vocab"):
        Path(taken).write_text("mine")
    before = snapshot(here)
    with pytest.raises(TopicnetError) as caught:
        export(made / source, targets, file_format)
    assert word in message(caught)
    assert snapshot(here) == before


def test_files_are_replaced_with_overwrite(made: Path, here: Path) -> None:
    targets = {"counts": "x.mm", "topic-word": "w.csv", "doc-topic": "d.npz"}
    for _ in range(2):
        export(made / "run", targets, overwrite=True)
    assert Path("x.vocab").read_text().splitlines() == Corpus.load(made / "counts").vocabulary


@pytest.mark.parametrize("name", ["x.mm", "x.vocab", "w.csv", "d.npz", "d.parquet"])
def test_a_file_of_the_user_is_not_replaced(name: str, made: Path, here: Path) -> None:
    Path(name).write_text("doc_id,text\nmine,planet\n")
    before = snapshot(here)
    option = {"x": "counts", "w": "topic-word", "d": "doc-topic"}[name[0]]
    with pytest.raises(TopicnetError, match=f"refusing to replace '{name}'.* delete it"):
        export(made / "run", {option: "x.mm" if option == "counts" else name}, overwrite=True)
    assert snapshot(here) == before


# ---------------------------------------------------------------- location of counts


def test_counts_are_found_in_a_run_and_in_a_folder_of_counts(made: Path) -> None:
    for name in ("counts", "run", "run/corpus"):
        assert counts_of(made / name).ids == [row["id"] for row in ROWS]


def test_a_run_without_its_corpus_has_no_counts(made: Path, here: Path) -> None:
    shutil.copytree(made / "run", "run")
    shutil.rmtree("run/corpus")
    with pytest.raises(InputError, match="--no-keep-corpus") as caught:
        counts_of(Path("run"))
    assert "'run'" in message(caught)
    assert isinstance(topicnet.load("run"), Run)
    with pytest.raises(TopicnetError) as missing:
        counts_of(Path("none"))
    assert "none" in message(missing)

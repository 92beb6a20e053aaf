"""`prepare` and `fit COUNTS` give the same model as a fit of the texts, with counts on disk."""

import json
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from tests.support.command_line import QUICK, Warm, assert_refused, snapshot, start
from tests.support.corpora import themed_documents
from topicnet.text.corpus import Corpus

FAST = ("-k", "3", "--epochs", "1", "--init", "random", "--quiet")
TEXTS = [*themed_documents(40), "", "12 !"]
ROWS = [{"id": f"d{n}", "text": text, "theme": n % 4} for n, text in enumerate(TEXTS)]
ARRAYS = ("data", "indices", "indptr", "tokens")
PARTS = {*(f"{name}.npy" for name in ARRAYS), "vocabulary.txt", "documents.parquet", "counts.json"}


@pytest.fixture(scope="module")
def made(warm: Warm, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a corpus, its counts and a run of these; tests must not change it."""
    folder = tmp_path_factory.mktemp("made")
    pl.DataFrame(ROWS).write_csv(folder / "corpus.csv")
    for command in (("prepare", "corpus.csv", "--out", "counts"), ("fit", "counts", *FAST, "--out", "run")):
        done = warm(*command, cwd=folder)
        assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def here(made: Path, tmp_path: Path) -> Path:
    """Return a separate folder with the corpus and its counts."""
    shutil.copy(made / "corpus.csv", tmp_path)
    shutil.copytree(made / "counts", tmp_path / "counts")
    return tmp_path


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def results(run: Path) -> dict[str, bytes]:
    """Return the files of a run without those that contain times."""
    timed = {"history.csv", "run.json", "model/model.json"}
    files = {path.relative_to(run).as_posix(): path for path in run.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in files.items() if name not in timed}


def record(run: Path) -> Any:
    return json.loads((run / "run.json").read_text())


# ---------------------------------------------------------------- output


def test_counts_have_the_documented_files(warm: Warm, made: Path, tmp_path: Path) -> None:
    done = warm("prepare", made / "corpus.csv", "--out", "deep/counts", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "42 documents (1 empty, 1 with no known word), 48 words, 800 tokens; wrote deep/counts\n"
    folder = tmp_path / "deep" / "counts"
    assert names(tmp_path) == {"deep"}
    assert names(tmp_path / "deep") == {"counts"}
    assert names(folder) == PARTS
    assert snapshot(folder) == snapshot(made / "counts")  # they contain no times
    arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in ARRAYS}
    assert {array.dtype.str for array in arrays.values()} == {"<i4"}
    assert len(arrays["tokens"]) == 800 == arrays["data"].sum()
    assert arrays["indptr"].shape == (43,)
    words = (folder / "vocabulary.txt").read_text().splitlines()
    assert words == sorted(set(" ".join(TEXTS[:40]).split()))
    table = pl.read_parquet(folder / "documents.parquet")
    assert table.columns == ["doc_id", "status", "n_tokens", "theme"]
    assert table["doc_id"].to_list() == [row["id"] for row in ROWS]
    assert table["status"].to_list() == ["ok"] * 40 + ["empty", "oov"]
    assert table["n_tokens"].to_list() == [20] * 40 + [0, 0]
    header = json.loads((folder / "counts.json").read_text())
    assert (header["format"], header["n_docs"], header["vocab_size"]) == (1, 42, 48)
    assert header["source"]["name"] == "corpus"
    assert header["source"]["options"]["tokenizer"] == "unicode-letters-2"


def test_texts_are_kept_with_keep_texts(warm: Warm, made: Path, tmp_path: Path) -> None:
    assert warm("prepare", made / "corpus.csv", "--keep-texts", "--out", "counts", cwd=tmp_path).returncode == 0
    assert pl.read_parquet(tmp_path / "counts" / "documents.parquet")["text"].to_list() == TEXTS


def test_quiet_prints_nothing(warm: Warm, made: Path, tmp_path: Path) -> None:
    done = warm("prepare", made / "corpus.csv", "--out", "counts", "--quiet", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_counts_of_counts_are_the_same(warm: Warm, made: Path, tmp_path: Path) -> None:
    for source in (made / "counts", made / "run" / "corpus"):
        done = warm("prepare", source, "--out", "again", "--overwrite", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert snapshot(tmp_path / "again") == snapshot(made / "counts")
    assert_refused(warm("prepare", "again", "--out", "again", "--overwrite", cwd=tmp_path), "is the corpus 'again'")
    assert snapshot(tmp_path / "again") == snapshot(made / "counts")


# ---------------------------------------------------------------- fits


@pytest.mark.parametrize(
    "options",
    [(), ("--model", "gmntm"), ("--seeds", "2"), ("--passages", "6"), ("--label-column", "theme")],
    ids=" ".join,
)
def test_a_fit_of_counts_is_the_fit_of_the_texts(
    options: tuple[str, ...], warm: Warm, made: Path, tmp_path: Path
) -> None:
    before = snapshot(made)
    for source, out in (("corpus.csv", "texts"), ("counts", "counts")):
        done = warm("fit", made / source, *FAST, *options, "--out", tmp_path / out, cwd=made)
        assert done.returncode == 0, done.stderr
    left, right = results(tmp_path / "texts"), results(tmp_path / "counts")
    assert left.keys() == right.keys()
    assert {"doc_topic.csv", "model/model.safetensors", "topic_word.csv", "corpus/tokens.npy"} < left.keys()
    assert ("passages.csv" in left) is ("--passages" in options)
    for name, content in left.items():
        assert content == right[name], name
    for entry in ("data", "text", "model_parameters", "fit"):
        assert record(tmp_path / "texts")[entry] == record(tmp_path / "counts")[entry]
    assert snapshot(made) == before


def test_every_document_has_a_row_with_its_status(made: Path) -> None:
    table = pl.read_csv(made / "run" / "doc_topic.csv")
    assert table["doc_id"].to_list() == [row["id"] for row in ROWS]
    assert table["status"].to_list() == ["ok"] * 40 + ["empty", "oov"]
    assert table["top_topic"].is_null().to_list() == [False] * 40 + [True, True]


@pytest.mark.parametrize("source", ["corpus.csv", "counts", "run/corpus"])
def test_transform_gives_the_theta_of_the_fit(source: str, warm: Warm, made: Path, tmp_path: Path) -> None:
    done = warm("transform", made / "run", made / source, "--out", "t.csv", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert (tmp_path / "t.csv").read_bytes() == (made / "run" / "doc_topic.csv").read_bytes()


def test_evaluate_gives_the_same_for_counts_and_texts(warm: Warm, made: Path) -> None:
    found = []
    for source in ("corpus.csv", "counts"):
        done = warm("evaluate", "run", "--test", source, "--label-column", "theme", "--json", cwd=made)
        assert done.returncode == 0, done.stderr
        found.append(json.loads(done.stdout))
    for entry in ("scores", "documents", "tokens", "left_out"):
        assert found[0]["perplexity"][entry] == found[1]["perplexity"][entry]
    assert found[0]["labels"]["scores"] == found[1]["labels"]["scores"]


def test_a_run_keeps_its_counts_when_the_prepared_ones_are_deleted(warm: Warm, here: Path) -> None:
    assert warm("fit", "counts", *FAST, "--out", "run", cwd=here).returncode == 0
    kept = snapshot(here / "run")
    assert warm("prepare", "corpus.csv", "--min-df", "9", "--out", "counts", "--overwrite", cwd=here).returncode == 0
    shutil.rmtree(here / "counts")
    assert snapshot(here / "run") == kept
    assert warm("evaluate", "run", cwd=here).returncode == 0


def test_no_keep_corpus_leaves_no_counts(warm: Warm, here: Path) -> None:
    before = names(here)
    for source in ("corpus.csv", "counts"):
        done = warm("fit", source, *FAST, "--no-keep-corpus", "--out", "run", "--overwrite", cwd=here)
        assert done.returncode == 0, done.stderr
        assert names(here) == {*before, "run"}
        assert not (here / "run" / "corpus").exists()
    for command in (("words", "run"), ("export", "run", "--counts", "x.mm"), ("evaluate", "run")):
        assert_refused(warm(*command, cwd=here), "--no-keep-corpus")
    assert warm("evaluate", "run", "--reference", "counts", cwd=here).returncode == 0
    done = warm("transform", "run", "counts", "--out", "t.csv", cwd=here)
    assert done.returncode == 0, done.stderr
    assert (here / "t.csv").read_bytes() == (here / "run" / "doc_topic.csv").read_bytes()


# ---------------------------------------------------------------- resume


def test_a_fit_of_counts_can_be_resumed(warm: Warm, here: Path) -> None:
    fit = ("fit", "counts", "-k", "3", "--epochs", "30", "--init", "random", "--quiet", "--out")
    assert warm(*fit, "whole", cwd=here).returncode == 0
    always = {"TOPICNET_CHECKPOINT_SECONDS": "0"}
    killed = warm(*fit, "run", cwd=here, env=always, kill_when="run.unfinished/checkpoints/*-000003")
    assert killed.returncode == -9
    shutil.copytree(here / "counts", here / "same")
    before = snapshot(here / "run.unfinished" / "checkpoints")
    other = ("fit", "corpus.csv", *fit[2:], "run", "--resume")
    assert_refused(warm(*other, cwd=here), "--resume given with corpus='corpus.csv', but 'run' has 'counts'")
    assert warm("prepare", "corpus.csv", "--min-df", "6", "--out", "counts", "--overwrite", cwd=here).returncode == 0
    assert_refused(warm(*fit, "run", "--resume", cwd=here), "the words counted differ from those of 'run'")
    (here / "other.txt").write_text("\n".join(TEXTS[:30]))
    assert warm("prepare", "other.txt", "--out", "counts", "--overwrite", cwd=here).returncode == 0
    assert_refused(warm(*fit, "run", "--resume", cwd=here), "the documents differ from those of 'run'")
    assert snapshot(here / "run.unfinished" / "checkpoints") == before
    shutil.rmtree(here / "counts")
    (here / "same").rename(here / "counts")
    done = warm(*fit, "run", "--resume", cwd=here)
    assert done.returncode == 0, done.stderr
    assert record(here / "run")["status"] == "complete"
    assert (here / "run" / "doc_topic.csv").read_bytes() == (here / "whole" / "doc_topic.csv").read_bytes()


# ---------------------------------------------------------------- references


def test_a_reference_has_every_word(warm: Warm, tmp_path: Path) -> None:
    (tmp_path / "few.txt").write_text("The cat and the dog\n\nThe end of x\n" + "rest\n" * 30)
    done = warm("prepare", "few.txt", "--reference", "--out", "reference", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "33 documents (1 empty)" in done.stderr
    assert names(tmp_path / "reference") == PARTS
    words = (tmp_path / "reference" / "vocabulary.txt").read_text().split()
    assert words == ["and", "cat", "dog", "end", "of", "rest", "the"]
    tokens = np.load(tmp_path / "reference" / "tokens.npy")
    assert [words[i] for i in tokens[:8]] == ["the", "cat", "and", "the", "dog", "the", "end", "of"]


def test_a_prepared_reference_gives_the_same_scores_as_its_texts(warm: Warm, made: Path, tmp_path: Path) -> None:
    assert warm("prepare", made / "corpus.csv", "--reference", "--out", "reference", cwd=tmp_path).returncode == 0
    found = []
    for reference in (made / "corpus.csv", "reference"):
        done = warm("evaluate", made / "run", "--reference", reference, "--json", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        found.append(json.loads(done.stdout))
    assert found[0]["coherence"] == found[1]["coherence"]


def test_a_reference_skips_bad_rows_with_skip_bad_rows(warm: Warm, tmp_path: Path) -> None:
    lines = [json.dumps(row) for row in ROWS]
    (tmp_path / "bad.jsonl").write_text("\n".join([*lines[:3], "{", *lines[3:]]) + "\n")
    reference = ("prepare", "bad.jsonl", "--reference", "--out", "reference")
    assert_refused(warm(*reference, cwd=tmp_path), "line 4 of bad.jsonl")
    assert names(tmp_path) == {"bad.jsonl"}
    done = warm(*reference, "--skip-bad-rows", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("left out 1 row that could not be read: line 4 of bad.jsonl")


# ---------------------------------------------------------------- refusals

# All of them are tested in `workflows/test_corpus.py`.
SETTLED = {"--lang": "en", "--phrases": None, "--vocabulary": "words.txt", "--max-df": "0.9", "--format": "csv"}


@pytest.mark.parametrize("option", SETTLED)
def test_an_option_of_text_is_refused_for_counts(option: str, warm: Warm, made: Path, tmp_path: Path) -> None:
    value = SETTLED[option]
    given = (option,) if value is None else (option, value)
    done = warm("fit", made / "counts", *FAST, *given, "--out", tmp_path / "run", cwd=tmp_path)
    assert_refused(done, option, "counts")
    assert list(tmp_path.iterdir()) == []


PLACES: dict[str, tuple[list[str], str]] = {
    "onto counts": (["prepare", "corpus.csv", "--out", "counts"], "--overwrite"),
    "over a file": (["prepare", "corpus.csv", "--out", "corpus.csv", "--overwrite"], "is the corpus"),
    "over the current folder": (["prepare", "corpus.csv", "--out", ".", "--overwrite"], "cannot be replaced"),
    "below a file": (["prepare", "corpus.csv", "--out", "corpus.csv/x"], "is inside the corpus"),
    "into /proc": (["prepare", "corpus.csv", "--out", "/proc/no/counts"], "cannot write"),
    "nowhere": (["prepare", "corpus.csv"], "--out"),
    "of nothing": (["prepare", "--out", "x"], "CORPUS"),
    "counts twice": (["fit", "counts", "counts", "--out", "x"], "holds counts"),
    "counts with texts": (["fit", "corpus.csv", "counts", "--out", "x"], "holds counts"),
    "more topics than words": (["fit", "counts", "-k", "99", "--out", "x"], "-k 99"),
    "failing over counts": (["prepare", "none.csv", "--out", "counts", "--overwrite"], "none.csv"),
    "no words left": (["prepare", "corpus.csv", "--min-df", "40", "--out", "counts", "--overwrite"], "--min-df"),
}  # fmt: skip


@pytest.mark.parametrize("case", PLACES)
def test_a_refusal_leaves_all_files_unchanged(case: str, warm: Warm, here: Path) -> None:
    arguments, word = PLACES[case]
    before = snapshot(here)
    assert_refused(warm(*arguments, cwd=here), word)
    assert snapshot(here) == before


@pytest.mark.parametrize("limit", [300, 2_000])
def test_a_full_disk_leaves_all_files_unchanged(limit: int, warm: Warm, here: Path) -> None:
    before = snapshot(here)
    for out in ("other", "counts"):
        done = warm("prepare", "corpus.csv", "--out", out, "--overwrite", "--quiet", cwd=here, file_limit=limit)
        assert_refused(done, f"cannot write '{out}'", "free some space")
    assert snapshot(here) == before


def changed_header(**entries: Any) -> Callable[[Path], None]:
    def damage(counts: Path) -> None:
        header = json.loads((counts / "counts.json").read_text())
        (counts / "counts.json").write_text(json.dumps(header | entries))

    return damage


DAMAGE: dict[str, Callable[[Path], object]] = {
    "an array cut short": lambda c: (c / "data.npy").write_bytes((c / "data.npy").read_bytes()[:-4]),
    "an array that is gone": lambda c: (c / "tokens.npy").unlink(),
    "an array of objects": lambda c: np.save(c / "data.npy", np.array([{}], dtype=object), allow_pickle=True),
    "tokens out of range": lambda c: np.save(c / "tokens.npy", np.load(c / "tokens.npy") + np.int32(40)),
    "rows that run backwards": lambda c: np.save(c / "indptr.npy", np.load(c / "indptr.npy")[::-1].copy()),
    "words that are too few": lambda c: (c / "vocabulary.txt").write_text("planet\n"),
    "documents that are too few": lambda c: pl.read_parquet(c / "documents.parquet").head(3).write_parquet(
        c / "documents.parquet"
    ),
    "documents that are noise": lambda c: (c / "documents.parquet").write_bytes(b"noise"),
    "a header of noise": lambda c: (c / "counts.json").write_bytes(b"\xff\x00"),
    "a header of a later version": changed_header(format=2),
    "another number of documents": changed_header(n_docs=41),
}  # fmt: skip


@pytest.mark.parametrize("case", DAMAGE)
def test_damaged_counts_are_refused(case: str, warm: Warm, here: Path) -> None:
    DAMAGE[case](here / "counts")
    before = snapshot(here)
    assert_refused(warm("fit", "counts", *QUICK, "--out", "run", cwd=here), "'counts'")
    assert snapshot(here) == before


# ---------------------------------------------------------------- Ctrl-C


def test_ctrl_c_leaves_no_counts(tmp_path: Path) -> None:
    with start("prepare", "-", "--out", "counts", cwd=tmp_path) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        # This exceeds the buffer of a pipe, so once it is written, counting has started; then it waits for more.
        process.stdin.write("planet orbit rocket comet\n" * 50_000)
        process.stdin.flush()
        time.sleep(0.3)
        assert len(list(tmp_path.iterdir())) == 1  # the staged folder, which is removed
        process.send_signal(signal.SIGINT)
        process.wait(timeout=20)
        assert process.returncode == 130
        assert process.stderr.read() == "topicnet: interrupted; nothing was written\n"
    assert list(tmp_path.iterdir()) == []


def test_only_the_columns_named_are_stored(warm: Warm, tmp_path: Path) -> None:
    rows = "".join(f"{body},{n},x\n" for n, body in enumerate(themed_documents(30)))
    (tmp_path / "a.csv").write_text("text,group,html\n" + rows)
    assert warm("prepare", "a.csv", "--keep-columns", "group", "--out", "few", cwd=tmp_path).returncode == 0
    assert warm("prepare", "a.csv", "--out", "all", cwd=tmp_path).returncode == 0
    assert Corpus.load(tmp_path / "few").metadata.columns == ["group"]
    assert Corpus.load(tmp_path / "all").metadata.columns == ["group", "html"]


def test_text_that_needs_a_segmenter_is_reported(warm: Warm, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("中国经济 发展\n中国政府 发展\n" * 20)
    done = warm("prepare", "a.txt", "--max-df", "1.0", "--out", "counts", cwd=tmp_path)
    assert "--lang zh, ja, ko or auto" in done.stderr
    done = warm("prepare", "a.txt", "--max-df", "1.0", "--lang", "zh", "--out", "zh", cwd=tmp_path)
    assert "--lang" not in done.stderr

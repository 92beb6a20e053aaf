"""`topicnet fit`: files of the run folder, one row per document, bitwise equal results for equal seeds."""

import csv
import hashlib
import json
import os
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import polars as pl
import pytest

from tests.support.command_line import QUICK, Topicnet, Warm, snapshot
from tests.support.corpora import themed_documents

MODEL = {"model/model.safetensors", "model/model.json", "model/vocabulary.txt"}
TABLES = {"doc_topic.csv", "topic_word.csv", "topics.json", "metrics.json", "history.csv", "run.json"}
CORPUS = {
    f"corpus/{name}"
    for name in (
        "data.npy", "indices.npy", "indptr.npy", "tokens.npy", "vocabulary.txt", "documents.parquet", "counts.json",
    )
}  # fmt: skip
SAME_BITS = ("doc_topic.csv", "topic_word.csv", "model/model.safetensors")


def files_of(run: Path) -> set[str]:
    return {name for name, content in snapshot(run).items() if content != "folder"}


def read_json(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"), parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


def read_rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def thetas(rows: list[dict[str, str]]) -> np.ndarray:
    return np.array([[float(value) for name, value in row.items() if name.startswith("topic_")] for row in rows])


def fitted(done: CompletedProcess[str]) -> CompletedProcess[str]:
    assert done.returncode == 0, done.stderr
    return done


def test_a_run_has_exactly_the_documented_files(lee_run: Path) -> None:
    assert files_of(lee_run) == MODEL | TABLES | CORPUS
    assert [path.name for path in lee_run.parent.iterdir()] == ["run"]


def test_the_tables_of_a_run_are_consistent(lee_run: Path) -> None:
    rows = read_rows(lee_run / "doc_topic.csv")
    theta = thetas(rows)
    assert list(rows[0]) == ["doc_id", "status", "top_topic", *(f"topic_{k}" for k in range(5))]
    assert [row["doc_id"] for row in rows] == [str(n) for n in range(1, 301)]
    assert [int(row["top_topic"]) for row in rows] == theta.argmax(1).tolist()
    assert theta.sum(1) == pytest.approx(np.ones(300), abs=1e-6)
    topics = read_json(lee_run / "topics.json")
    words = read_rows(lee_run / "topic_word.csv")
    assert len(words) == 5 * 50
    assert [topic["size"] for topic in topics] == pytest.approx(theta.mean(0).tolist(), abs=1e-6)
    for k, topic in enumerate(topics):
        listed = [row for row in words if row["topic"] == str(k)]
        assert [row["word"] for row in listed[:10]] == topic["words"]
        assert [int(row["rank"]) for row in listed] == list(range(1, 51))
        chances = [float(row["probability"]) for row in listed]
        assert chances == sorted(chances, reverse=True)
    assert len(read_rows(lee_run / "history.csv")) == 3
    metrics = read_json(lee_run / "metrics.json")
    assert all("convention" in score for score in metrics.values())
    assert -1 <= metrics["npmi"]["value"] <= 1
    assert metrics["npmi"]["value"] == pytest.approx(np.mean([topic["scores"]["npmi"] for topic in topics]))


def test_run_json_records_how_the_run_was_made(lee_run: Path) -> None:
    record = read_json(lee_run / "run.json")
    assert record["status"] == "complete"
    config = record["config"]
    assert (config["corpus"], config["model"], config["topics"], config["seed"]) == ("lee", "etm", 5, 0)
    assert config["parameters"]["max_epochs"] == 3
    assert config["max_vocab"] == 20_000
    assert record["seed"] == 0
    assert record["data"]["documents"] == 300
    assert len(record["data"]["sha256"]) == 64
    assert set(record["versions"]) >= {"python", "topicnet", "torch", "numpy"}
    assert record["device"] == "cpu"
    assert 0 < record["seconds"] < 1000
    assert record["peak_memory_bytes"] > 10**7


def test_run_json_has_the_checksum_of_every_other_file(lee_run: Path) -> None:
    sums = {name: hashlib.sha256((lee_run / name).read_bytes()).hexdigest() for name in files_of(lee_run)}
    del sums["run.json"]
    assert read_json(lee_run / "run.json")["files"] == sums


def test_results_go_to_stdout_and_progress_to_stderr(lee_fit: tuple[Path, CompletedProcess[str]]) -> None:
    run, done = lee_fit
    topics = read_json(run / "topics.json")
    assert done.stdout.endswith("wrote run\n")
    for topic in topics:
        assert " ".join(topic["words"]) in done.stdout
    for word in ("training", "encoder warm-up", "EM start", "device", " left\n", "epochs"):
        assert word not in done.stdout
        assert word in done.stderr
    assert "wrote" not in done.stderr
    assert "300 documents" in done.stderr


def test_quiet_leaves_stderr_empty(warm: Warm, themed: Path, tmp_path: Path) -> None:
    done = fitted(warm("fit", themed, *QUICK, "--quiet", cwd=tmp_path))
    assert done.stderr == ""
    assert "wrote runs/themed-etm-4\n" in done.stdout
    assert (tmp_path / "runs/themed-etm-4/run.json").is_file()
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["themed-etm-4"]


def test_no_keep_corpus_omits_the_corpus(warm: Warm, themed: Path, tmp_path: Path) -> None:
    fitted(warm("fit", themed, *QUICK, "--out", "run", "--no-keep-corpus", cwd=tmp_path))
    assert files_of(tmp_path / "run") == MODEL | TABLES
    assert fitted(warm("topics", "run", cwd=tmp_path)).stdout.startswith("topic")


def test_texts_are_kept_only_with_keep_texts(warm: Warm, themed: Path, themed_run: Path, tmp_path: Path) -> None:
    fitted(warm("fit", themed, *QUICK, "--out", "run", "--keep-texts", cwd=tmp_path))
    kept = pl.read_parquet(tmp_path / "run/corpus/documents.parquet")
    assert kept["text"].to_list() == themed_documents()
    without = pl.read_parquet(themed_run / "corpus/documents.parquet")
    assert without.columns == ["doc_id", "status", "n_tokens"]
    text = themed_documents()[0].encode()
    for name in files_of(themed_run):
        assert text not in (themed_run / name).read_bytes()


def test_every_line_is_one_row_in_order(warm: Warm, tmp_path: Path) -> None:
    texts = themed_documents()
    odd = {
        0: ("", "empty"),
        3: ("planet\u2028orbit\u2029rocket comet", "ok"),
        5: ("planet\x85orbit\x0crocket\x0bcomet\x1cgravity", "ok"),
        7: ("   \t ", "empty"),
        9: ("zyzzyva qwertyuiop", "oov"),
        11: ("12345 67 !?", "oov"),
        13: ("\u2028", "empty"),
        14: ("planet orbit\rrocket comet", "ok"),
        20: ("the and of", "oov"),
        59: ("", "empty"),
    }
    for row, (text, _) in odd.items():
        texts[row] = text
    ends = ["\r\n" if row % 2 else "\n" for row in range(60)]
    (tmp_path / "odd.txt").write_bytes("".join(map("".join, zip(texts, ends, strict=True))).encode())
    done = fitted(warm("fit", "odd.txt", *QUICK, "--out", "run", cwd=tmp_path))
    assert "60 documents (4 empty, 3 with no known word)" in done.stderr
    rows = read_rows(tmp_path / "run/doc_topic.csv")
    assert [row["doc_id"] for row in rows] == [str(n) for n in range(1, 61)]
    assert [row["status"] for row in rows] == [odd[row][1] if row in odd else "ok" for row in range(60)]
    theta = thetas(rows)
    assert theta.sum(1) == pytest.approx(np.ones(60), abs=1e-6)
    silent = [row for row in range(60) if rows[row]["status"] != "ok"]
    assert {rows[row]["top_topic"] for row in silent} == {""}
    assert (theta[silent] == theta[silent[0]]).all()
    assert all(rows[row]["top_topic"] == str(theta[row].argmax()) for row in range(60) if row not in silent)
    heard = [row for row in range(60) if row not in silent]
    sizes = [topic["size"] for topic in read_json(tmp_path / "run/topics.json")]
    assert sizes == pytest.approx(theta[heard].mean(0).tolist(), abs=1e-6)
    assert read_json(tmp_path / "run/run.json")["data"]["status"] == {"ok": 53, "empty": 4, "oov": 3}
    fitted(warm("transform", "run", "odd.txt", "--out", "theta.csv", cwd=tmp_path))
    assert (tmp_path / "theta.csv").read_bytes() == (tmp_path / "run/doc_topic.csv").read_bytes()


def test_equal_seeds_give_bitwise_equal_results(warm: Warm, themed: Path, tmp_path: Path) -> None:
    """Fit with the EM start twice in separate processes, and with another seed."""
    options = ("-k", "4", "--epochs", "2", "--quiet")
    for name, seed in (("a", "7"), ("b", "7"), ("c", "8")):
        fitted(warm("fit", themed, *options, "--seed", seed, "--out", name, cwd=tmp_path))
    for name in SAME_BITS:
        first, again, other = ((tmp_path / run / name).read_bytes() for run in "abc")
        assert first == again
        assert first != other
    assert read_json(tmp_path / "c/run.json")["seed"] == 8


def test_ids_that_look_like_formulas_are_guarded_and_read_back(warm: Warm, tmp_path: Path) -> None:
    ids = ["=1+1", "@x", "+a", "-5", "-a", "'quoted", "a=2", "plain", "+5", "a,b", 'say "x"', " =1", "\t=1", "", "é=1"]
    safe = ["'=1+1", "'@x", "'+a", "-5", "'-a"]
    texts = themed_documents()
    with (tmp_path / "formulas.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(
            [("id", "text"), *((ids[d] if d < len(ids) else f"d{d}", text) for d, text in enumerate(texts))]
        )
    fitted(warm("fit", "formulas.csv", *QUICK, "--out", "run", cwd=tmp_path))
    written = [row["doc_id"] for row in read_rows(tmp_path / "run/doc_topic.csv")]
    assert written[:5] == safe
    assert written[7] == "plain"
    assert not any(cell[:1] in ("=", "@", "\t", "\r") for cell in written)
    expected = [key or str(d + 1) for d, key in enumerate(ids)] + [f"d{d}" for d in range(len(ids), 60)]
    for file in ("back.npz", "back.parquet"):
        fitted(warm("export", "run", "--doc-topic", file, cwd=tmp_path))
    with np.load(tmp_path / "back.npz", allow_pickle=False) as arrays:
        assert arrays["doc_id"].tolist() == expected
    assert pl.read_parquet(tmp_path / "back.parquet")["doc_id"].to_list() == expected
    fitted(warm("export", "run", "--doc-topic", "back.csv", cwd=tmp_path))
    assert (tmp_path / "back.csv").read_bytes() == (tmp_path / "run/doc_topic.csv").read_bytes()


def test_an_id_that_begins_with_a_quote_is_read_back_too(warm: Warm, tmp_path: Path) -> None:
    """One of them looks like a guarded formula."""
    ids = ["'quoted", "'=2", "=2", "''=2"]
    rows = "".join(f"{ids[d] if d < 4 else d},{text}\n" for d, text in enumerate(themed_documents()))
    (tmp_path / "quotes.csv").write_text("id,text\n" + rows)
    fitted(warm("fit", "quotes.csv", *QUICK, "--out", "run", cwd=tmp_path))
    fitted(warm("export", "run", "--doc-topic", "back.parquet", cwd=tmp_path))
    assert pl.read_parquet(tmp_path / "back.parquet")["doc_id"].to_list()[:4] == ids


def test_stdin_and_gzip_give_the_same_result_as_the_plain_file(
    warm: Warm, themed: Path, themed_run: Path, tmp_path: Path
) -> None:
    fitted(warm("fit", themed.with_name("themed.txt.gz"), *QUICK, "--out", "zipped", cwd=tmp_path))
    done = fitted(warm("fit", "-", *QUICK, cwd=tmp_path, stdin=themed.read_bytes()))
    assert done.stdout.endswith("wrote runs/stdin-etm-4\n")
    for run in ("zipped", "runs/stdin-etm-4"):
        for name in SAME_BITS:
            assert (tmp_path / run / name).read_bytes() == (themed_run / name).read_bytes()


def test_the_command_line_overrides_the_configuration(warm: Warm, themed: Path, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(
        f"corpus: {themed}\ntopics: 3\nseed: 5\nmin_df: 3\n"
        "parameters: {max_epochs: 4, init: random, hidden_dim: 32, dropout: 0.0}\n"
    )
    fitted(warm("fit", "--config", "config.yaml", "-k", "2", "--epochs", "1", "--out", "run", cwd=tmp_path))
    record = read_json(tmp_path / "run/run.json")
    assert (record["config"]["topics"], record["seed"], record["config"]["min_df"]) == (2, 5, 3)
    assert record["config"]["parameters"] == {"max_epochs": 1, "init": "random", "hidden_dim": 32, "dropout": 0.0}
    assert record["model_parameters"]["hidden_dim"] == 32
    assert len(read_rows(tmp_path / "run/history.csv")) == 1
    assert len(read_json(tmp_path / "run/topics.json")) == 2


def test_a_run_can_be_repeated_from_its_own_record(warm: Warm, themed_run: Path, themed: Path, tmp_path: Path) -> None:
    (tmp_path / "again.yaml").write_text(json.dumps(read_json(themed_run / "run.json")["config"]))
    fitted(warm("fit", "--config", "again.yaml", "--out", "again", cwd=tmp_path))
    for name in SAME_BITS:
        assert (tmp_path / "again" / name).read_bytes() == (themed_run / name).read_bytes()


def test_stop_words_of_a_file_are_dropped(warm: Warm, themed: Path, tmp_path: Path) -> None:
    (tmp_path / "stop.txt").write_text("Planet\nORBIT rocket\n")
    fitted(warm("fit", themed, *QUICK, "--stop-words", "stop.txt", "--out", "run", cwd=tmp_path))
    words = (tmp_path / "run/model/vocabulary.txt").read_text().split()
    assert len(words) == 45
    assert not {"planet", "orbit", "rocket"} & set(words)


def test_a_single_topic_can_be_fitted(warm: Warm, themed: Path, tmp_path: Path) -> None:
    done = fitted(warm("fit", themed, "-k", "1", "--epochs", "1", "--out", "run", cwd=tmp_path))
    rows = read_rows(tmp_path / "run/doc_topic.csv")
    assert (thetas(rows) == 1).all()
    assert "100.0%" in done.stdout
    fitted(warm("topics", "run", "--json", cwd=tmp_path))


def test_overwrite_replaces_a_run_completely(warm: Warm, themed: Path, tmp_path: Path) -> None:
    fitted(warm("fit", themed, *QUICK, "--out", "run", "--keep-texts", cwd=tmp_path))
    fitted(warm("fit", themed, "-k", "2", *QUICK[2:], "--out", "run", "--overwrite", cwd=tmp_path))
    assert files_of(tmp_path / "run") == MODEL | TABLES | CORPUS
    assert len(read_json(tmp_path / "run/topics.json")) == 2
    assert os.listdir(tmp_path) == ["run"]


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "folder"])
def test_every_kind_of_corpus_gives_the_same_topics(ending: str, warm: Warm, themed_run: Path, tmp_path: Path) -> None:
    texts = themed_documents()
    path = tmp_path / f"corpus.{ending}"
    if ending == "folder":
        path.mkdir()
        for d, text in enumerate(texts):
            (path / f"{d:02}.txt").write_text(text)
    elif ending == "jsonl":
        path.write_text("".join(json.dumps({"id": d, "body": text}) + "\n" for d, text in enumerate(texts)))
    else:
        tab = "\t" if ending == "tsv" else ","
        path.write_text(f"id{tab}body\n" + "".join(f"{d}{tab}{text}\n" for d, text in enumerate(texts)))
    fitted(warm("fit", path, *QUICK, "--text-column", "body", "--out", "run", cwd=tmp_path))
    assert (tmp_path / "run/topic_word.csv").read_bytes() == (themed_run / "topic_word.csv").read_bytes()
    first = read_rows(tmp_path / "run/doc_topic.csv")[0]["doc_id"]
    assert first == ("00.txt" if ending == "folder" else "0")


@pytest.mark.slow
def test_a_terminal_with_an_ascii_encoding_gets_its_topics(topicnet: Topicnet, tmp_path: Path) -> None:
    words = ["málaga", "über", "naïve", "façade", "señor", "déjà"]
    (tmp_path / "accents.txt").write_text("".join(f"{' '.join(words[d % 3 :])}\n" for d in range(30)), "utf-8")
    done = topicnet(
        "fit", "accents.txt", "-k", "2", *QUICK[2:], "--max-df", "1.0", "--out", "run",
        env={"PYTHONIOENCODING": "ascii"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run/run.json").is_file()

"""Invalid input gives status 2, one line on stderr with a remedy, and leaves the folder unchanged."""

import gzip
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.command_line import QUICK, Topicnet, Warm, assert_refused, snapshot
from tests.support.corpora import themed_documents

GOOD = "".join(f"{text}\n" for text in themed_documents()).encode()
ROWS = "".join(f"{d},{text}\n" for d, text in enumerate(themed_documents())).encode()
RECORDS = "".join(json.dumps({"text": text}) + "\n" for text in themed_documents()).encode()
NOISE = bytes(range(256))[::-1] * 40
UNSAFE = b'corpus: !!python/object/apply:os.system ["touch hacked"]\n'

CORPORA = {
    # name: file, its bytes, further arguments, words of the message
    "missing file": ("other.txt", GOOD, [], ["corpus.txt"]),
    "empty file": ("corpus.txt", b"", [], ["no documents"]),
    "empty csv": ("corpus.csv", b"", [], ["no documents"]),
    "csv of a header": ("corpus.csv", b"id,text\n", [], ["no documents"]),
    "empty gzip": ("corpus.txt.gz", gzip.compress(b""), [], ["no documents"]),
    "one document": ("corpus.txt", b"planet orbit rocket\n", [], ["1 of 1 documents"]),
    "one filled document": ("corpus.txt", b"planet orbit rocket\n\n\n", [], ["1 of 3 documents"]),
    "blank documents": ("corpus.txt", b"\n  \n\t\n\n", [], ["4 documents"]),
    "stop words only": ("corpus.txt", b"the and of\nthis is that\n", [], ["2 documents"]),
    "csv without the column": ("corpus.csv", b"id,body\n" + ROWS, [], ["'text'", "id, body", "--text-column"]),
    "csv without the named column": ("corpus.csv", b"id,text\n" + ROWS, ["--text-column", "boody"], ["'boody'"]),
    "csv without the id column": ("corpus.csv", b"id,text\n" + ROWS, ["--id-column", "key"], ["'key'", "--id-column"]),
    "tsv without the column": ("corpus.tsv", b"id\tbody\n1\tplanet\n", [], ["'text'"]),
    "jsonl without the column": ("corpus.jsonl", RECORDS, ["--text-column", "body"], ["'body'", "line 1"]),
    "ragged csv": ("corpus.csv", b"id,text\n1,planet\n2,orbit,rocket\n", [], ["line 3"]),
    "broken json": ("corpus.jsonl", RECORDS + b'{"text": "planet\n', [], ["line 61"]),
    "json of another kind": ("corpus.jsonl", b"[3]\n", [], ["line 1", "an array"]),
    "json object as text": ("corpus.jsonl", b'{"text": {}}\n', [], ["line 1", "an object"]),
    "NUL bytes": ("corpus.txt", GOOD + b"planet\0orbit\n", [], ["binary", "line 61"]),
    "noise": ("corpus.txt", NOISE, [], ["corpus.txt"]),
    "noise as csv": ("corpus.csv", NOISE, [], ["corpus.csv"]),
    "noise as jsonl": ("corpus.jsonl", NOISE, [], ["corpus.jsonl"]),
    "wrong encoding": ("corpus.txt", b"planet\norb\xefit\nrocket\n", [], ["line 2", "0xef", "--encoding"]),
    "wrong named encoding": ("corpus.txt", GOOD[:-1], ["--encoding", "utf-16"], ["utf-16"]),
    "unknown encoding": ("corpus.txt", GOOD, ["--encoding", "utf-99"], ["utf-99"]),
    "truncated gzip": ("corpus.txt.gz", gzip.compress(GOOD)[:-30], [], ["gzip"]),
    "not a gzip": ("corpus.txt.gz", GOOD, [], ["gzip"]),
    "unknown ending": ("corpus.rtf", GOOD, [], ["corpus.rtf", ".txt"]),
    "file name of two lines": ("cor\n\x1b[31mpus.docx", GOOD, [], [r"\n\x1b[31mpus.docx"]),
    "wrong bytes in a file name of two lines": ("a\n\x1b[2J\u2028.txt", b"\xff", [], [r"\x1b[2J"]),
}

OPTIONS = {
    "more topics than words": (["-k", "9999"], ["-k 9999", "48 words"]),
    "no topics": (["-k", "0"], ["topics=0"]),
    "negative topics": (["-k", "-3"], ["topics=-3"]),
    "topics in words": (["-k", "many"], ["many"]),
    "nothing left of the vocabulary": (["--min-df", "500"], ["no word is left of 48", "--min-df"]),
    "nothing below max-df": (["--max-df", "1"], ["--max-df"]),
    "min-df in words": (["--min-df", "few"], ["--min-df", "few"]),
    "min-df 0": (["--min-df", "0"], ["min_df=0"]),
    "min-df -1": (["--min-df", "-1"], ["min_df=-1"]),
    "min-df above all": (["--min-df", "1.5"], ["min_df=1.5"]),
    "max-df nan": (["--max-df", "nan"], ["--max-df", "nan"]),
    "max-vocab 0": (["--max-vocab", "0"], ["max_vocab=0"]),
    "model": (["--model", "lda"], ["lda", "etm"]),
    "option": (["--tpics", "5"], ["--tpics"]),
    "option with an escape": (["--\x1b[31m\n", "5"], []),
    "two corpora": (["other.txt"], ["other.txt"]),
    "language": (["--lang", "xx"], ["xx"]),
    "language without spaces": (["--lang", "th"], ["th", "segment"]),
    "cuda": (["--device", "cuda"], ["cuda", "auto or cpu"]),
    "device": (["--device", "tpu"], ["tpu"]),
    "device that only torch knows": (["--device", "meta"], ["meta"]),
    "batch of one": (["--batch-size", "1"], ["batch_size=1"]),
    "batch of none": (["--batch-size", "0"], ["batch_size=0"]),
    "no epochs": (["--epochs", "0"], ["max_epochs=0"]),
    "no rate": (["--learning-rate", "0"], ["learning_rate=0"]),
    "rate nan": (["--learning-rate", "nan"], ["learning_rate=nan"]),
    "rate below 0": (["--learning-rate", "-0.1"], ["learning_rate=-0.1"]),
    "init": (["--init", "lda"], ["lda"]),
    "seed": (["--seed", "-1"], ["seed=-1"]),
    "large seed": (["--seed", str(2**32)], [str(2**32)]),
    "stop words": (["--stop-words", "stop.txt"], ["stop.txt"]),
    "stop words that are a folder": (["--stop-words", "."], ["stop words"]),
    "binary stop words": (["--stop-words", "noise.bin"], ["noise.bin"]),
    "top 0": (["--top", "0"], ["--top"]),
    "config": (["--config", "none.yaml"], ["none.yaml"]),
    "config that is a folder": (["--config", "."], ["configuration"]),
}

CONFIGS = {
    "unknown key": (b"tpics: 5\n", ["tpics"]),
    "unknown parameter": (b"parameters: {depth: 3}\n", ["'depth'"]),
    "parameter that is an option": (b"parameters: {n_topics: 3}\n", ["'n_topics'"]),
    "parameters that are a list": (b"parameters: [1, 2]\n", ["parameters"]),
    "parameter of a wrong kind": (b"parameters: {dropout: much}\n", ["dropout"]),
    "unnamed parameter": (b"parameters: {1: 2}\n", ["1"]),
    "value of a wrong kind": (b"topics: many\n", ["topics", "many"]),
    "value with a newline": (b'topics: "many\\n\\e[31m"\n', ["topics"]),
    "not YAML": (b"topics: [5\n", ["not YAML"]),
    "noise": (NOISE, ["not YAML"]),
    "a list": (b"- topics\n", ["named entries"]),
    "a number as key": (b"5: topics\n", ["named entries"]),
    "unsafe tag": (UNSAFE, ["not YAML", "os.system"]),
}

RUNS = {
    # name: arguments, words of the message; `run` is a run, `foreign` a folder of other files
    "topics of nothing": (["topics", "none"], ["'none'"]),
    "topics of a foreign folder": (["topics", "foreign"], ["'foreign'"]),
    "topics of a file": (["topics", "corpus.txt"], ["corpus.txt"]),
    "topics of a bundle without a run": (["topics", "run/model"], ["run.json"]),
    "topics with top 0": (["topics", "run", "--top", "0"], ["--top"]),
    "topics without a run": (["topics"], ["RUN"]),
    "transform with nothing": (["transform", "none", "corpus.txt", "--out", "theta.csv"], ["'none'"]),
    "transform with a foreign folder": (["transform", "foreign", "corpus.txt", "--out", "theta.csv"], ["'foreign'"]),
    "transform of nothing": (["transform", "run", "none.txt", "--out", "theta.csv"], ["none.txt"]),
    "transform of an empty file": (["transform", "run", "empty.txt", "--out", "theta.csv"], ["empty.txt"]),
    "transform without --out": (["transform", "run", "corpus.txt"], ["--out"]),
    "transform onto a file": (["transform", "run", "corpus.txt", "--out", "taken.csv"], ["taken.csv", "--overwrite"]),
    "transform onto a folder": (["transform", "run", "corpus.txt", "--out", "foreign.csv", "--overwrite"], ["folder"]),
    "transform to an unknown format": (["transform", "run", "corpus.txt", "--out", "theta.xlsx"], ["theta.xlsx"]),
    "transform without a format": (["transform", "run", "corpus.txt", "--out", "theta"], ["theta", "csv"]),
    "transform refined by less": (
        ["transform", "run", "corpus.txt", "--out", "theta.csv", "--refine", "-1"],
        ["--refine"],
    ),
    "transform below a file": (["transform", "run", "corpus.txt", "--out", "taken.csv/theta.csv"], ["cannot write"]),
    "transform into /proc": (["transform", "run", "corpus.txt", "--out", "/proc/x/theta.csv"], ["cannot write"]),
    "export of nothing": (["export", "none", "--doc-topic", "a.csv"], ["'none'"]),
    "export of a foreign folder": (["export", "foreign", "--doc-topic", "a.csv"], ["'foreign'"]),
    "export without a table": (["export", "run"], ["--doc-topic", "--topic-word"]),
    "export to an unknown format": (["export", "run", "--doc-topic", "a.csv", "--format", "xlsx"], ["xlsx", "parquet"]),
    "export without a format": (["export", "run", "--topic-word", "a"], ["'a'", "--format"]),
    "export onto a file": (["export", "run", "--doc-topic", "taken.csv"], ["taken.csv", "--overwrite"]),
    "export of a second table onto a file": (
        ["export", "run", "--doc-topic", "a.csv", "--topic-word", "taken.csv"],
        ["taken.csv"],
    ),
    "export of two tables onto one file": (["export", "run", "--doc-topic", "a.csv", "--topic-word", "a.csv"], []),
    "export of two tables onto one file, spelled differently": (
        ["export", "run", "--doc-topic", "a.csv", "--topic-word", "./a.csv"],
        [],
    ),
    "export below a file": (["export", "run", "--doc-topic", "taken.csv/a.csv"], ["cannot write"]),
    "unknown command": (["ftt", "corpus.txt"], ["ftt"]),
    "fit of nothing": (["fit"], ["corpus"]),
    "fit onto a run": (["fit", "corpus.txt", "--out", "run"], ["'run'", "--overwrite"]),
    "fit over a foreign folder": (
        ["fit", "corpus.txt", "--out", "foreign", "--overwrite"],
        ["not created by topicnet"],
    ),
    "fit over a file": (["fit", "corpus.txt", "--out", "taken.csv", "--overwrite"], ["not created by topicnet"]),
    "fit over the current folder": (["fit", "corpus.txt", "--out", ".", "--overwrite"], []),
    "fit below a file": (["fit", "corpus.txt", "--out", "taken.csv/run"], ["cannot write"]),
    "fit into /proc": (["fit", "corpus.txt", "--out", "/proc/x/y"], ["cannot write"]),
    "fit over a run that then fails": (["fit", "empty.txt", "--out", "run", "--overwrite"], ["no documents"]),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with only a corpus."""
    (tmp_path / "corpus.txt").write_bytes(GOOD)
    (tmp_path / "noise.bin").write_bytes(NOISE)
    return tmp_path


@pytest.fixture
def peopled(folder: Path, themed_run: Path) -> Path:
    """Return a folder with a corpus, a run, a foreign folder and files that block outputs."""
    shutil.copytree(themed_run, folder / "run")
    for name in ("foreign", "foreign.csv"):
        (folder / name).mkdir()
        (folder / name / "diary.txt").write_bytes(b"dear diary\n")
    (folder / "taken.csv").write_bytes(b"mine\n")
    (folder / "empty.txt").write_bytes(b"")
    return folder


@pytest.mark.parametrize("case", CORPORA)
def test_a_corpus_that_cannot_be_used_is_refused(case: str, warm: Warm, tmp_path: Path) -> None:
    name, content, options, mentions = CORPORA[case]
    (tmp_path / name).write_bytes(content)
    before = snapshot(tmp_path)
    given = "corpus.txt" if case == "missing file" else name
    done = warm("fit", given, *options, "-k", "2", "--out", "run", cwd=tmp_path)
    assert_refused(done, *mentions)
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("name", ["empty", "noted"])
def test_a_folder_without_text_is_refused(name: str, warm: Warm, tmp_path: Path) -> None:
    (tmp_path / name).mkdir()
    if name == "noted":
        (tmp_path / name / "notes.md").write_bytes(GOOD)
    before = snapshot(tmp_path)
    assert_refused(warm("fit", name, "--out", "run", cwd=tmp_path), name, ".txt")
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("case", OPTIONS)
def test_an_option_that_cannot_be_used_is_refused(case: str, warm: Warm, folder: Path) -> None:
    options, mentions = OPTIONS[case]
    before = snapshot(folder)
    assert_refused(warm("fit", "corpus.txt", "--out", "run", *options, cwd=folder), *mentions)
    assert snapshot(folder) == before


@pytest.mark.parametrize("case", CONFIGS)
def test_a_configuration_that_cannot_be_used_is_refused(case: str, warm: Warm, folder: Path) -> None:
    content, mentions = CONFIGS[case]
    (folder / "config.yaml").write_bytes(content)
    before = snapshot(folder)
    done = warm("fit", "corpus.txt", "--config", "config.yaml", "--out", "run", cwd=folder)
    assert_refused(done, *mentions)
    assert snapshot(folder) == before


@pytest.mark.parametrize("case", RUNS)
def test_an_unusable_output_is_refused_and_left_unchanged(case: str, warm: Warm, peopled: Path) -> None:
    arguments, mentions = RUNS[case]
    before = snapshot(peopled)
    assert_refused(warm(*arguments, cwd=peopled), *mentions)
    assert snapshot(peopled) == before


def test_a_configuration_whose_name_has_an_escape_is_refused_in_one_line(warm: Warm, folder: Path) -> None:
    (folder / "a\n\x1b[31m.yaml").write_bytes(b"tpics: 5\n")
    assert_refused(warm("fit", "corpus.txt", "--config", "a\n\x1b[31m.yaml", "--out", "run", cwd=folder), "tpics")


@pytest.mark.parametrize("name", ["no such file.txt", "corpus.txt"])
def test_a_refused_fit_leaves_no_empty_folder_for_its_runs(name: str, warm: Warm, folder: Path) -> None:
    before = snapshot(folder)
    assert_refused(warm("fit", name, "-k", "9999", cwd=folder))
    assert snapshot(folder) == before


def test_a_refused_fit_leaves_no_new_parent_folder(warm: Warm, folder: Path) -> None:
    before = snapshot(folder)
    assert_refused(warm("fit", "none.txt", "--out", "deep/below/run", cwd=folder), "none.txt")
    assert_refused(warm("fit", "corpus.txt", "-k", "9999", "--out", "deep/below/run", cwd=folder), "-k 9999")
    assert snapshot(folder) == before


@pytest.mark.parametrize("limit", [2_000, 20_000, 100_000])
def test_a_fit_that_cannot_be_written_is_reported_and_leaves_nothing(limit: int, warm: Warm, folder: Path) -> None:
    before = snapshot(folder)
    done = warm("fit", "corpus.txt", *QUICK, "--out", "run", "--quiet", cwd=folder, file_limit=limit)
    assert_refused(done, "cannot write", "'run", "File too large")  # raised for the run or a checkpoint
    assert snapshot(folder) == before


def test_a_run_stays_when_its_replacement_cannot_be_written(warm: Warm, peopled: Path) -> None:
    before = snapshot(peopled)
    options = ("--out", "run", "--overwrite", "--quiet")
    assert_refused(warm("fit", "corpus.txt", *QUICK, *options, cwd=peopled, file_limit=20_000), "File too large")
    assert snapshot(peopled) == before


@pytest.mark.parametrize("ending", ["csv", "parquet", "npz"])
def test_a_table_that_cannot_be_written_is_reported_and_leaves_nothing(ending: str, warm: Warm, peopled: Path) -> None:
    before = snapshot(peopled)
    transform = ("transform", "run", "corpus.txt", "--out", f"theta.{ending}")
    assert_refused(warm(*transform, cwd=peopled, file_limit=500), "cannot write", "File too large")
    export = ("export", "run", "--doc-topic", f"a.{ending}", "--topic-word", f"b.{ending}")
    assert_refused(warm(*export, cwd=peopled, file_limit=500), "cannot write", "File too large")
    assert warm(*transform, cwd=peopled).returncode == 0
    written = (peopled / f"theta.{ending}").read_bytes()
    assert_refused(warm(*transform, "--overwrite", cwd=peopled, file_limit=500), "cannot write")
    assert (peopled / f"theta.{ending}").read_bytes() == written
    (peopled / f"theta.{ending}").unlink()
    assert snapshot(peopled) == before


@pytest.mark.parametrize(
    "name",
    ["model/model.json", "model/model.safetensors", "model/vocabulary.txt", "run.json", "topics.json", "doc_topic.csv"],
)
def test_a_damaged_run_is_refused(name: str, warm: Warm, peopled: Path) -> None:
    path = peopled / "run" / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert_refused(warm("export", "run", "--doc-topic", "a.csv", cwd=peopled), "run")
    path.unlink()
    assert_refused(warm("export", "run", "--doc-topic", "a.csv", cwd=peopled), "run")
    assert not (peopled / "a.csv").exists()


# `topics` reads these files of a run only, and recognises a run by the presence of model/model.json.
NEEDED_BY_TOPICS = {"run.json", "topics.json", "topic_word.csv"}


def assert_needed_or_not(name: str, done: subprocess.CompletedProcess[str], printed: str) -> None:
    """Assert that `topics` refused the changed file by name if it needs it, and printed the same if it does not."""
    if name in NEEDED_BY_TOPICS:
        assert_refused(done, name)
    else:
        assert (done.returncode, done.stdout, done.stderr) == (0, printed, ""), name


@pytest.fixture(scope="module")
def printed(warm: Warm, themed_run: Path) -> str:
    """Return the output of `topics` for the run."""
    return warm("topics", themed_run, cwd=themed_run).stdout


@pytest.mark.parametrize("content", [b"5", b"null", b"[1]", b'{"a": 1}', NOISE])
@pytest.mark.parametrize("name", ["topics.json", "metrics.json", "run.json"])
def test_topics_refuses_foreign_json_in_the_files_it_needs(
    name: str, content: bytes, printed: str, warm: Warm, peopled: Path
) -> None:
    (peopled / "run" / name).write_bytes(content)
    assert_needed_or_not(name, warm("topics", "run", cwd=peopled), printed)


def test_topics_needs_only_these_files_of_a_run(printed: str, warm: Warm, peopled: Path) -> None:
    files = {path.relative_to(peopled / "run").as_posix(): path for path in (peopled / "run").rglob("*.*")}
    assert files.keys() > NEEDED_BY_TOPICS
    for name, path in files.items():
        content = path.read_bytes()
        path.write_bytes(b"5")
        assert_needed_or_not(name, warm("topics", "run", cwd=peopled), printed)
        path.write_bytes(content)
    for name in files.keys() - NEEDED_BY_TOPICS - {"model/model.json"}:
        files[name].unlink()
    assert warm("topics", "run", cwd=peopled).stdout == printed


def test_a_full_standard_output_is_reported(warm: Warm, themed_run: Path) -> None:
    done = warm("topics", themed_run, cwd=themed_run.parent, stdout="/dev/full")
    assert_refused(done)


def test_a_file_name_that_is_not_utf8_is_read_or_refused(warm: Warm, folder: Path) -> None:
    (folder / "caf\udce9.txt").write_bytes(GOOD)
    done = warm("fit", "caf\udce9.txt", *QUICK, "--quiet", "--out", "run", cwd=folder)
    if done.returncode:
        assert_refused(done)


def test_one_document_is_too_few_to_fit_but_can_be_transformed(warm: Warm, peopled: Path) -> None:
    (peopled / "one.txt").write_bytes(b"planet orbit rocket\n")
    assert_refused(warm("fit", "one.txt", "-k", "1", "--out", "other", cwd=peopled), "2 or more")
    done = warm("transform", "run", "one.txt", "--out", "one.csv", cwd=peopled)
    assert done.returncode == 0, done.stderr
    assert len((peopled / "one.csv").read_text().splitlines()) == 2


def test_a_fresh_process_refuses_in_the_same_way(topicnet: Topicnet, folder: Path) -> None:
    before = snapshot(folder)
    assert_refused(topicnet("fit", "none.txt", "--out", "run"), "none.txt")
    assert_refused(topicnet("fit", "corpus.txt", "--tpics", "5"), "--tpics")
    assert snapshot(folder) == before

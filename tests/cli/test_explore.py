"""`neighbours`, `path` and `topics --tree`: output, JSON, files, imports and wrong input."""

import csv
import shutil
from pathlib import Path

import pytest

from tests.support.command_line import QUICK, Warm, assert_refused, loaded_by, one_json

POT = pytest.importorskip("ot", reason="transport needs POT (the extra [transport])")


def test_neighbours_prints_a_line_per_document_and_its_words(warm: Warm, themed_run: Path) -> None:
    done = warm("neighbours", themed_run, "--to", "1", "--top", "3", cwd=themed_run.parent)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0].startswith("nearest to [1] by cosine distance")
    assert [line.split()[0] for line in lines if line[:3].strip().isdigit()] == ["1", "2", "3"]


@pytest.mark.parametrize("metric", ["cosine", "hellinger", "geodesic", "transport"])
def test_neighbours_json_is_one_document(metric: str, warm: Warm, themed_run: Path) -> None:
    done = warm(
        "neighbours", themed_run, "--to", "1", "--metric", metric, "--top", "5", "--json", cwd=themed_run.parent
    )
    assert (done.returncode, done.stderr) == (0, "")
    found = one_json(done.stdout)
    assert found["document"]["doc_id"] == "1"
    assert found["metric"] == metric
    assert [one["rank"] for one in found["neighbours"]] == [1, 2, 3, 4, 5]
    distances = [one["distance"] for one in found["neighbours"]]
    assert distances == sorted(distances)
    assert "1" not in [one["doc_id"] for one in found["neighbours"]]
    assert all(len(one["text"].split()) == 20 for one in found["neighbours"])


def test_neighbours_by_theta_import_no_torch(themed_run: Path) -> None:
    [(status, message, heavy)] = loaded_by(
        [["neighbours", str(themed_run), "--to", "1", "--metric", "hellinger"]], themed_run.parent
    )
    assert (status, message) == (0, "")
    assert not heavy & {"torch", "sklearn", "pandas", "gensim", "spacy", "matplotlib"}


def test_path_prints_steps_and_lengths(warm: Warm, themed_run: Path) -> None:
    done = warm("path", themed_run, "--from", "1", "--to", "2", "--steps", "5", cwd=themed_run.parent)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "from [1] to [2]"
    assert [line[:4].strip() for line in lines if line[3:4] == "%"] == ["0%", "25%", "50%", "75%", "100%"]
    [length] = [line for line in lines if line.startswith("length ")]
    assert "straight line" in length


def test_path_json_and_file_agree(warm: Warm, themed_run: Path, tmp_path: Path) -> None:
    arguments = ("path", themed_run, "--from", "1", "--to", "2", "--json", "--out", "path.csv")
    done = warm(*arguments, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    found = one_json(done.stdout)
    assert found["direct"] <= found["lower"] <= found["length"] <= found["straight"] * (1 + 1e-9)
    with (tmp_path / "path.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["doc_id"] for row in rows] == [step["doc_id"] for step in found["steps"]]
    assert [row["words"].split() for row in rows] == [step["words"] for step in found["steps"]]
    assert len(rows) == 7
    refused = warm(*arguments, cwd=tmp_path)
    assert_refused(refused, "path.csv")
    again = warm(*arguments, "--overwrite", cwd=tmp_path)
    assert again.stdout == done.stdout
    (tmp_path / "path.csv").write_text("mine\n")
    assert_refused(warm(*arguments, "--overwrite", cwd=tmp_path), "not recognised")
    assert (tmp_path / "path.csv").read_text() == "mine\n"


def test_tree_has_a_line_per_topic_in_both_forms(warm: Warm, themed_run: Path) -> None:
    done = warm("topics", themed_run, "--tree", cwd=themed_run.parent)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert sorted(int(line.split()[0]) for line in lines[1:5]) == [0, 1, 2, 3]
    assert "geodesic distance" in lines[-1]
    tree = one_json(warm("topics", themed_run, "--tree", "--json", cwd=themed_run.parent).stdout)
    assert len(tree["topics"]) == 4
    assert len(tree["tree"]["merges"]) == 3
    assert sorted(tree["tree"]["order"]) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("arguments", "mention"),
    [
        (("neighbours", "--to", "nobody"), "no document 'nobody'"),
        (("neighbours", "--to", "1", "--metric", "euclid"), "--metric euclid given, expected one of cosine"),
        (("neighbours", "--to", "1", "--top", "0"), "1 or more"),
        (("path", "--from", "1", "--to", "1"), "given as both ends"),
        (("path", "--from", "1", "--to", "2", "--steps", "2"), "--steps 2 given, expected"),
        (("path", "--from", "1", "--to", "2", "--out", "path.txt"), ".csv or .parquet"),
    ],
)
def test_wrong_input_is_refused_in_one_line(
    arguments: tuple[str, ...], mention: str, warm: Warm, themed_run: Path, tmp_path: Path
) -> None:
    command, *options = arguments
    assert_refused(warm(command, themed_run, *options, cwd=tmp_path), mention)
    assert not list(tmp_path.iterdir())


def test_a_path_is_not_written_into_the_run(warm: Warm, themed_run: Path) -> None:
    done = warm("path", themed_run, "--from", "1", "--to", "2", "--out", themed_run / "path.csv", cwd=themed_run.parent)
    assert_refused(done, "is inside the run")


def test_a_run_without_its_corpus_has_neighbours_without_text(warm: Warm, themed_run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(themed_run, folder)
    shutil.rmtree(folder / "corpus")
    done = warm("neighbours", folder, "--to", "1", "--top", "2", "--json", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert [one["text"] for one in one_json(done.stdout)["neighbours"]] == ["", ""]


def test_a_damaged_table_is_refused(warm: Warm, themed_run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(themed_run, folder)
    with (folder / "doc_topic.csv").open("a") as file:
        file.write("x\n")
    assert_refused(warm("neighbours", folder, "--to", "1", cwd=tmp_path), "doc_topic.csv")


def test_the_neighbours_under_a_gmntm_are_read_beside_its_components(warm: Warm, themed: Path, tmp_path: Path) -> None:
    fitted = warm("fit", themed, *QUICK, "--model", "gmntm", "--param", "n_components=3", "--out", "run", cwd=tmp_path)
    assert fitted.returncode == 0, fitted.stderr
    done = warm("neighbours", "run", "--to", "1", "--top", "2", "--json", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(one_json(done.stdout)["neighbours"]) == 2


def test_shared_ids_are_shown_with_their_rows(warm: Warm, tmp_path: Path) -> None:
    texts = ["cat dog mouse", "bread butter jam"] * 20
    rows = ["id,text", *(f"{'odd' if row % 2 else 'even'},{text}" for row, text in enumerate(texts))]
    (tmp_path / "pets.csv").write_text("\n".join(rows))
    options = ("--min-df", "1", "-k", "2", "--epochs", "1", "--init", "random", "--out", "run")
    fitted = warm("fit", "pets.csv", *options, cwd=tmp_path)
    assert fitted.returncode == 0, fitted.stderr
    assert_refused(warm("neighbours", "run", "--to", "odd", cwd=tmp_path), "give one of their rows instead (1, 3, 5")
    done = warm("neighbours", "run", "--to", "1", "--top", "2", cwd=tmp_path)
    assert done.stdout.startswith("nearest to [odd, row 1] by cosine distance")
    assert "[odd, row 3]" in done.stdout
    done = warm("path", "run", "--from", "0", "--to", "1", "--steps", "3", cwd=tmp_path)
    assert done.stdout.startswith("from [even, row 0] to [odd, row 1]")


def test_output_says_what_its_numbers_and_texts_are(warm: Warm, themed_run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(themed_run, folder)
    done = warm("neighbours", folder, "--to", "1", "--metric", "hellinger", cwd=tmp_path)
    said = " ".join(done.stdout.split())
    assert "Hellinger distance of topic proportions, from 0 (equal) to 1; shown are counted words" in said
    shutil.rmtree(folder / "corpus")
    done = warm("path", folder, "--from", "1", "--to", "2", "--steps", "3", cwd=tmp_path)
    said = " ".join(done.stdout.split())
    assert "lengths are Fisher-Rao distances" in said
    assert "the run was saved without its corpus, so no texts are shown" in said
    assert "      [1]" in done.stdout.splitlines()  # no colon before a text that is not there


def test_a_narrow_terminal_still_shows_texts(
    warm: Warm, themed_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "10")
    done = warm("path", themed_run, "--from", "1", "--to", "2", "--steps", "3", cwd=tmp_path)
    shown = next(line for line in done.stdout.splitlines() if line.startswith("      words: "))
    assert len(shown.split()) > 2


def test_a_single_topic_has_no_path(warm: Warm, themed: Path, tmp_path: Path) -> None:
    fitted = warm("fit", themed, "-k", "1", "--epochs", "1", "--init", "random", "--out", "k1", cwd=tmp_path)
    assert fitted.returncode == 0, fitted.stderr
    assert_refused(warm("path", "k1", "--from", "1", "--to", "2", cwd=tmp_path), "single topic")

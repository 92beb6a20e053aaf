"""Atomic writes and folder locks; strictly valid JSON; CSV cells that no spreadsheet runs."""

import csv
import errno
import hashlib
import io
import json
import math
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from tests.support.examples import examples
from tests.support.runs import write_run
from topicnet.errors import OutputError
from topicnet.storage import atomic, formats

STOPS = [ValueError, OSError, KeyboardInterrupt, SystemExit, GeneratorExit]
Whole = Callable[..., AbstractContextManager[Path]]


def fill(part: Path, content: str = "new") -> None:
    """Write content to the path that `atomic_folder` or `atomic_file` yields."""
    if part.is_dir():
        (part / "model").mkdir()
        (part / "model" / "deep.txt").write_text(content)
        (part / "run.json").write_text(content)
    else:
        part.write_text(content)


def listing(folder: Path) -> dict[str, str]:
    """Return relative paths and contents of all files below a folder, with "" for folders."""
    return {
        path.relative_to(folder).as_posix(): path.read_text() if path.is_file() else ""
        for path in sorted(folder.rglob("*"))
    }


def old_run(target: Path, content: str = "old") -> None:
    write_run(target, {"model/model.json": content, "topic_word.csv": content})


def old_file(target: Path, content: str = "old") -> None:
    target.write_text(content)


def stopped(whole: Whole, target: Path, stop: type[BaseException], *, overwrite: bool) -> None:
    """Raise an exception after the new content was written, but before the block has ended."""
    with whole(target, overwrite=overwrite) as part:
        fill(part)
        raise stop


def one_line(caught: "pytest.ExceptionInfo[BaseException]") -> str:
    message = str(caught.value)
    assert message.isprintable()
    return message


both = pytest.mark.parametrize(
    ("whole", "existing"), [(atomic.atomic_folder, old_run), (atomic.atomic_file, old_file)], ids=["folder", "file"]
)


@pytest.fixture
def umask() -> Iterator[Callable[[int], None]]:
    before = os.umask(0o022)
    yield lambda mask: os.umask(mask) and None
    os.umask(before)


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(atomic, "_sync", full)


@pytest.fixture
def no_exchange(monkeypatch: pytest.MonkeyPatch) -> None:
    """Imitate a disk that cannot exchange two names in one step."""
    monkeypatch.setattr(atomic, "_exchange", lambda one, other: False)


# ---------------------------------------------------------------- atomic writes


def test_a_folder_appears_when_complete(tmp_path: Path) -> None:
    target = tmp_path / "runs" / "one"
    with atomic.atomic_folder(target, overwrite=False) as part:
        fill(part)
        assert part.parent == target.parent  # next to it, so that the rename stays on one disk
        assert not target.exists()
    assert listing(tmp_path) == {
        "runs": "",
        "runs/one": "",
        "runs/one/model": "",
        "runs/one/model/deep.txt": "new",
        "runs/one/run.json": "new",
    }


def test_a_file_appears_when_complete(tmp_path: Path) -> None:
    target = tmp_path / "tables" / "theta.csv"
    with atomic.atomic_file(target, overwrite=False) as part:
        fill(part)
        assert part.parent == target.parent
        assert not target.exists()
    assert listing(tmp_path) == {"tables": "", "tables/theta.csv": "new"}


@both
@pytest.mark.parametrize("stop", STOPS)
def test_an_exception_in_the_block_leaves_nothing(tmp_path: Path, whole: Whole, existing, stop: type) -> None:
    with pytest.raises(stop):
        stopped(whole, tmp_path / "target", stop, overwrite=False)
    assert listing(tmp_path) == {}


@both
@pytest.mark.parametrize("stop", STOPS)
def test_an_exception_in_the_block_keeps_the_old_target(tmp_path: Path, whole: Whole, existing, stop: type) -> None:
    existing(tmp_path / "target")
    before = listing(tmp_path)
    with pytest.raises(stop):
        stopped(whole, tmp_path / "target", stop, overwrite=True)
    assert listing(tmp_path) == before


@both
@pytest.mark.usefixtures("full_disk")
def test_a_full_disk_is_reported_and_leaves_the_old_target_unchanged(tmp_path: Path, whole: Whole, existing) -> None:
    existing(tmp_path / "target")
    before = listing(tmp_path)
    with pytest.raises(OutputError) as caught, whole(tmp_path / "target", overwrite=True) as part:
        fill(part)
    assert repr(str(tmp_path / "target")) in one_line(caught)
    assert "free some space" in str(caught.value)
    assert listing(tmp_path) == before


@pytest.mark.parametrize("failing", [".part", "target"])
@pytest.mark.usefixtures("no_exchange")
def test_a_failed_rename_restores_the_old_folder(tmp_path: Path, monkeypatch, failing: str) -> None:
    old_run(tmp_path / "target")
    before = listing(tmp_path)
    rename = Path.rename

    def refuse(self: Path, to: Path) -> Path:
        if self.name.endswith(failing):
            raise OSError(errno.EACCES, os.strerror(errno.EACCES))
        return rename(self, to)

    monkeypatch.setattr(Path, "rename", refuse)
    with (
        pytest.raises(OutputError, match="Permission denied"),
        atomic.atomic_folder(tmp_path / "target", overwrite=True) as part,
    ):
        fill(part)
    assert listing(tmp_path) == before


@both
def test_overwriting_replaces_the_whole_old_target(tmp_path: Path, whole: Whole, existing) -> None:
    existing(tmp_path / "target")
    with whole(tmp_path / "target", overwrite=True) as part:
        fill(part)
        assert "new" not in listing(tmp_path / "target").values()
    assert "target/topic_word.csv" not in listing(tmp_path)
    assert "old" not in listing(tmp_path).values()
    assert [path.name for path in tmp_path.iterdir()] == ["target"]


@both
def test_an_existing_target_is_rejected_before_the_block(tmp_path: Path, whole: Whole, existing) -> None:
    existing(tmp_path / "target")
    before = listing(tmp_path)
    with pytest.raises(OutputError, match="exists already") as caught, whole(tmp_path / "target", overwrite=False):
        pytest.fail("the block was entered")
    assert "--overwrite" in one_line(caught)
    assert listing(tmp_path) == before


def precious(target: Path) -> None:
    target.mkdir()
    (target / "thesis.txt").write_text("years of work")


@pytest.mark.parametrize("make", [precious, old_file], ids=["folder", "file"])
def test_only_runs_are_overwritten_by_a_run(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "target")
    before = listing(tmp_path)
    with (
        pytest.raises(OutputError, match="was not created by topicnet") as caught,
        atomic.atomic_folder(tmp_path / "target", overwrite=True),
    ):
        pytest.fail("the block was entered")
    one_line(caught)
    assert listing(tmp_path) == before


def test_an_empty_folder_may_be_overwritten_by_a_run(tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    with atomic.atomic_folder(tmp_path / "target", overwrite=True) as part:
        fill(part)
    assert (tmp_path / "target" / "run.json").read_text() == "new"


@both
def test_a_target_created_during_the_block_is_not_lost(tmp_path: Path, whole: Whole, existing) -> None:
    """Fits take hours, so another fit or the user may have written to the same place in the meantime."""
    target = tmp_path / "target"
    with suppress(OutputError), whole(target, overwrite=False) as part:
        fill(part)
        existing(target, "years of work")
    assert "years of work" in listing(tmp_path).values()


def test_a_file_does_not_replace_a_folder(tmp_path: Path) -> None:
    precious(tmp_path / "target")
    with (
        pytest.raises(OutputError, match="is a folder, expected a file name") as caught,
        atomic.atomic_file(tmp_path / "target", overwrite=True),
    ):
        pytest.fail("the block was entered")
    one_line(caught)
    assert listing(tmp_path) == {"target": "", "target/thesis.txt": "years of work"}


@both
def test_a_target_below_a_file_is_reported_in_one_line(tmp_path: Path, whole: Whole, existing) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="cannot write") as caught, whole(tmp_path / "file" / "a", overwrite=False):
        pytest.fail("the block was entered")
    assert "--out" in one_line(caught)


@both
def test_a_name_too_long_for_the_disk_is_reported_in_one_line(tmp_path: Path, whole: Whole, existing) -> None:
    with (
        pytest.raises(OutputError, match="File name too long") as caught,
        whole(tmp_path / ("x" * 300), overwrite=False),
    ):
        pytest.fail("the block was entered")
    one_line(caught)


def test_overwriting_a_run_through_a_link_leaves_nothing_behind(tmp_path: Path) -> None:
    old_run(tmp_path / "elsewhere" / "run")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere" / "run")
    with atomic.atomic_folder(tmp_path / "link", overwrite=True) as part:
        fill(part)
    assert (tmp_path / "link" / "run.json").read_text() == "new"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["elsewhere", "link"]


@pytest.mark.parametrize(
    ("mask", "folder_mode", "file_mode"), [(0o022, 0o755, 0o644), (0o077, 0o700, 0o600), (0o002, 0o775, 0o664)]
)
def test_permissions_honour_the_umask(tmp_path: Path, umask, mask: int, folder_mode: int, file_mode: int) -> None:
    umask(mask)
    with atomic.atomic_folder(tmp_path / "run", overwrite=False) as part:
        formats.write_text(part / "inner.txt", "x")
    with atomic.atomic_file(tmp_path / "table.csv", overwrite=False) as part:
        part.write_text("x")
    assert os.umask(mask) == mask  # unchanged
    assert (tmp_path / "run").stat().st_mode & 0o777 == folder_mode
    assert (tmp_path / "run" / "inner.txt").stat().st_mode & 0o777 == file_mode
    assert (tmp_path / "table.csv").stat().st_mode & 0o777 == file_mode


def test_refuse_existing(tmp_path: Path) -> None:
    atomic.refuse_existing(tmp_path / "free")
    with pytest.raises(OutputError, match="--overwrite"):
        atomic.refuse_existing(tmp_path)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OSError(errno.ENOSPC, "x"), "No space left on device; nothing was left behind: free some space"),
        (OSError(errno.EROFS, "x"), "Read-only file system; nothing was left behind: check the path"),
        (OSError("odd"), "odd; nothing was left behind: check the path"),
    ],
)
def test_disk_errors_are_reported_in_one_line(error: OSError, expected: str) -> None:
    with pytest.raises(OutputError) as caught, atomic.disk_errors(Path("place")):
        raise error
    assert one_line(caught).startswith(f"cannot write 'place': {expected}")
    assert caught.value.__cause__ is error


def test_other_errors_are_not_converted() -> None:
    with pytest.raises(KeyError), atomic.disk_errors(Path("place")):
        raise KeyError("ours")


# ---------------------------------------------------------------- text and JSON


def strict(text: str) -> object:
    """Parse JSON strictly, with NaN and Infinity as errors."""
    return json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


def test_numbers_that_are_not_finite_become_null(tmp_path: Path) -> None:
    content = {
        "nan": math.nan,
        "list": [1, math.inf, {"deep": -math.inf}],
        "tuple": (1.5, math.nan),
        "numpy": np.float64("nan"),
        "é": "\u2028 NaN",
        "none": None,
        "yes": True,
    }
    formats.write_json(tmp_path / "x.json", content)
    text = (tmp_path / "x.json").read_bytes().decode("utf-8")
    assert text.endswith("}\n")
    assert "é" in text
    assert strict(text) == {
        "nan": None,
        "list": [1, None, {"deep": None}],
        "tuple": [1.5, None],
        "numpy": None,
        "é": "\u2028 NaN",
        "none": None,
        "yes": True,
    }


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def finite(value: object) -> object:
    if isinstance(value, dict):
        return {key: finite(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


@given(values)
def test_json_values_are_restored_except_for_non_finite_numbers(content: object) -> None:
    text = formats.json_text(content)
    assert strict(text) == finite(content)
    assert text.encode("utf-8").decode("utf-8") == text


def test_values_without_a_json_form_are_an_error() -> None:
    with pytest.raises(TypeError):
        formats.json_text({"path": Path("x")})


def test_text_is_written_unchanged_and_folders_are_created(tmp_path: Path) -> None:
    formats.write_text(tmp_path / "a" / "b.txt", "é\r\nx\n")
    assert (tmp_path / "a" / "b.txt").read_bytes() == "é\r\nx\n".encode()


@pytest.mark.parametrize("content", [b"", b"abc", bytes(range(256)) * 5000])
def test_sha256(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x").write_bytes(content)
    assert formats.sha256(tmp_path / "x") == hashlib.sha256(content).hexdigest()


# ---------------------------------------------------------------- tables


def safe(*cells: str | None) -> list[str | None]:
    return formats.spreadsheet_safe(pl.DataFrame({"a": cells}, schema={"a": pl.String}))["a"].to_list()


@pytest.mark.parametrize(
    "cell",
    [
        "=1+1",
        "=cmd|' /C calc'!A0",
        "@SUM(A1)",
        "+cmd",
        "-2+3",
        "-",
        "+",
        "--1",
        "\tx",
        "\r=1",
        "-1-1",
        "-1\n",
        "-inf",
        "\n=1",
        "＝1+1",
        "＠SUM(A1)",
        "＋1",
        "－1",
    ],
)
def test_a_formula_is_quoted(cell: str) -> None:
    assert safe(cell) == [f"'{cell}"]


@pytest.mark.parametrize(
    "cell",
    [
        "-5",
        "+5",
        "-0.5",
        "+.5",
        "-1e-07",
        "+1.5E+10",
        "-5.",
        "plain",
        "a=b",
        "a\n=b",
        "1-2",
        "",
        "'quoted",
        "e@x",
        None,
    ],
)
def test_signed_numbers_and_plain_text_are_unchanged(cell: str | None) -> None:
    assert safe(cell) == [cell]


def test_only_text_columns_are_changed() -> None:
    table = pl.DataFrame({"n": [-1, 2], "x": [-0.5, 1.0], "s": ["=a", "b"], "e": [None, None]})
    assert formats.spreadsheet_safe(table).to_dict(as_series=False) == table.to_dict(as_series=False) | {
        "s": ["'=a", "b"]
    }


def csv_rows(table: pl.DataFrame) -> list[list[str]]:
    with tempfile.TemporaryDirectory() as folder:
        formats.write_table(Path(folder, "t.csv"), table)
        content = Path(folder, "t.csv").read_bytes().decode("utf-8")
    return list(csv.reader(io.StringIO(content, newline="")))


cells = st.text(st.sampled_from("=+-@\t\r\n'\"1.5eE,a ") | st.characters(exclude_categories=("Cs",)), max_size=6)


@given(st.lists(cells, min_size=1, max_size=6))
@example(["=", "@", "\t", "\r", "+", "-", "-1", "+1e5", "-1\n", "", '"=1"', '",=1'])
def test_no_cell_of_a_csv_file_is_a_formula(texts: list[str]) -> None:
    rows = csv_rows(pl.DataFrame({"n": range(len(texts)), "text": texts}))
    assert rows[0] == ["n", "text"]
    assert len(rows) == len(texts) + 1  # so no cell broke its row
    for text, (_, cell) in zip(texts, rows[1:], strict=True):
        assert not cell.startswith(("=", "@", "\t", "\r"))
        if cell.startswith(("+", "-")):
            assert math.isfinite(float(cell))
            assert not re.search(r"\s", cell)
        assert cell in (text, f"'{text}")


@pytest.mark.parametrize("slice_rows", [1, 2, 3, 6, 7, 8])
def test_a_csv_file_written_in_slices_equals_one_written_at_once(tmp_path: Path, monkeypatch, slice_rows: int) -> None:
    table = pl.DataFrame({"id": ["a", "=b", "c,d", 'e"f', "g\nh", "", None], "x": np.arange(7, dtype=np.float32) / 3})
    formats.write_table(tmp_path / "whole.csv", table)
    monkeypatch.setattr(formats, "CSV_SLICE", slice_rows)
    formats.write_table(tmp_path / "slices.csv", table)
    assert (tmp_path / "slices.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert (tmp_path / "whole.csv").read_bytes().count(b"id,x\n") == 1


def test_a_table_without_rows_has_a_header(tmp_path: Path) -> None:
    formats.write_table(tmp_path / "t.csv", pl.DataFrame(schema={"doc_id": pl.String, "x": pl.Float32}))
    assert (tmp_path / "t.csv").read_bytes() == b"doc_id,x\n"


@examples(50)
@given(st.lists(st.floats(0, 1, width=32), min_size=1, max_size=20))
@example([0.0, 1.0, 2.0**-149, 2.0**-126, 0.1, 1 - 2.0**-24, 1 / 3, 1e-10])
def test_theta_is_restored_from_csv_to_the_bit(numbers: list[float]) -> None:
    theta = np.array(numbers, dtype=np.float32)
    rows = csv_rows(pl.DataFrame({"theta": theta}))
    by_numpy = np.array([np.float32(cell) for (cell,) in rows[1:]])
    assert by_numpy.tobytes() == theta.tobytes()
    text = "theta\n" + "".join(f"{cell}\n" for (cell,) in rows[1:])
    by_polars = pl.read_csv(io.StringIO(text), schema={"theta": pl.Float32})["theta"].to_numpy()
    assert by_polars.tobytes() == theta.tobytes()


def test_parquet_leaves_cells_unchanged(tmp_path: Path) -> None:
    table = pl.DataFrame({"id": ["=a", None, ""], "x": np.array([0.1, np.nan, 1], dtype=np.float32)})
    formats.write_table(tmp_path / "t.parquet", table, parquet=True)
    assert_frame_equal(pl.read_parquet(tmp_path / "t.parquet"), table)


# ---------------------------------------------------------------- folder locks


HOLD = """
import sys, time
from pathlib import Path
from topicnet.storage import atomic
with atomic.folder_lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def hold(folder: Path) -> "subprocess.Popen[str]":
    """Start a process that locks a folder until its standard input is closed."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_locked_folder_is_created_and_removed_if_it_stays_empty(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "one"
    with atomic.folder_lock(folder):
        assert listing(tmp_path) == {"runs": "", "runs/one": "", "runs/one/lock": ""}
    assert listing(tmp_path) == {}
    with atomic.folder_lock(folder):
        (folder / "kept.txt").write_text("kept")
    assert (folder / "kept.txt").read_text() == "kept"
    with atomic.folder_lock(folder):
        (folder / "kept.txt").unlink()
    assert not folder.exists()


def test_a_locked_folder_is_closed_to_others_until_its_process_ends(tmp_path: Path) -> None:
    folder = tmp_path / "one"
    with hold(folder) as process:
        with pytest.raises(OutputError, match="another process is writing in") as caught, atomic.folder_lock(folder):
            pytest.fail("the block was entered")
        one_line(caught)
        process.kill()
    with atomic.folder_lock(folder):
        pass
    assert listing(tmp_path) == {}


def test_a_folder_that_cannot_be_created_is_reported_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for folder in (tmp_path / "file", tmp_path / "file" / "below", tmp_path / "new" / ("x" * 300)):
        with pytest.raises(OutputError, match="cannot write") as caught, atomic.folder_lock(folder):
            pytest.fail("the block was entered")
        one_line(caught)
    assert listing(tmp_path) == {"file": "x"}


def test_a_folder_may_be_staged_within_another(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    with atomic.atomic_folder(tmp_path / "run", overwrite=False, within=tmp_path / "work") as part:
        fill(part)
        assert part.parent == tmp_path / "work"
    assert [path.name for path in (tmp_path / "work").iterdir()] == []
    assert (tmp_path / "run" / "run.json").read_text() == "new"


def test_a_broken_link_is_reported_as_such(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("gone")
    with pytest.raises(OutputError, match="a link to 'gone', which does not exist") as caught:
        atomic.check_folder(tmp_path / "link", overwrite=False)
    assert "remove the link" in one_line(caught)

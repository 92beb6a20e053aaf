"""Damaged or malicious saved counts give a one-line error and use little memory."""

import json
import struct
from pathlib import Path
from typing import Any

import pytest

from topicnet.errors import CorpusError
from topicnet.text.corpus import ARRAYS, Corpus


def header(kind: str, shape: str) -> bytes:
    text = f"{{'descr': {kind}, 'fortran_order': False, 'shape': {shape}}}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + bytes(64)


HEADERS = {
    "more than there is": header("'<i4'", "(10**18,)".replace("10**18", str(10**18))),
    "more than 64 bits": header("'<i4'", f"({10**30},)"),
    "below 0": header("'<i4'", "(-1,)"),
    "two dimensions": header("'<i4'", "(4, 4)"),
    "none": header("'<i4'", "()"),
    "objects": header("'|O'", "(4,)"),
    "text": header("'<U4'", "(4,)"),
    "structures": header("[('a', '<i4')]", "(4,)"),
    "brackets": header("(" * 9_000, "(4,)"),
    "no header": b"",
}


@pytest.fixture
def counts(tmp_path: Path) -> Path:
    Corpus.from_texts(["planet orbit moon"] * 5 + ["tree leaf root"] * 5).save(tmp_path / "counts")
    return tmp_path / "counts"


@pytest.mark.parametrize("name", ARRAYS)
@pytest.mark.parametrize("case", HEADERS)
def test_a_hostile_array_is_refused(counts: Path, name: str, case: str) -> None:
    (counts / f"{name}.npy").write_bytes(HEADERS[case])
    with pytest.raises(CorpusError) as caught:
        Corpus.load(counts)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        {"n_docs": 10**30}, {"n_docs": -1}, {"n_docs": [1]}, {"vocab_size": 10**30}, {"format": "a"}, {"format": None},
        {"source": []}, {"renamed": [1]}, {"renamed": {"a": [1]}},
    ],
)  # fmt: skip
def test_a_hostile_record_is_refused(counts: Path, change: dict[str, Any]) -> None:
    record = json.loads((counts / "counts.json").read_text())
    (counts / "counts.json").write_text(json.dumps(record | change))
    with pytest.raises(CorpusError):
        Corpus.load(counts)


def test_a_folder_named_with_brackets_is_not_a_pattern(tmp_path: Path) -> None:
    for name, word in {"C1": "other", "C[1]": "mine"}.items():
        Corpus.from_texts([f"{word} planet"] * 2, ids=[f"{word}-1", f"{word}-2"]).save(tmp_path / name)
    assert Corpus.load(tmp_path / "C[1]").ids == ["mine-1", "mine-2"]

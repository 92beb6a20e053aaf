"""Early check, before anything is read, that the libraries needed for the files of a corpus are installed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from topicnet.errors import CorpusError
from topicnet.runtime.extras import check_installed, is_installed
from topicnet.text.readers.documents import shown
from topicnet.text.readers.folders import contents_of_folder, split_ending
from topicnet.text.readers.mallet import is_octis
from topicnet.text.readers.workbooks import WORKBOOKS

_OF_FORMATS = dict.fromkeys(WORKBOOKS, "fastexcel") | {"duckdb": "duckdb", "pdf": "pypdf", "docx": "docx"}
_ZSTANDARD = ".zst"


def check_libraries(sources: Sequence[str | Path], file_format: str | None) -> None:
    """Raise CorpusError, with the pip extra to install, for the first file that needs a missing library.

    Formats are known by file extension; those that only the bytes reveal are found while reading.

    Parameters
    ----------
    sources : sequence of str or Path
        Files and folders that exist.
    file_format : str, optional
        The format of --format, instead of that of the extensions.
    """
    missing = {module for module in ("zstandard", *_OF_FORMATS.values()) if not is_installed(module)}
    if not missing:  # a large folder is not listed twice
        return
    for path, kind in _files(sources, file_format):
        needed = "zstandard" if path.name.lower().endswith(_ZSTANDARD) else _OF_FORMATS.get(kind)
        if needed in missing:
            check_installed(f"reading {shown(str(path))}", [needed], CorpusError)


def _files(sources: Sequence[str | Path], file_format: str | None) -> Iterator[tuple[Path, str]]:
    """Yield each file with its format, skipping folders that hold a run or an OCTIS corpus."""
    for path in map(Path, sources):
        if not path.is_dir():
            yield path, file_format or split_ending(path.name)[1]
        elif not any((path / name).is_file() for name in ("run.json", "model.json")) and not is_octis(path):
            for one in contents_of_folder(path, file_format).files:
                yield one.path, one.file_format

"""Export of a run: its tables to CSV, Parquet or NPZ files, and its counts to LDA-C or Matrix Market."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from topicnet.errors import InputError
from topicnet.models.registry import extra_units
from topicnet.storage.atomic import probe_file
from topicnet.storage.overlap import check_apart
from topicnet.text.interchange.bags import bag_format, bag_paths, write_ldac, write_matrix_market
from topicnet.workflows.corpus import counts_of
from topicnet.workflows.run import Run, load
from topicnet.workflows.tables import choose_format, write_doc_table, write_word_table

COUNT_FORMATS = ("ldac", "mm")


def export_tables(
    run: Path, targets: Mapping[str, Path | None], file_format: str | None, top: int, *, overwrite: bool
) -> list[str]:
    """Write the requested tables and return a line about each file.

    Parameters
    ----------
    run : Path
        A run folder; if only the counts are written, also a folder of `topicnet prepare`.
    targets : mapping of str to Path or None
        File for each table: "doc-topic", "topic-word", "counts", and the extra tables of a model, such as
        "doc-component" and "component-word". None skips the table.
    file_format : str, optional
        "csv", "parquet", "npz", "ldac" or "mm"; by default taken from each file's ending.
    top : int
        Words of each topic in the topic-word table; 0 for all.
    overwrite : bool
        Replace files that topicnet wrote.

    Returns
    -------
    list of str
        "wrote FILE" for each file.

    Raises
    ------
    InputError
        No table is named, the model does not have it, or the format is unknown.
    OutputError
        A file exists or cannot be written.
    """
    asked = {name: path for name, path in targets.items() if path is not None}
    if not asked:
        options = ", ".join(f"--{name} FILE" for name in targets)
        raise InputError(f"nothing to export was named: give one or more of {options}")
    check_apart(asked.values(), [])
    formats = {name: _format_of(name, path, file_format) for name, path in asked.items()}
    counts, written = asked.pop("counts", None), list[Path]()
    bag = [] if counts is None else bag_paths(counts, f".{formats['counts']}")
    check_apart([*asked.values(), *bag], [("the run", run)])
    for path in asked.values():
        probe_file(path, overwrite=overwrite, recognised=True)
    for path in bag:
        probe_file(path, overwrite=overwrite)
    if counts is not None:
        write = write_ldac if formats["counts"] == "ldac" else write_matrix_market
        corpus = counts_of(run)
        written += write(counts, corpus.counts, corpus.vocabulary, overwrite=overwrite, only_same=True)
    if asked:
        loaded = load(run)
        writers = export_writers(loaded, top)
        for name in asked:
            if name not in writers:
                unit = name.removeprefix("doc-").removesuffix("-word")
                having = " and ".join(extra_units()[unit])
                raise InputError(f"--{name} given, but {loaded.bundle.name} has no {unit}s: only {having} has them")
        for name, path in asked.items():
            writers[name](path, file_format=formats[name], overwrite=overwrite)
    return [f"wrote {path}" for path in [*written, *asked.values()]]


def _format_of(name: str, path: Path, asked: str | None) -> str:
    """Return the format to write a table in; raise InputError if it does not suit the table."""
    if name != "counts":
        if asked in COUNT_FORMATS:
            raise InputError(f"--format {asked} given for --{name}: {asked} is a format of counts, give --counts FILE")
        return choose_format(path, asked)
    found = bag_format(path, asked)
    if found not in COUNT_FORMATS:
        given = f"--format {asked!r}" if asked is not None else f"file {str(path)!r}"
        raise InputError(f"{given} given for --counts, expected ldac or mm: give --format or one of these endings")
    return found


def export_writers(run: Run, top: int) -> dict[str, Callable[..., None]]:
    """Return a function for each table of a run that writes it to a file, given `file_format` and `overwrite`."""
    tables = [("topic", run.theta, run.model.components_)]
    if run.extra:
        tables += [(extra.unit, run.extra[extra.unit], extra.words) for extra in run.model.extra_tables()]
    writers: dict[str, Callable[..., None]] = {}
    for unit, theta, beta in tables:
        writers[f"doc-{unit}"] = partial(
            write_doc_table, ids=run.ids, status=run.status, theta=theta, unit=unit, kept=run.kept
        )
        writers[f"{unit}-word"] = partial(write_word_table, beta=beta, vocabulary=run.vocabulary, top=top, unit=unit)
    return writers

"""Write a table of measured results as benchmarks/results/NAME.json, from which the documentation renders it.

A script adds the option with `add_option` and hands its table to `publish`. Command, commit, machine, versions and date
are filled in. Afterwards run `python tools/generate_docs.py`, which rewrites the pages that show the table.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import re
import shlex
import subprocess
import sys
from collections.abc import Iterable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
LIBRARIES = ("torch", "numpy", "scipy", "scikit-learn")


def add_option(parser: argparse.ArgumentParser) -> None:
    """Add `--publish NAME` to a script."""
    parser.add_argument(
        "--publish",
        metavar="NAME",
        help="also write each table to benchmarks/results, under names that begin with NAME",
    )


def publish(
    name: str, title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], libraries: Sequence[str] = ()
) -> Path:
    """Write one table with its origin.

    Parameters
    ----------
    name : str
        File name without its ending: lower-case letters, digits and hyphens.
    title : str
        The measurement in one line.
    columns : sequence of str
        Distinct names.
    rows : iterable of sequences of str
        Cells as they are to be shown, one for each column.
    libraries : sequence of str
        Distributions whose versions matter, besides topicnet, torch, numpy, scipy and scikit-learn.

    Returns
    -------
    Path
        The file written.
    """
    cells = [list(row) for row in rows]
    if not re.fullmatch(r"[a-z0-9-]+", name):
        raise ValueError(f"name {name!r} given, expected lower-case letters, digits and hyphens")
    if len(set(columns)) < len(columns) or any(len(row) != len(columns) for row in cells):
        raise ValueError(f"columns {list(columns)} given, expected distinct names, and a cell for each in every row")
    commit = current_commit()
    content = {
        "title": title,
        "command": command(),
        "commit": commit,
        "commit_is": None if commit is None else "measured",
        "date": datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
        "machine": machine(),
        "versions": versions(libraries),
        "columns": list(columns),
    }
    head = json.dumps(content, ensure_ascii=False, indent=1).removesuffix("\n}")
    lines = ",\n".join(f"  {json.dumps(row, ensure_ascii=False)}" for row in cells)
    path = RESULTS / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'{head},\n "rows": [\n{lines}\n ]\n}}\n', encoding="utf-8")
    return path


def publish_markdown(name: str, title: str, text: str, libraries: Sequence[str] = ()) -> list[Path]:
    """Publish every Markdown table of a text: the first as `name`, the others as `name`-2, `name`-3, ..."""
    blocks = re.findall(r"(?:^\|.*\n?)+", text, re.MULTILINE)
    written = []
    for number, block in enumerate(blocks, 1):
        header, _, *rows = (cells_of(line) for line in block.splitlines())
        written.append(publish(name if number == 1 else f"{name}-{number}", title, header, rows, libraries))
    return written


def command() -> str:
    """The command line of this process, without the places of data and results, which differ between machines."""
    left_out = {"--publish", "--data", "--out"}
    given = [
        word
        for before, word in zip(sys.argv, sys.argv[1:], strict=False)
        if before not in left_out and word not in left_out and word.partition("=")[0] not in left_out
    ]
    return shlex.join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *given])


def current_commit() -> str | None:
    """The short hash of the commit checked out, with a plus sign if files differ from it; None outside of git."""
    try:
        asked = ["git", "-C", str(ROOT), "describe", "--always", "--exclude", "*", "--dirty=+"]
        return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def machine() -> str:
    """Processor, cores, memory and accelerator in one line."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return f"{processor()}, {cores} cores, {memory:.0f} GB of memory, {platform.system()}, {accelerator()}"


def processor() -> str:
    """Name of the processor, or its architecture where the system does not give one."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def accelerator() -> str:
    """Name of the first GPU that torch finds, if the script has imported torch."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return "no GPU"
    return str(torch.cuda.get_device_name(0))


def versions(libraries: Sequence[str]) -> dict[str, str]:
    """Versions of topicnet, of Python and of the libraries that are installed."""
    found = {}
    for library in ("topicnet", *LIBRARIES, *libraries):
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            continue
    return found | {"Python": platform.python_version()}


def cells_of(line: str) -> list[str]:
    """Cells of a row of a Markdown table."""
    return [cell.strip() for cell in line.strip().strip("|").split("|")]

"""Run the shell and Python examples of Markdown pages, and compare or rewrite the output they show.

    python tools/examples.py README.md docs/start.md           # run the pages, report what differs
    python tools/examples.py --write README.md docs/start.md   # put the real output into the pages

A page is one session in an empty folder, which `corpus_files` fills with the corpora that the pages use. Its blocks run
in order:

- `console`: each line after `$ ` is a command, the lines below it its standard output. Without such lines only the exit
  status, 0, is checked; a command that is meant to fail ends with `# exit 2`.
- `python`: run in one namespace per page. A `text` block that follows at once is its standard output.

A line `...` of an output matches any lines. `similar` after the language (`console similar`) lets each line differ
a little, since another processor may round a fit otherwise: three quarters of its words must agree, and its numbers
within 30 % or 0.1. `norun` marks a block that is not executed (set-up commands, a cluster).
"""

from __future__ import annotations

import argparse
import contextlib
import difflib
import io
import itertools
import math
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SIMILAR_WORDS = 0.75  # at least this fraction of the words of a line
RELATIVE, ABSOLUTE = 0.3, 0.1  # at most this difference of a number
_NUMBER = re.compile(r"[-+]?\d[\d,]*(?:\.\d+)?")
_FENCE = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for tests.support

Run = Callable[[str, Path], tuple[int, str]]  # a command line and a folder; exit status and standard output


@dataclass
class Step:
    """A command or a Python block: its code, the output shown, and the place of these in the page."""

    language: str
    code: str
    shown: str
    start: int  # of the output, as offsets into the page
    end: int
    similar: bool = False
    status: int = 0


def steps(page: str) -> Iterator[Step]:
    """The commands and Python blocks of a page that are executed, in order."""
    fences = list(_FENCE.finditer(page))
    for fence, following in itertools.zip_longest(fences, fences[1:]):
        language, *words = fence["info"].split() or [""]
        if "norun" in words:
            continue
        if language == "console":
            yield from _commands(fence, "similar" in words)
        elif language == "python":
            start = end = fence.end()
            if following is not None and re.match(r"\s*```text", page[fence.end() :]):
                start, end = following.span("body")
                words += following["info"].split()[1:]
            yield Step("python", fence["body"], page[start:end], start, end, "similar" in words)


def _commands(fence: re.Match[str], similar: bool) -> Iterator[Step]:
    """The commands of a console block; one may go over several lines that end with a backslash."""
    at, command, start, step = fence.start("body"), "", 0, None
    for line in fence["body"].splitlines(keepends=True):
        if command or line.startswith("$ "):
            if step is not None and not command:
                yield _ended(step, fence, at)
                step = None
            command += line.removeprefix("$ ").rstrip("\n")
            if command.endswith("\\"):
                command = command[:-1]
            else:
                start = at + len(line)
                code, _, status = command.partition("  # exit ")
                step = Step("console", code, "", start, start, similar, int(status or 0))
                command = ""
        at += len(line)
    if step is not None:
        yield _ended(step, fence, at)


def _ended(step: Step, fence: re.Match[str], end: int) -> Step:
    step.end, step.shown = end, fence.string[step.start : end]
    return step


def same(shown: str, printed: str, similar: bool) -> bool:
    """Does the output agree with the page?"""
    if similar:
        lines, others = _trimmed(shown).splitlines(), _trimmed(printed).splitlines()
        return len(lines) == len(others) and all(map(similar_lines, lines, others))
    parts = [re.escape(part) for part in re.split(r"^\.\.\.$", _trimmed(shown), flags=re.MULTILINE)]
    return re.fullmatch(".*".join(parts), _trimmed(printed), re.DOTALL) is not None


def similar_lines(shown: str, printed: str) -> bool:
    """Do two lines have nearly the same words, in any order, and as many numbers of nearly the same values?"""
    words, others = (sorted(_NUMBER.sub(" ", line).split()) for line in (shown, printed))
    numbers, values = ([float(n.replace(",", "")) for n in _NUMBER.findall(line)] for line in (shown, printed))
    return (
        difflib.SequenceMatcher(None, words, others, autojunk=False).ratio() >= SIMILAR_WORDS
        and len(numbers) == len(values)
        and all(math.isclose(a, b, rel_tol=RELATIVE, abs_tol=ABSOLUTE) for a, b in zip(numbers, values, strict=True))
    )


def _trimmed(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip("\n").splitlines()) + "\n"


def corpus_files(folder: Path) -> None:
    """Write the files that the pages use, made of the 300 news articles that gensim brings along."""
    import numpy as np
    import pandas as pd
    from gensim.test.utils import datapath

    from tests.support.workbooks import write_workbook

    texts = Path(datapath("lee_background.cor")).read_text("utf-8").splitlines()
    news = pd.DataFrame({"text": texts}).rename_axis("id")
    news["week"] = 1 + news.index // 75
    news.iloc[:250].to_csv(folder / "news.csv")
    news.iloc[250:].to_csv(folder / "new.csv")
    (folder / "news.txt").write_text("".join(f"{text}\n" for text in texts), "utf-8")
    write_workbook(folder / "answers.xlsx", {"Answers": [["id", "text"], *map(list, news["text"].items())]})
    vectors = np.random.default_rng(0).normal(size=(400, 20)).round(3)
    words = sorted({word for text in texts for word in text.lower().split() if word.isalpha()})[: len(vectors)]
    rows = (f"{word} {' '.join(map(str, vector))}\n" for word, vector in zip(words, vectors, strict=True))
    (folder / "vectors.txt").write_text(f"{len(words)} {vectors.shape[1]}\n{''.join(rows)}", "utf-8")
    (folder / "posts").mkdir()
    for week, rows in news.groupby("week"):
        rows.reset_index().to_json(folder / f"posts/week-{week}.jsonl", orient="records", lines=True)


def run_page(page: str, folder: Path, run: Run) -> list[tuple[Step, int, str]]:
    """Run the steps of a page in a folder; returns each with its exit status and standard output."""
    results = []
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for step in steps(page):
        if step.language == "console":
            results.append((step, *run(step.code, folder)))
        else:
            printed = io.StringIO()
            with contextlib.chdir(folder), contextlib.redirect_stdout(printed):
                exec(compile(step.code, "<example>", "exec"), namespace)
            results.append((step, 0, printed.getvalue()))
    return results


def faults(results: list[tuple[Step, int, str]]) -> list[str]:
    """A line or more for each step whose exit status or output differs from the page."""
    found = []
    for step, status, printed in results:
        if status != step.status:
            found.append(f"exit status {status}, not {step.status}: {step.code}\n{printed}")
        elif step.shown.strip() and not same(step.shown, printed, step.similar):
            found.append(f"other output: {step.code}\n--- shown\n{step.shown}--- printed\n{printed}")
    return found


def with_output(page: str, results: list[tuple[Step, int, str]]) -> str:
    """Replace each output of the page by the real one, except where the page shows only a part."""
    for step, _, printed in reversed(results):
        if step.shown.strip() and "\n...\n" not in f"\n{step.shown}":
            page = page[: step.start] + _trimmed(printed) + page[step.end :]
    return page


def run_in_shell(command: str, folder: Path) -> tuple[int, str]:
    """Run a command with the `topicnet` of this interpreter's environment first on the path."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    environment = os.environ | {"PATH": path, "COLUMNS": "100"}
    done = subprocess.run(command, shell=True, cwd=folder, env=environment, stdout=subprocess.PIPE, check=False)
    return done.returncode, done.stdout.decode()


def topicnet_command(command: str) -> tuple[list[str], str | None] | None:
    """Arguments of a single `topicnet` command, and the file its output goes to; None for other commands."""
    words = shlex.split(command)
    if words[:1] != ["topicnet"] or set(words) & {"|", "<", "&&", ";"}:
        return None
    if ">" in words:
        end = words.index(">")
        return words[1:end], words[end + 1]
    return words[1:], None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", type=Path, nargs="+")
    parser.add_argument("--write", action="store_true", help="put the real output into the pages")
    given = parser.parse_args()
    failed = False
    for path in given.pages:
        page = path.read_text("utf-8")
        with tempfile.TemporaryDirectory() as folder:
            corpus_files(Path(folder))
            results = run_page(page, Path(folder), run_in_shell)
        if given.write:
            path.write_text(with_output(page, results), "utf-8")
        wrong = faults(results)
        failed |= bool(wrong)
        print(f"{path}: {len(results)} examples, {len(wrong)} wrong", *wrong, sep="\n")
    return int(failed and not given.write)


if __name__ == "__main__":
    sys.exit(main())

"""The examples of README, the start page and the how-to guides: they run and print the output on the page."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.command_line import ENVIRONMENT, Warm
from tools.examples import corpus_files, faults, run_page, same, steps, topicnet_command, with_output

ROOT = Path(__file__).resolve().parents[2]
# Pages of which the default suite runs every example; the others take minutes together.
QUICK = ("README.md", "docs/start.md", "docs/how-to/new-documents.md")
SLOW = [
    str(path.relative_to(ROOT))
    for path in sorted((ROOT / "docs" / "how-to").glob("*.md"))
    if str(path.relative_to(ROOT)) not in QUICK and list(steps(path.read_text("utf-8")))
]


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warm]:
    runner = Warm(tmp_path_factory.mktemp("warm"))
    yield runner
    runner.close()


@pytest.fixture(autouse=True)
def one_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TOPICNET_CACHE", str(tmp_path / "cache"))


@pytest.mark.filterwarnings("default")  # scikit-learn warns where examples are small
@pytest.mark.parametrize("page", [*QUICK, *(pytest.param(page, marks=pytest.mark.slow) for page in SLOW)])
def test_examples_print_the_output_on_the_page(warm: Warm, tmp_path: Path, page: str) -> None:
    def run(command: str, folder: Path) -> tuple[int, str]:
        parts = topicnet_command(command)
        if parts is None:
            plain = {"capture_output": True, "text": True, "check": False}
            done = subprocess.run(command, shell=True, cwd=folder, env=ENVIRONMENT, **plain)
        else:
            done = warm(*parts[0], cwd=folder, full_warm_up=True)
            if parts[1] is not None:
                (folder / parts[1]).write_text(done.stdout, "utf-8")
                return done.returncode, ""
        return done.returncode, done.stdout if done.returncode == 0 else done.stdout + done.stderr

    corpus_files(tmp_path)
    results = run_page((ROOT / page).read_text("utf-8"), tmp_path, run)
    assert results, "a page without examples"
    assert not faults(results), "\n".join(["refresh with: python tools/examples.py --write PAGE", *faults(results)])


def test_the_guides_write_the_files_they_use(tmp_path: Path) -> None:
    corpus_files(tmp_path)
    written = [tmp_path / "news.txt", *sorted((tmp_path / "posts").iterdir())]
    before = [path.read_bytes() for path in written]
    for path in written:
        path.unlink()
    run_page((ROOT / "docs" / "how-to" / "index.md").read_text("utf-8"), tmp_path, lambda command, folder: (0, ""))
    assert [path.read_bytes() for path in written] == before


PAGE = """
```console
$ first --option \\
    value
one
...
three
$ second  # exit 2
```

```python
print(1)
```

```text
1
```

```console norun
$ never
```
"""


def test_a_page_is_read_into_commands_blocks_and_their_output() -> None:
    found = [(step.language, step.code, step.shown, step.status) for step in steps(PAGE)]
    assert found == [
        ("console", "first --option     value", "one\n...\nthree\n", 0),
        ("console", "second", "", 2),
        ("python", "print(1)\n", "1\n", 0),
    ]


def test_output_that_differs_is_a_fault_and_can_be_rewritten(tmp_path: Path) -> None:
    page = PAGE.replace("\n1\n", "\n2\n")
    printed = {"first --option     value": (0, "one\ntwo\nthree\n"), "second": (0, "")}
    results = run_page(page, tmp_path, lambda command, folder: printed[command])
    first, second = faults(results)
    assert "exit status 0, not 2: second" in first
    assert "other output: print(1)" in second
    assert with_output(page, results) == PAGE


@pytest.mark.parametrize(
    ("shown", "printed", "similar", "agrees"),
    [
        ("a\nb\n", "a  \nb\n", False, True),
        ("a\n...\n", "a\nb\nc\n", False, True),
        ("a\nb\n", "a\n", False, False),
        ("0  13.4%  fire south new sydney\n", "0  12.9%  south fire new sydney\n", True, True),
        ("0  13.4%  fire south new sydney\n", "0  93.4%  fire south new sydney\n", True, False),
        ("0  13.4%  fire south new sydney\n", "0  13.4%  fire south bananas bananas\n", True, False),
        ("0  13.4%  fire south new sydney\n", "0  93.4%  bananas bananas\n", True, False),
        ("NPMI  0.178  [0.045, 0.331]\n", "NPMI  0.201  [0.061, 0.352]\n", True, True),
        ("NPMI  0.178  [0.045, 0.331]\n", "NPMI  0.978  [0.045, 0.331]\n", True, False),
        ("NPMI 0.178, diversity 0.760\n", "NPMI 0.178, diversity 0.160\n", True, False),
        ("perplexity  1,133\n", "perplexity  1,250\n", True, True),
        ("perplexity  1,133\n", "perplexity  2,133\n", True, False),
        ("one\ntwo\nthree\nfour\n", "one\ntwo\nthree\n", True, False),
    ],
)
def test_output_agrees_line_by_line_or_nearly(shown: str, printed: str, similar: bool, agrees: bool) -> None:
    assert same(shown, printed, similar) == agrees

"""Help: every command has it, it names its options, and it comes without the heavy imports."""

import re
from pathlib import Path

import pytest

import topicnet as package
from tests.support.command_line import Topicnet, Warm, loaded_by

OPTIONS = {
    "fit": "CORPUS --model --topics -k --out --config --seed --device --lang --stop-words --text-column --id-column"
    " --encoding --min-df --max-df --max-vocab --init --epochs --batch-size --learning-rate --decoder --embeddings"
    " --param --keep-corpus --no-keep-corpus --keep-texts --top --examples --overwrite --resume --strict --quiet",
    "topics": "RUN --top --json",
    "transform": "RUN NEW_DOCUMENTS --out --refine --text-column --id-column --encoding --overwrite --quiet",
    "export": "RUN --doc-topic --topic-word --doc-component --component-word --format --top --overwrite --quiet",
    "corpora": "--json",
}


@pytest.mark.parametrize("command", OPTIONS)
def test_help_of_a_command_names_its_options(command: str, warm: Warm, tmp_path: Path) -> None:
    done = warm(command, "--help", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    words = set(re.findall(r"[\w-]+", done.stdout))
    assert set(OPTIONS[command].split()) <= words


@pytest.mark.parametrize("arguments", [[], ["--help"]])
def test_help_lists_every_command(arguments: list[str], topicnet: Topicnet) -> None:
    done = topicnet(*arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Usage:" in done.stdout
    for command in OPTIONS:
        assert re.search(rf"^\s+{command}\s", done.stdout, re.MULTILINE)


def test_version(topicnet: Topicnet) -> None:
    done = topicnet("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"topicnet {package.__version__}\n", "")


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], [], *([name, "--help"] for name in OPTIONS), ["fti"]])
def test_help_imports_nothing_heavy(arguments: list[str], tmp_path: Path) -> None:
    status, said, loaded = loaded_by(arguments, tmp_path)
    assert status == (2 if arguments == ["fti"] else 0), said
    # typer itself reads a command's arguments with pydantic.
    assert loaded <= (set() if arguments in (["--help"], ["--version"]) else {"pydantic"})


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["fit"], "no corpus was given"),
        (["fit", "nowhere.txt"], "no such file or folder: nowhere.txt"),
        (["fit", "lee", "--topics", "0"], "topics=0 given"),
        (["fit", "lee", "--engine", "slurm"], "engine='slurm' given"),
        (["topics", "nowhere"], "no model in 'nowhere'"),
        (["images", "evaluate", "nowhere"], "no image model in 'nowhere'"),
    ],
)
def test_a_slip_is_told_before_torch_is_imported(arguments: list[str], told: str, tmp_path: Path) -> None:
    status, said, loaded = loaded_by(arguments, tmp_path)
    assert status == 2
    assert told in said
    assert not loaded & {"torch", "sklearn", "pandas"}

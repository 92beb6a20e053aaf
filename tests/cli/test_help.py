"""Help: every command has it, it names its options, and it comes without the heavy imports."""

import re
from pathlib import Path

import pytest

import topicnet as package
from tests.support.command_line import Topicnet, Warm, commands, loaded_by

COMMANDS = commands()
BARE = [["--help"], ["--version"]]
HELPS = [[], *([*names, "--help"] for names in COMMANDS if names), ["images"], ["fti"]]
SLIPS = [
    (["fit"], "no corpus was given"),
    (["fit", "nowhere.txt"], "no such file or folder: nowhere.txt"),
    (["fit", "lee", "--topics", "0"], "topics=0 given"),
    (["fit", "lee", "--engine", "slurm"], "engine='slurm' given"),
    (["topics", "nowhere"], "no model in 'nowhere'"),
    (["images", "evaluate", "nowhere"], "no image model in 'nowhere'"),
]


def words_of(text: str) -> str:
    """The words of a text between single spaces, wherever its lines are broken."""
    return f" {' '.join(re.findall(r'[a-zA-Z0-9_]+', text))} "


def shown(names: tuple[str, ...], warm: Warm, cwd: Path) -> str:
    """The help of a command."""
    done = warm(*names, "--help", cwd=cwd)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize("names", COMMANDS, ids=lambda names: " ".join(names) or "topicnet")
def test_help_of_a_command_describes_each_of_its_options(names: tuple[str, ...], warm: Warm, tmp_path: Path) -> None:
    text = shown(names, warm, tmp_path)
    command = COMMANDS[names]
    assert words_of(command.help) in words_of(text)
    for parameter in command.params:
        for option in [*parameter.opts, *parameter.secondary_opts]:
            named = option if option.startswith("-") else parameter.metavar
            assert re.search(rf"(?<![\w-]){re.escape(named)}(?![\w-])", text), named
        assert re.search(r"\.(\s+\[.*\])?$", parameter.help or ""), f"{parameter.name} has no help sentence"
        assert words_of(parameter.help) in words_of(text), parameter.name


@pytest.mark.parametrize("group", [names for names in COMMANDS if hasattr(COMMANDS[names], "list_commands")])
def test_help_of_a_group_lists_its_commands(group: tuple[str, ...], warm: Warm, tmp_path: Path) -> None:
    text = shown(group, warm, tmp_path)
    for names, command in COMMANDS.items():
        if names and names[:-1] == group:
            assert re.search(rf"^\W*{names[-1]}\s+{re.escape(command.help.split()[0])}", text, re.MULTILINE)


@pytest.mark.parametrize("arguments", [[], ["--help"]])
def test_help_lists_every_command(arguments: list[str], topicnet: Topicnet) -> None:
    done = topicnet(*arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Usage:" in done.stdout
    for names in COMMANDS:
        if len(names) == 1:
            assert re.search(rf"^\W*{names[0]}\s", done.stdout, re.MULTILINE)


def test_version(topicnet: Topicnet) -> None:
    done = topicnet("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"topicnet {package.__version__}\n", "")


def test_help_imports_nothing_heavy(tmp_path: Path) -> None:
    for arguments, (status, messages, loaded) in zip(BARE + HELPS, loaded_by(BARE + HELPS, tmp_path), strict=True):
        assert status == (2 if arguments == ["fti"] else 0), messages
        # typer itself reads a command's arguments with pydantic.
        assert loaded <= (set() if arguments in BARE else {"pydantic"}), arguments


def test_input_errors_are_reported_before_torch_is_imported(tmp_path: Path) -> None:
    results = loaded_by([arguments for arguments, _ in SLIPS], tmp_path)
    for (arguments, message), (status, messages, loaded) in zip(SLIPS, results, strict=True):
        assert status == 2, arguments
        assert message in messages
        assert not loaded & {"torch", "sklearn", "pandas"}, arguments

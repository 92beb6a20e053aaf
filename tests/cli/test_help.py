"""Every command has help that describes its options and needs no heavy imports."""

import re
import shutil
from pathlib import Path

import pytest

import topicnet as package
from tests.support.command_line import Topicnet, Warm, commands, loaded_by, snapshot

COMMANDS = commands()
BARE = [["--help"], ["--version"]]
HELPS = [[], *([*names, "--help"] for names in COMMANDS if names), ["images"], ["fti"]]
SLIPS = [
    (["fit"], "no corpus was given"),
    (["fit", "nowhere.txt"], "no such file or folder: nowhere.txt"),
    (["fit", "lee", "--topics", "0"], "topics=0 given"),
    (["fit", "lee", "--top", "0"], "topicnet: --top 0 given, expected 1 or more: see topicnet fit --help"),
    (["fit", "lee", "--min-tokens=-1"], "--min-tokens -1 given, expected 0 or more: see topicnet fit --help"),
    (["fit", "lee", "--max-vocab", "x"], "--max-vocab x given, expected a whole number: see topicnet fit --help"),
    (["fit", "lee", "--topics", "x"], "--topics 'x' given, expected a whole number: see topicnet fit --help"),
    (["images", "sample", "run", "-n", "1000000"], "-n 1000000 given, expected 100000 or less"),
    (["images", "fitt"], "Did you mean 'fit'? See topicnet images --help"),
    (["fit", "lee", "--engine", "slurm"], "engine='slurm' given"),
    (["topics", "nowhere"], "no model in 'nowhere'"),
    (["images", "evaluate", "nowhere"], "no image model in 'nowhere'"),
    (["fit", "lee", "--model", "lda"], "--model 'lda' given"),
    (["fit", "lee", "--param", "nose=1"], "parameter 'nose' given"),
    (["fit", "lee", "--param", "x"], "--param x given, expected NAME=VALUE such as hidden_dim=200: see topicnet fit"),
    (["images", "fit", "--param", "x"], "--param x given, expected NAME=VALUE such as noise=0.2"),
    (["fit", "lee", "--epochs", "0"], "max_epochs=0 given"),
    (["fit", "lee", "--batch-size", "1"], "batch_size=1 given"),
    (["fit", "lee", "--learning-rate", "0"], "learning_rate=0.0 given"),
    (["fit", "lee", "--init", "lda"], "init='lda' given, expected em or random\n"),
    (["fit", "lee", "--decoder", "sum"], "decoder='sum' given"),
    (["fit", "lee", "--config", "no.yaml"], "cannot read the configuration 'no.yaml'"),
    (["fit", "lee", "--stop-words", "no.txt"], "cannot read the stop words 'no.txt'"),
    (["fit", "lee", "--lang", "auto", "--add-stop-words", "no.txt"], "--add-stop-words 'no.txt'"),
    (["fit", "lee", "--vocabulary", "no.txt"], "cannot read the vocabulary 'no.txt'"),
    (["fit", "lee", "--embeddings", "no.vec"], "embeddings 'no.vec' given"),
    (["fit", "lee", "--device", "tpu"], "device='tpu' given"),
    (["fit", "lee", "--lang", "xx"], "--lang 'xx' given"),
    (["fit", "lee", "--tokenizer", "knife"], "--tokenizer 'knife' given"),
    (["fit", "here.txt", "--encoding", "utf-9"], "unknown encoding 'utf-9'"),
    (["fit", "here.txt", "--format", "doc"], "unknown format 'doc'"),
    (["fit", "lee", "--workers", "2"], "--workers 2 given without --engine ray"),
    (["fit", "lee", "--out", ""], "an empty name given"),
    (["fit", "lee", "--out", "/"], "cannot be replaced"),
    (["fit", "lee", "--out", "taken"], "'taken' exists already"),
    (["fit", "lee", "--out", "taken", "--overwrite"], "was not created by topicnet"),
    (["fit", "lee", "--out", "/proc/run"], "cannot write '/proc/run'"),
    (["fit", "lee", "--resume"], "there is no run in 'runs/lee-etm-20'"),
    (["fit", "taken", "--format", "txt", "--out", "taken/run"], "is inside the corpus"),
    (["prepare", "nowhere.txt", "--out", "counts"], "no such file or folder: nowhere.txt"),
    (["prepare", "here.txt", "--out", "taken"], "'taken' exists already"),
    (["words", "nowhere"], "holds no counts"),
    (["compare", "lee", "--models", "bert"], "--models 'bert' given"),
    (["compare", "lee", "-k", "0"], "topics=0 given"),
    (["compare", "lee", "--test", "nowhere.txt"], "no such file or folder: nowhere.txt"),
    (["compare", "lee", "--out", "taken"], "'taken' exists already"),
    (["tune", "lee", "--models", "lda"], "--models 'lda' given"),
    (["tune", "lee", "--topics", "0:5"], "--topics '0:5' given"),
    (["tune", "lee", "--budget", "soon"], "--budget 'soon' given"),
    (["tune", "lee", "--out", "/proc/tune"], "cannot write"),
    (["images", "fit", "--variant", "gan"], "variant 'gan' given"),
    (["images", "fit", "--param", "nose=1"], "parameter 'nose' given"),
    (["images", "fit", "--data", "nowhere"], "there is no 'nowhere'"),
    (["images", "fit", "--device", "tpu"], "device='tpu' given"),
    (["images", "fit", "--out", "taken"], "'taken' exists already"),
    (["images", "compare", "--variants", "vae,gan"], "variant 'gan' given"),
]
OF_A_RUN = [
    (["transform", "run", "nowhere.txt", "--out", "theta.csv"], "no such file or folder: nowhere.txt"),
    (["transform", "run", "here.txt", "--out", "theta.doc"], "'theta.doc' given"),
    (["transform", "run", "here.txt", "--out", "taken.csv"], "'taken.csv' exists already"),
    (["transform", "run", "here.txt", "--out", "run/theta.csv"], "is inside the run"),
    (["transform", "run", "here.txt", "--out", "/proc/theta.csv"], "cannot write"),
    (["export", "run"], "nothing to export was named"),
    (["export", "run", "--doc-topic", "taken.csv"], "'taken.csv' exists already"),
    (["evaluate", "run", "--test", "nowhere.txt"], "no such file or folder: nowhere.txt"),
    (["evaluate", "run", "--reference", "nowhere.txt"], "no such file or folder: nowhere.txt"),
]


def words_of(text: str) -> str:
    """Return the words of a text separated by single spaces, whatever its line breaks."""
    return f" {' '.join(re.findall(r'[a-zA-Z0-9_]+', text))} "


def shown(names: tuple[str, ...], warm: Warm, cwd: Path) -> str:
    """Return the help of a command."""
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
        # typer itself uses pydantic to read arguments.
        assert loaded <= (set() if arguments in BARE else {"pydantic"}), arguments


def test_an_error_names_the_help_of_the_command(topicnet: Topicnet) -> None:
    assert topicnet("images", "fit", "--nose", "3").stderr.endswith(": see topicnet images fit --help\n")


OF_A_FILE = [
    (["fit", "nofile.mm", "-k", "2"], "no such file: 'nofile.mm'"),
    (["fit", "table.csv", "--text-column", "nope"], "no column 'nope'"),
    (["fit", "rows.jsonl", "--text-column", "nope"], "no column 'nope'"),
]


def test_input_errors_are_reported_before_torch_is_imported(tmp_path: Path, themed_run: Path) -> None:
    shutil.copytree(themed_run, tmp_path / "run")
    (tmp_path / "here.txt").write_text("planet orbit\n")
    (tmp_path / "taken.csv").write_text("mine\n")
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken/mine.txt").write_text("mine\n")
    (tmp_path / "table.csv").write_text("id,text\n1,planet orbit\n")
    (tmp_path / "rows.jsonl").write_text('{"text": "planet orbit"}\n')
    before = snapshot(tmp_path)
    cases = OF_A_FILE + SLIPS + OF_A_RUN
    results = loaded_by([arguments for arguments, _ in cases], tmp_path)
    for (arguments, message), (status, messages, loaded) in zip(cases, results, strict=True):
        assert status == 2, arguments
        assert message in messages
        assert messages.count("\n") == 1
        assert not loaded & {"torch", "sklearn", "pandas", "spacy", "gensim"}, arguments
    assert snapshot(tmp_path) == before

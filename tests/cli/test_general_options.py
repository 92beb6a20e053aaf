"""Options of every command, and imports that quick commands avoid."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.command_line import ENVIRONMENT, Warm, assert_refused, commands, loaded_by

HEADINGS = ("Corpus:", "Text:", "Model:", "Training:", "Output:", "General:", "Examples:")


@pytest.mark.parametrize("names", [("fit",), ("compare",)])
def test_long_helps_group_their_options_and_end_with_examples(
    names: tuple[str, ...], warm: Warm, tmp_path: Path
) -> None:
    lines = warm(*names, "-h", cwd=tmp_path).stdout.splitlines()
    places = [lines.index(heading) for heading in HEADINGS]
    assert places == sorted(places)
    examples = lines[places[-1] + 1 :]
    assert all(line.startswith(f"  topicnet {' '.join(names)} ") for line in examples)
    assert len(examples) >= 2


def test_h_shows_help_in_every_command(warm: Warm, tmp_path: Path) -> None:
    for names in commands():
        short, long = (warm(*names, option, cwd=tmp_path) for option in ("-h", "--help"))
        assert (short.returncode, short.stdout) == (0, long.stdout)
        for option in ("--debug", "--no-color"):
            assert option in short.stdout, names


@pytest.mark.parametrize("arguments", [["topics", "nowhere"], ["fit", "nowhere.txt"], ["images", "fit", "--nonsense"]])
def test_debug_shows_the_traceback_and_the_versions_before_the_line(
    arguments: list[str], warm: Warm, tmp_path: Path
) -> None:
    plain = warm(*arguments, cwd=tmp_path)
    assert_refused(plain)
    done = warm(*arguments, "--debug", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Traceback (most recent call last):")
    assert done.stderr.endswith(plain.stderr)
    versions = done.stderr.splitlines()[-2]
    assert all(name in versions for name in ("topicnet 0", "Python 3", "torch 2", "numpy"))


def test_no_color_prints_no_escapes_on_a_terminal(warm: Warm, themed_run: Path) -> None:
    done = warm("--no-color", "topics", themed_run, cwd=themed_run.parent, env={"FORCE_COLOR": "1"})
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout + done.stderr


def test_topics_reads_only_tables(themed_run: Path) -> None:
    """Showing the topics of a run imports neither torch nor another heavy library."""
    calls = [["topics", str(themed_run)], ["topics", str(themed_run), "--json", "--top", "3"]]
    for status, messages, loaded in loaded_by(calls, themed_run.parent):
        assert status == 0, messages
        assert loaded <= {"pydantic"}


def test_more_words_than_the_table_has_come_from_the_model(warm: Warm, lee_run: Path) -> None:
    few, many = (warm("topics", lee_run, "--top", n, cwd=lee_run.parent).stdout.splitlines() for n in ("50", "60"))
    assert [len(line.split()) for line in few[1:]] == [52] * (len(few) - 1)
    assert [len(line.split()) for line in many[1:]] == [62] * (len(many) - 1)
    assert all(long.startswith(short) for short, long in zip(few, many, strict=True))


def test_completion_names_commands_and_options(tmp_path: Path) -> None:
    script = Path(sys.executable).with_name("topicnet")
    if not script.is_file():
        pytest.skip("needs the installed script, after whose name completion is called")
    for words, expected in (("topicnet ev", "evaluate"), ("topicnet fit --lab", "--label-column")):
        env = ENVIRONMENT | {"_TOPICNET_COMPLETE": "complete_bash", "COMP_WORDS": words}
        env["COMP_CWORD"] = str(len(words.split()) - 1)
        done = subprocess.run([script], capture_output=True, text=True, env=env, cwd=tmp_path, check=True)
        assert done.stdout.split() == [expected], done.stderr

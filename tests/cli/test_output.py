"""Control characters in data are escaped on a terminal and unchanged in a file."""

import ast
import contextlib
import io
import os
import pty
from collections.abc import Callable
from pathlib import Path

import pytest

import topicnet.cli
from topicnet.cli.printing.output import echo, visible
from topicnet.cli.printing.progress import notice
from topicnet.cli.printing.topic_table import print_topics
from topicnet.workflows.topics import TopicTable

HOSTILE = {
    "\x1b]0;title\x07": r"\u001b]0;title\u0007",
    "\x1b[2J": r"\u001b[2J",
    "\x1b]52;c;cm0gLXJm\x1b\\": r"\u001b]52;c;cm0gLXJm\u001b" + "\\",
    "\x9b2J": r"\u009b2J",
    "good\rbad": r"good\u000dbad",
    "\x7f\x08\x00": r"\u007f\u0008\u0000",
    "\u202egpj.exe\u202c": r"\u202egpj.exe\u202c",
    "\u2066a\u2069\u200f": r"\u2066a\u2069\u200f",
    "a\u2028b\u2029\x85": r"a\u2028b\u2029\u0085",
    "\ufeff\U000e0041": r"\ufeff\U000e0041",
    "caf\udce9.txt": r"caf\udce9.txt",
}
HARMLESS = ["naïve Straße", "שלום עולם", "مرحبا بالعالم", "می‌خواهم", "👩‍👩‍👧 ❤️ 🇩🇪", "ภาษา\u200bไทย", "日本語", "a\tb"]


@pytest.mark.parametrize("text", HOSTILE)
def test_control_characters_are_escaped(text: str) -> None:
    assert visible(text) == HOSTILE[text]
    assert visible(f"a {text} b") == f"a {HOSTILE[text]} b"


@pytest.mark.parametrize("text", HARMLESS)
def test_ordinary_text_is_unchanged(text: str) -> None:
    assert visible(text) == text


def on_a_terminal(show: Callable[[], None]) -> str:
    """Return the output of a program whose stdout and stderr are a pseudo-terminal."""
    ours, theirs = pty.openpty()
    end, written = b"<end>", b""
    with os.fdopen(theirs, "w", encoding="utf-8") as terminal:
        with contextlib.redirect_stdout(terminal), contextlib.redirect_stderr(terminal):
            show()
        os.write(theirs, end)
        while not written.endswith(end):  # a read may return a single line
            written += os.read(ours, 100_000)
    os.close(ours)
    return written.removesuffix(end).decode().replace("\r\n", "\n")


def test_topics_and_documents_on_a_terminal() -> None:
    table = TopicTable([1.0], [0.0], [["\x1b[2Jplanet", "\u202eorbit"]])
    shown = on_a_terminal(lambda: print_topics(table, {0: [("7\nwrote /etc", "the \x07 bell")]}))
    assert shown.splitlines() == [
        "topic  share  top words",
        r"    0 100.0%  \u001b[2Jplanet \u202eorbit",
        r"              [7\nwrote /etc] the \u0007 bell",
    ]


def test_notices_on_a_terminal() -> None:
    assert on_a_terminal(lambda: notice("reading \x1b]0;x\x07.csv")) == "reading \\u001b]0;x\\u0007.csv\n"


def test_lines_and_blocks_on_a_terminal() -> None:
    assert on_a_terminal(lambda: echo("\nheading\n")) == "\nheading\n\n"
    assert on_a_terminal(lambda: echo('{\n  "a": "\x9b"\n}', block=True)) == '{\n  "a": "\\u009b"\n}\n'
    assert on_a_terminal(lambda: echo()) == "\n"


def test_text_in_a_file_is_unchanged() -> None:
    out, texts = io.StringIO(), [text for text in HOSTILE if "\udce9" not in text]
    with contextlib.redirect_stdout(out):
        for text in texts:
            echo(text)
    assert out.getvalue() == "".join(f"{text}\n" for text in texts)


def test_a_file_name_that_is_not_unicode_can_be_printed() -> None:
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    with contextlib.redirect_stdout(out):
        echo("wrote caf\udce9")
    assert out.buffer.getvalue() == b"wrote caf\\udce9\n"


def test_all_commands_print_with_echo() -> None:
    folder = Path(topicnet.cli.__file__).parent
    for path in [*folder.glob("printing/*.py"), *folder.glob("commands/*.py")]:
        if path.name != "output.py":
            calls = {
                ast.unparse(node.func) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)
            }
            assert not calls & {"print", "typer.echo", "click.echo", "sys.stdout.write", "sys.stderr.write"}, path.name

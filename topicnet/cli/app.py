"""Typer app of the command line, and the layout of its help."""

from __future__ import annotations

import inspect
import re
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

GENERAL = "General"
EVERYWHERE = [
    ("--no-color", "Print without colours."),
    ("--debug", "Log to standard error; on an error, show its traceback and the versions."),
    ("--log-file FILE", "Append a log to this file."),
    ("-h, --help", "Show this message and exit."),
]


# Types in the help, for readers who do not know Python; arguments show their name only.
TYPES = {"<str>": "TEXT", "<int>": "INTEGER", "<int range>": "INTEGER", "<float>": "NUMBER", "<path>": "PATH"}
_TYPE = re.compile(r" ?(<(?:str|int|int range|float|path|list\[str\])>)")


class Command(TyperCommand):
    """Command whose help lists its options by group and prints its examples verbatim."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments, then the options of each group."""
        found: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None and "--help" not in param.opts:
                kind = "Arguments" if param.param_type_name == "argument" else "Options"
                found.setdefault(getattr(param, "rich_help_panel", None) or kind, []).append(_with_plain_type(record))
        for heading, records in [*found.items(), (GENERAL, EVERYWHERE)]:
            with formatter.section(heading):
                formatter.write_dl(records)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write the examples line by line, without wrapping."""
        if self.epilog:
            with formatter.section("Examples"):
                for line in inspect.cleandoc(self.epilog).splitlines():
                    formatter.write(f"{'':{formatter.current_indent}}{line}\n")


def _with_plain_type(record: tuple[str, str]) -> tuple[str, str]:
    """Replace the Python type in the help of a parameter by a plain word, or drop it for an argument."""
    names, text = record
    if names.startswith("-"):
        return _TYPE.sub(lambda found: f" {TYPES.get(found[1], 'TEXT')}", names), text
    return _TYPE.sub("", names), text


class Commands(TyperGroup):
    """Group of commands whose help ends with the options that every command takes."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the options, the commands and the options of every command."""
        super().format_options(ctx, formatter)
        with formatter.section("Options of every command"):
            formatter.write_dl(EVERYWHERE)


app = typer.Typer(
    help="Fit, inspect and compare neural topic models of text.",
    cls=Commands,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        from topicnet._version import __version__

        typer.echo(f"topicnet {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Fit, inspect and compare neural topic models of text."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())

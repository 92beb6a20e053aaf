"""The Typer app that every command joins, and the form of its help."""

from __future__ import annotations

import inspect
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

GENERAL = "General"
EVERYWHERE = [
    ("--no-color", "No colours."),
    ("--debug", "Log to standard error; on an error, show its traceback and the versions."),
    ("--log-file FILE", "Append a log to this file."),
    ("-h, --help", "Show this message and exit."),
]


class Command(TyperCommand):
    """A command whose help shows its options under the headings of their groups, and examples as they are."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments, then the options of each group."""
        found: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None and "--help" not in param.opts:
                kind = "Arguments" if param.param_type_name == "argument" else "Options"
                found.setdefault(getattr(param, "rich_help_panel", None) or kind, []).append(record)
        for heading, records in [*found.items(), (GENERAL, EVERYWHERE)]:
            with formatter.section(heading):
                formatter.write_dl(records)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write the examples, line by line."""
        if self.epilog:
            with formatter.section("Examples"):
                for line in inspect.cleandoc(self.epilog).splitlines():
                    formatter.write(f"{'':{formatter.current_indent}}{line}\n")


class Commands(TyperGroup):
    """A group whose commands are `Command`s."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the options, the commands, and what is taken everywhere."""
        super().format_options(ctx, formatter)
        with formatter.section("Options of every command"):
            formatter.write_dl(EVERYWHERE)


app = typer.Typer(
    help="Neural topic models on real text.",
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
    """Neural topic models on real text."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())

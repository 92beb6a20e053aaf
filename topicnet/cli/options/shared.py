"""Options shared by several commands, and the decorator that adds groups of options to a command."""

from __future__ import annotations

import contextlib
import copy
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, get_args

import typer


def whole(given: str) -> int:
    """Parse an integer."""
    try:
        return int(given)
    except ValueError:
        raise typer.BadParameter(f"{given!r} given, expected a whole number") from None


def named_path(given: str) -> Path:
    """Parse the path of a file or folder."""
    if not given.strip():
        raise typer.BadParameter("an empty name given, expected a file or folder: name one, or leave the option out")
    return Path(given)


def option(kind: Any, text: str, *names: str, **further: Any) -> Any:
    """Make an option of a type, named like its parameter unless names are given."""
    if kind in (Path, Path | None):
        further = {"parser": named_path, "metavar": "PATH"} | further
    return Annotated[kind, typer.Option(*names, help=text, **further)]


def word(text: str, *names: str, **further: Any) -> Any:
    """Make a text option, None by default."""
    return option(str | None, text, *names, **further)


def flag(text: str, name: str) -> Any:
    """Make an option without a value, None by default."""
    return option(bool | None, text, name)


def integer(text: str, *names: str) -> Any:
    """Make an integer option, None by default, with topicnet's error message."""
    return option(int | None, text, *names, parser=whole, metavar="INTEGER")


def document_frequency(option: str, value: str | None) -> int | float | None:
    """Parse a document frequency: 5 is a number of documents, 0.01 a fraction of them."""
    if value is None:
        return None
    try:
        return float(value) if set(value) & set(".eE") else int(value)
    except ValueError:
        raise typer.BadParameter(
            f"{option} {value} given, expected a number such as 5, or a fraction such as 0.01"
        ) from None


def one_or_several(corpus: list[str] | None) -> str | list[str] | None:
    """Unwrap a list of one source, which a configuration stores without the list."""
    return corpus[0] if corpus is not None and len(corpus) == 1 else corpus


def names_in(given: str) -> list[str]:
    """Split a comma-separated list of names."""
    return [name.strip() for name in given.split(",") if name.strip()]


def named_values(given: list[str], example: str) -> dict[str, object]:
    """Parse NAME=VALUE pairs such as `example`, with values as in YAML."""
    import yaml

    from topicnet.storage.formats import parse_yaml

    values = {}
    for pair in given:
        name, equals, text = pair.partition("=")
        try:
            value = parse_yaml(text)
        except (yaml.YAMLError, ValueError, RecursionError):
            value = None
        if isinstance(value, str):  # YAML reads 1e-3 as a string
            with contextlib.suppress(ValueError):
                value = float(value)
        if not name or not equals or value is None:
            raise typer.BadParameter(f"--param {pair} given, expected NAME=VALUE such as {example}")
        values[name] = value
    return values


def run_there(what: str, command: str) -> Callable[[Path], Path]:
    """Return an option callback that rejects a folder without a saved model, before slow imports."""

    def check(run: Path) -> Path:
        from topicnet.storage.model_files import check_there, folder_of

        check_there(folder_of(run), what, command)
        return run

    return check


RunArgument = Annotated[
    Path,
    typer.Argument(metavar="RUN", help="Run folder of `topicnet fit`.", callback=run_there("model", "topicnet fit")),
]
TopOption = Annotated[int, typer.Option("--top", min=1, help="Show this many words of each topic.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as one JSON document.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace existing output, if topicnet wrote it.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print no progress and no notices.")]


@dataclass(frozen=True)
class Group:
    """Group of options, shown under one heading in the help of a command.

    Attributes
    ----------
    heading : str
        Heading in the help.
    options : dict
        Annotated types by parameter name, as typer expects them.
    defaults : dict
        Defaults by parameter name; None for the others.
    """

    heading: str
    options: dict[str, Any]
    defaults: dict[str, Any]

    def only(self, *names: str) -> Group:
        """Return the group with only these options."""
        return Group(self.heading, {name: self.options[name] for name in names}, self.defaults)


def group(heading: str, options: dict[str, Any], **defaults: Any) -> Group:
    """Make a group of options, and set the heading of each."""
    for name, kind in options.items():
        typed, given = get_args(kind)
        given = copy.copy(given)
        given.rich_help_panel = heading
        options[name] = Annotated[typed, given]
    return Group(heading, options, defaults)


def takes(*groups: Group) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add the options of some groups to a command, which receives their values as the dict `given`."""
    options = {name: kind for one in groups for name, kind in one.options.items()}
    defaults = {name: value for one in groups for name, value in one.defaults.items()}

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        own = inspect.signature(command, eval_str=True).parameters
        first = [p for p in own.values() if p.name != "given" and p.kind is not p.KEYWORD_ONLY]
        added = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=defaults.get(name), annotation=kind)
            for name, kind in options.items()
        ]
        last = [p for p in own.values() if p.kind is p.KEYWORD_ONLY and p.name != "given"]

        def call(**values: Any) -> Any:
            given = {name: values.pop(name) for name in options}
            return command(**values, given=_as_configured(given))

        parameters = [p.replace(kind=p.KEYWORD_ONLY) for p in [*first, *added, *last]]
        call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        call.__annotations__ = {p.name: p.annotation for p in parameters}
        call.__name__, call.__doc__ = command.__name__, command.__doc__
        return call

    return decorate


def _as_configured(given: dict[str, Any]) -> dict[str, Any]:
    if "text_column" in given:
        given["text_column"] = one_or_several(given["text_column"] or None)
    for name in ("min_df", "max_df"):
        if name in given:
            given[name] = document_frequency("--" + name.replace("_", "-"), given[name])
    if given.get("keep_columns") is not None:
        given["keep_columns"] = names_in(given["keep_columns"])
    return given

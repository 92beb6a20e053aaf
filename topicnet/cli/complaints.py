"""Messages about a wrong command line: the given value, the expected one, and the help of the command."""

from __future__ import annotations

from typing import Any


def describe(error: Any) -> str:
    """Describe an exception of typer in one line.

    Parameters
    ----------
    error : TyperException
        It may have the context and the parameter at fault, and a pydantic error as its cause.
    """
    message = _refused_value(error) or (error.format_message() if hasattr(error, "format_message") else str(error))
    command = _command(getattr(error, "ctx", None))
    message = message.removeprefix("Invalid value: ").rstrip(".")
    return f"{message} See {command} --help" if message.endswith("?") else f"{message}: see {command} --help"


def _command(context: Any) -> str:
    """Return the command of a context, such as "topicnet images fit", however Python was started."""
    names: list[str] = []
    while context is not None and context.parent is not None:
        names.insert(0, context.info_name)
        context = context.parent
    return " ".join(["topicnet", *names])


def _refused_value(error: Any) -> str:
    """Describe a value that an option refused; "" for other errors."""
    parameter, problems = getattr(error, "param", None), getattr(error.__cause__, "errors", None)
    message = str(getattr(error, "message", ""))
    if parameter is None or not message:
        return ""
    name = parameter.opts[0] if parameter.param_type_name == "option" else parameter.make_metavar(error.ctx)
    if callable(problems):
        problem = problems()[0]
        return f"{name} {problem['input']} given, expected {_expected(problem)}"
    return f"{name} {message}" if " given, expected " in message else ""


def _expected(problem: Any) -> str:
    kind, bounds = str(problem["type"]), problem.get("ctx", {})
    if "ge" in bounds:
        return f"{bounds['ge']} or more"
    if "le" in bounds:
        return f"{bounds['le']} or less"
    if kind.startswith("int"):
        return "a whole number"
    return "a number" if kind.startswith("float") else str(problem["msg"])

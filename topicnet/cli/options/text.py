"""Options that several commands share, named once."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Annotated, Any

import typer

CORPUS_HELP = (
    "A .txt (a document a line), .csv, .tsv, .jsonl, .parquet, .xlsx or .mallet file (text also as .gz or .zst),"
    " several files or a glob in quotes, a folder of them, counts"
    " (of `topicnet prepare`, .ldac, .mm, .npz, an OCTIS folder),"
    " - for standard input, or a name from `topicnet corpora`."
)
FORMAT_HELP = "Format of the corpus: {}.  [default: by its ending]"
FORMATS = "txt, csv, tsv, jsonl, parquet, xlsx, mallet, octis, ldac, mm or npz"


def document_frequency(option: str, value: str | None) -> int | float | None:
    """Read a document frequency: 5 is a number of documents, 0.01 a share of them."""
    if value is None:
        return None
    try:
        return float(value) if set(value) & set(".eE") else int(value)
    except ValueError:
        raise typer.BadParameter(
            f"{option} {value} given, expected a number such as 5, or a share such as 0.01"
        ) from None


Flag = bool | None
READING: dict[str, Any] = {
    "text_column": Annotated[
        str | None,
        typer.Option(
            help="Column or key that holds the text, or its number in a table without header.  [default: text]"
        ),
    ],
    "id_column": Annotated[str | None, typer.Option(help="Column or key that holds the ids.  [default: id, if there]")],
    "encoding": Annotated[str | None, typer.Option(help="Encoding of the text.  [default: utf-8]")],
    "file_format": Annotated[str | None, typer.Option("--format", help=FORMAT_HELP.format(FORMATS))],
    "skip_bad_rows": Annotated[
        Flag, typer.Option("--skip-bad-rows", help="Leave out rows that cannot be read, and list them.")
    ],
}
COUNTING: dict[str, Any] = {
    "lang": Annotated[
        str | None, typer.Option(help="Language of the text: en, de, zh, ja, ..., auto or none.  [default: en]")
    ],
    "tokenizer": Annotated[
        str | None,
        typer.Option(help="letters, spacy, spaces, jieba, sudachi or kiwi.  [default: what suits the language]"),
    ],
    "lemmatize": Annotated[Flag, typer.Option("--lemmatize", help="Count words in their dictionary form.")],
    "phrases": Annotated[
        Flag, typer.Option("--phrases", help="Find phrases such as prime_minister and count each as a word.")
    ],
    "stop_words": Annotated[str | None, typer.Option(help="File of stop words, in place of the language's.")],
    "add_stop_words": Annotated[str | None, typer.Option(help="File of stop words, beside the language's.")],
    "vocabulary": Annotated[
        str | None, typer.Option(help="File of the words to count, one a line; for counts, the names of their columns.")
    ],
    "min_df": Annotated[
        str | None,
        typer.Option(help="Fewest documents of a word: 5, or a share: 0.01.  [default: grows with the corpus]"),
    ],
    "max_df": Annotated[
        str | None, typer.Option(help="Most documents of a word: 900, or a share: 0.5.  [default: 0.5]")
    ],
    "max_vocab": Annotated[int | None, typer.Option(help="Most words in the vocabulary.  [default: 20000]")],
    "drop_urls": Annotated[Flag, typer.Option("--drop-urls", help="Leave out web addresses.")],
    "drop_emails": Annotated[Flag, typer.Option("--drop-emails", help="Leave out e-mail addresses.")],
    "strip_html": Annotated[Flag, typer.Option("--strip-html", help="Leave out HTML tags and read entities.")],
    "keep_numbers": Annotated[Flag, typer.Option("--keep-numbers", help="Count numbers too, and words with digits.")],
}
COLUMNS: dict[str, Any] = {
    "label_column": Annotated[str | None, typer.Option(help="Column of labels, kept in doc_topic.csv.")],
    "time_column": Annotated[str | None, typer.Option(help="Column of times, kept in doc_topic.csv.")],
    "keep_columns": Annotated[str | None, typer.Option(help="Columns to keep in doc_topic.csv, with commas between.")],
}


def takes(*groups: dict[str, Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command the options of some groups; it gets their values, as a configuration has them, as `given`."""
    options = {name: kind for group in groups for name, kind in group.items()}

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        own = inspect.signature(command, eval_str=True).parameters
        first = [p for p in own.values() if p.name != "given" and p.kind is not p.KEYWORD_ONLY]
        added = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind)
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
    for name in ("min_df", "max_df"):
        if name in given:
            given[name] = document_frequency("--" + name.replace("_", "-"), given[name])
    if given.get("keep_columns") is not None:
        given["keep_columns"] = [name.strip() for name in given["keep_columns"].split(",") if name.strip()]
    return given

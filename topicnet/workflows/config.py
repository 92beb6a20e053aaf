"""Configuration of a topic-model fit, read from a YAML file and the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from topicnet.storage.config_file import read_config_file
from topicnet.text.readers.documents import MAX_DOCUMENT_SIZE


class FitConfig(BaseModel):
    """Everything that determines the result of `topicnet fit`.

    The fields have the names of the command line's options, with underscores for hyphens. `parameters` holds the
    model's own parameters, which its estimator checks. The text after each field is its `description`
    (``FitConfig.model_fields["topics"].description``).

    Raises
    ------
    pydantic.ValidationError
        A field is unknown, has another type or is out of its range; `read_config` raises `ConfigError` instead.

    See Also
    --------
    read_config : Read the fields from a YAML file.

    Examples
    --------
    >>> config = FitConfig(corpus="lee", model="w-lda", topics=10, parameters={"noise": 0.2})
    >>> config.topics, config.device
    (10, 'auto')
    """

    model_config = ConfigDict(extra="forbid", strict=True, use_attribute_docstrings=True)

    corpus: str | list[str] | None = None
    """Corpus to fit: a file, a folder, a pattern, a list of these, "-" for standard input, or a named corpus."""
    model: str = "etm"
    """Name of the model in `MODELS`: "etm", "nvdm-gsm", "w-lda" or "gmntm"."""
    topics: int = Field(default=20, ge=1)
    """Number of topics, K."""
    seed: int = Field(default=0, ge=0, lt=2**32)
    """Seed of every random number; the same seed gives the same result."""
    seeds: int = Field(default=1, ge=1)
    """Number of fits, with the seeds `seed`, `seed` + 1, ...; the best is kept and its stability measured."""
    device: str = "auto"
    """Device to fit on: "auto", "cpu", "cuda" or "cuda:N"."""
    lang: str | None = None
    """Language of the text: a two-letter code, "auto" to detect it or "none"; by default the corpus's, else "en"."""
    tokenizer: str | None = None
    """Tokenizer: "letters", "spacy", "spaces", "jieba", "sudachi" or "kiwi"; by default chosen by language."""
    lemmatize: bool = False
    """Count words in their dictionary form."""
    phrases: bool = False
    """Find phrases such as prime_minister and count each as a word."""
    stop_words: str | None = None
    """File of stop words that replace those of the language."""
    add_stop_words: str | None = None
    """File of stop words that are added to those of the language."""
    vocabulary: str | None = None
    """File of the words to count, one a line; for counts of another tool, the names of their columns."""
    drop_urls: bool = False
    """Remove web addresses from the text."""
    drop_emails: bool = False
    """Remove e-mail addresses from the text."""
    strip_html: bool = False
    """Remove HTML tags and decode entities."""
    keep_numbers: bool = False
    """Count numbers, and words that contain digits."""
    text_column: str | list[str] = "text"
    """Column or key that holds the text, or several whose texts are joined by newlines."""
    id_column: str | None = None
    """Column or key that holds the document ids; by default "id" if the corpus has it, else numbers from 1."""
    label_column: str | None = None
    """Column of labels to copy to doc_topic.csv."""
    time_column: str | None = None
    """Column of times to copy to doc_topic.csv."""
    keep_columns: list[str] = Field(default_factory=list)
    """Further columns to copy to doc_topic.csv."""
    encoding: str = "utf-8"
    """Encoding of the text files."""
    file_format: str | None = None
    """Format of the corpus, as option --format; by default taken from the file's ending."""
    skip_bad_rows: bool = False
    """Leave out rows that cannot be read, and list them, instead of refusing the corpus."""
    sheet: str | int | None = None
    """Sheet of a workbook, by name or number from 1; by default the first that has the text column."""
    query: str | None = None
    """SELECT statement whose rows are the documents of a database file."""
    table: str | None = None
    """Table of a database file to read; by default its only one."""
    delimiter: str | None = None
    """Delimiter of a CSV or TSV file: a character, "tab", "pipe" or "semicolon"; by default detected."""
    quote: str | None = None
    """Quote character of a CSV or TSV file, or "none"; by default a double quote."""
    escape: str | None = None
    """Character that escapes a quote in a CSV or TSV file; by default none."""
    skip_rows: int | None = Field(default=None, ge=0)
    """Number of lines of a CSV or TSV file, or rows of a sheet, to skip before the header."""
    header_row: int | None = Field(default=None, ge=0)
    """Line of a CSV or TSV file, or row of a sheet, that holds the column names; 0 if none does."""
    missing: str | list[str] | None = None
    """Markers of a missing value, in addition to NA, NaN, NULL, -, ...; "none" reads all of them as text."""
    drop_duplicates: bool = False
    """Count only the first of the documents that have the same text."""
    min_tokens: int = Field(default=0, ge=0)
    """Leave out documents with fewer counted words than this."""
    unit: Literal["line", "paragraph", "file"] | None = None
    """Part of a .txt file that is one document; by default a line, or the file where several are given."""
    max_document_size: int = Field(default=MAX_DOCUMENT_SIZE, ge=1)
    """Maximum length of a document, in characters."""
    min_df: int | float | None = None
    """Minimum document frequency of a word, in documents (int) or as a fraction (float); by default set by the size."""
    max_df: int | float | None = None
    """Maximum document frequency of a word, in documents (int) or as a fraction (float); by default 0.5."""
    max_vocab: int = Field(default=20_000, ge=1)
    """Maximum size of the vocabulary, V; the words of the highest document frequency are kept."""
    keep_corpus: bool = True
    """Save the counts in the run folder."""
    keep_texts: bool = False
    """Save the texts with the counts."""
    passages: int | None = Field(default=None, ge=1, lt=1_000_000_000)
    """Split documents into passages of about this many counted words and fit these; theta is averaged over them."""
    engine: Literal["local", "ray"] = "local"
    """Engine of the fit: this machine, or a Ray cluster."""
    workers: int | None = Field(default=None, ge=1)
    """Number of workers of the engine "ray"; by default one for each GPU, or for each CPU without GPUs."""
    parameters: dict[str, Any] = Field(default_factory=dict)
    """Parameters of the model beyond the fields above, under the names of its estimator."""


def read_config(path: Path | None, given: dict[str, Any]) -> FitConfig:
    """Read a configuration from a YAML file and override it by options that were given.

    Parameters
    ----------
    path : Path or None
        YAML file with fields of `FitConfig`; None if there is no file.
    given : dict
        Field values that take precedence over the file; None means "not given".

    Returns
    -------
    FitConfig
        The combined configuration.

    Raises
    ------
    ConfigError
        The file cannot be read, or a field is unknown, of another type or out of its range.

    Examples
    --------
    >>> read_config(None, {"corpus": "lee", "topics": 10, "lang": None}).topics
    10
    """
    return read_config_file(FitConfig, path, given, "topics: 20")

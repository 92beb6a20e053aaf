"""Options of the commands about text, in the groups that their help shows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from topicnet.cli.options.shared import Overwrite, Quiet, TopOption, flag, group, integer, option, word
from topicnet.models.registry import REGISTRY, extra_units

CORPUS_HELP = (
    "A .txt (a document a line), .csv, .tsv, .jsonl, .json, .parquet, .xlsx, .ods, .db, .sqlite, .duckdb, .ris or"
    " .mallet file (text also as .gz, .zst, .bz2, .xz), .pdf or .docx files (a document each), several files or a glob"
    " in quotes, a folder or .zip of them (a document a .txt file), counts"
    " (of `topicnet prepare`, .ldac, .mm, .npz, an OCTIS folder),"
    " - for standard input, or a name from `topicnet corpora`."
)
FORMATS = (
    "txt, csv, tsv, jsonl, parquet, xlsx, xls, xlsb, ods, sqlite, duckdb, wos, ris, pubmed, pdf, docx, mallet, octis,"
    " ldac, mm or npz"
)
TEXT_COLUMN = "Column or key that holds the text, or its number; several, one option each, are joined.  [default: text]"
VOCABULARY = "File of the words to count, one a line; for counts, the names of their columns."
EMBEDDINGS = "For etm: a word2vec or GloVe file, train (on the corpus) or none.  [default: none]"
MISSING = "Markers of a missing value, in addition to NA, NaN, NULL, -, ...: 'k.A.,keine Angabe'; none turns all off."
SEEDS = "Fit with this many seeds, keep the best run, flag topics that other seeds do not reproduce."
NAMES = " or ".join(", ".join(REGISTRY).rsplit(", ", 1))
CorpusArgument = Annotated[list[str], typer.Argument(metavar="CORPUS", help=CORPUS_HELP)]

READING = group(
    "Corpus",
    {
        "text_column": option(list[str] | None, TEXT_COLUMN, metavar="NAME"),
        "id_column": word("Column or key that holds the ids.  [default: id, if there]"),
        "encoding": word("Encoding of the text.  [default: utf-8]"),
        "file_format": word(f"Format of the corpus: {FORMATS}.  [default: by its ending]", "--format"),
        "skip_bad_rows": flag("Leave out rows that cannot be read, and list them.", "--skip-bad-rows"),
        "sheet": word("Sheet of a workbook, by name or number.  [default: the first that has the text column]"),
        "query": word("SELECT statement whose rows are the documents of a database file (.db, .sqlite, .duckdb)."),
        "table": word("Table of a database file to read.  [default: its only one]"),
        "missing": word(MISSING),
        "delimiter": word("Delimiter of a .csv or .tsv: a character, tab, pipe or semicolon.  [default: detected]"),
        "quote": word('Quote of a .csv or .tsv, or none.  [default: "]'),
        "escape": word("Character that escapes a quote in a .csv or .tsv, such as backslash.  [default: none]"),
        "skip_rows": integer("Lines of a .csv or .tsv, or rows of a sheet, before its header.  [default: 0]"),
        "header_row": integer("Line of a .csv or .tsv, or row of a sheet, with the column names; 0: none has them."),
        "unit": word("Document of a .txt file: line, paragraph or file.  [default: line; of several files, file]"),
        "max_document_size": integer("Most characters of a document.  [default: 256000000]"),
    },
)
COLUMNS = group(
    "Corpus",
    {
        "label_column": word("Column of labels, kept in doc_topic.csv."),
        "time_column": word("Column of times, kept in doc_topic.csv."),
        "keep_columns": word("Columns to keep in doc_topic.csv, with commas between."),
    },
)
COUNTING = group(
    "Text",
    {
        "lang": word("Language of the text: en, de, zh, ja, ..., auto or none.  [default: en]"),
        "tokenizer": word("letters, spacy, spaces, jieba, sudachi or kiwi.  [default: what suits the language]"),
        "lemmatize": flag("Count words in their dictionary form.", "--lemmatize"),
        "phrases": flag("Find phrases such as prime_minister and count each as a word.", "--phrases"),
        "stop_words": word("File of stop words, in place of the language's."),
        "add_stop_words": word("File of stop words, beside the language's."),
        "vocabulary": word(VOCABULARY),
        "min_df": word("Fewest documents of a word: 5, or a share: 0.01.  [default: grows with the corpus]"),
        "max_df": word("Most documents of a word: 900, or a share: 0.5.  [default: 0.5]"),
        "max_vocab": option(int | None, "Most words in the vocabulary.  [default: 20000]"),
        "drop_urls": flag("Leave out web addresses.", "--drop-urls"),
        "drop_emails": flag("Leave out e-mail addresses.", "--drop-emails"),
        "strip_html": flag("Leave out HTML tags and read entities.", "--strip-html"),
        "drop_duplicates": flag("Count only the first of documents with the same text.", "--drop-duplicates"),
        "min_tokens": option(int | None, "Leave out documents with fewer counted words than this.", min=0),
        "keep_numbers": flag("Count numbers too, and words with digits.", "--keep-numbers"),
    },
)
PASSAGES = group(
    "Text",
    {
        "passages": option(
            int | None, "Cut documents into passages of about this many counted words; learn from these.", min=1
        )
    },
)
MODEL = group(
    "Model",
    {
        "model": word(f"The model: {NAMES}.  [default: etm]"),
        "topics": integer("Number of topics.  [default: 20]", "--topics", "-k"),
        "decoder": word("How topics become words: mixture or product.  [default: by the model]"),
        "embeddings": word(EMBEDDINGS),
        "parameters": option(
            list[str] | None, "Any other parameter of the model; may be repeated.", "--param", metavar="NAME=VALUE"
        ),
        "config": option(Path | None, "YAML file of options; those given here win."),
    },
)
TRAINING = group(
    "Training",
    {
        "seed": option(int | None, "Same seed, same result.  [default: 0]"),
        "seeds": option(int | None, SEEDS, min=1),
        "init": word("Start of the training: em or random.  [default: em]"),
        "max_epochs": option(int | None, "Passes over the corpus.  [default: a budget of steps]", "--epochs"),
        "batch_size": option(int | None, "Documents per step.  [default: 200, of w-lda 100]"),
        "learning_rate": option(float | None, "Highest rate.  [default: by the start]"),
        "device": word("auto, cpu, cuda or cuda:N.  [default: auto]"),
        "engine": word("Where to fit: local, or ray for a Ray cluster.  [default: local]"),
        "workers": integer("Workers of --engine ray.  [default: one for each GPU, or CPU]"),
    },
)
OUTPUT = group(
    "Output",
    {
        "out": option(Path | None, "Run folder to write.  [default: runs/NAME-MODEL-K]"),
        "overwrite": Overwrite,
        "resume": option(bool, "Continue an interrupted fit, given the same options.", "--resume"),
        "keep_corpus": option(
            bool | None, "Save the counts in the run.  [default: keep]", "--keep-corpus/--no-keep-corpus"
        ),
        "keep_texts": flag("Save the texts with the counts.", "--keep-texts"),
        "top": TopOption,
        "examples": option(int, "Typical documents to show of each topic.", min=0),
        "strict": option(bool, "Exit with status 3 when the health check finds the model unfit.", "--strict"),
        "quiet": Quiet,
    },
    overwrite=False, resume=False, top=10, examples=1, strict=False, quiet=False,
)  # fmt: skip
TABLES = group(
    "Tables",
    {
        "doc_topic": option(Path | None, "File for the document-topic table."),
        "topic_word": option(Path | None, "File for the topic-word table."),
    }
    | {
        name: option(Path | None, f"File for the {title} table ({', '.join(models)}).")
        for unit, models in extra_units().items()
        for name, title in ((f"doc_{unit}", f"document-{unit}"), (f"{unit}_word", f"{unit}-word"))
    }
    | {"counts": option(Path | None, "File for the counts, .ldac or .mm; their words go beside it, as .vocab.")},
)

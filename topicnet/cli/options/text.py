"""Options of the commands for text corpora and topic models, grouped by help heading."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from topicnet.cli.options.shared import Overwrite, Quiet, TopOption, flag, group, integer, option, word
from topicnet.models.registry import REGISTRY, extra_units

CORPUS_HELP = (
    "A .txt (one document per line), .csv, .tsv, .jsonl, .json, .parquet, .xlsx, .ods, .db, .sqlite, .duckdb, .ris or"
    " .mallet file (text also as .gz, .zst, .bz2, .xz), .pdf or .docx files (one document each), several files or a"
    " quoted glob, a folder or .zip of them (one document per .txt file), counts"
    " (from `topicnet prepare`, .ldac, .mm, .npz, an OCTIS folder),"
    " - for standard input, or a name from `topicnet corpora`."
)
FORMATS = (
    "txt, csv, tsv, jsonl, parquet, xlsx, xls, xlsb, ods, sqlite, duckdb, wos, ris, pubmed, pdf, docx, mallet, octis,"
    " ldac, mm or npz"
)
TEXT_COLUMN = "Read text from this column or key, by name or number; repeat to join several.  [default: text]"
VOCABULARY = "Count only the words in this file, one per line; for counts, the names of their columns."
EMBEDDINGS = "Use word vectors (etm): a word2vec or GloVe file, train (on the corpus) or none.  [default: none]"
MISSING = "Read these as missing, besides NA, NaN, NULL, -, ...: 'k.A.,keine Angabe'; none reads all as text."
SEEDS = "Fit with this many seeds, keep the best run, flag topics that other seeds do not reproduce."
NAMES = " or ".join(", ".join(REGISTRY).rsplit(", ", 1))
CorpusArgument = Annotated[list[str], typer.Argument(metavar="CORPUS", help=CORPUS_HELP)]

READING = group(
    "Corpus",
    {
        "text_column": option(list[str] | None, TEXT_COLUMN, metavar="NAME"),
        "id_column": word("Read document ids from this column or key.  [default: id, if present]"),
        "encoding": word("Decode text with this encoding.  [default: utf-8]"),
        "file_format": word(f"Read the corpus as {FORMATS}.  [default: by file ending]", "--format"),
        "skip_bad_rows": flag("Leave out rows that cannot be read, and list them.", "--skip-bad-rows"),
        "sheet": word("Read this sheet of a workbook, by name or number.  [default: the first with the text column]"),
        "query": word("Read the rows of this SELECT statement from a database file (.db, .sqlite, .duckdb)."),
        "table": word("Read this table of a database file.  [default: its only one]"),
        "missing": word(MISSING),
        "delimiter": word("Split a .csv or .tsv at this character, tab, pipe or semicolon.  [default: detected]"),
        "quote": word('Use this quote character in a .csv or .tsv, or none.  [default: "]'),
        "escape": word("Use this character, such as backslash, to escape quotes in a .csv or .tsv.  [default: none]"),
        "skip_rows": integer("Skip this many lines of a .csv or .tsv, or rows of a sheet.  [default: 0]"),
        "header_row": integer("Read column names from this line of a .csv or .tsv, or row of a sheet; 0 for none."),
        "unit": word("Read a .txt file by line, paragraph or file.  [default: line; with several files, file]"),
        "max_document_size": integer("Refuse documents of more characters than this.  [default: 256000000]"),
    },
)
COLUMNS = group(
    "Corpus",
    {
        "label_column": word("Copy this column of labels to doc_topic.csv."),
        "time_column": word("Copy this column of times to doc_topic.csv."),
        "keep_columns": word("Copy these columns to doc_topic.csv, separated by commas."),
    },
)
COUNTING = group(
    "Text",
    {
        "lang": word("Read text as this language: en, de, zh, ja, ..., auto (detect) or none.  [default: en]"),
        "tokenizer": word("Tokenise with letters, spacy, spaces, jieba, sudachi or kiwi.  [default: by language]"),
        "lemmatize": flag("Count words in their dictionary form.", "--lemmatize"),
        "phrases": flag("Find phrases such as prime_minister and count each as a word.", "--phrases"),
        "stop_words": word("Use the stop words in this file instead of the language's."),
        "add_stop_words": word("Use the stop words in this file in addition to the language's."),
        "vocabulary": word(VOCABULARY),
        "min_df": word(
            "Drop words in fewer documents than this number (5) or fraction (0.01).  [default: grows with the corpus]"
        ),
        "max_df": word("Drop words in more documents than this number (900) or fraction (0.5).  [default: 0.5]"),
        "max_vocab": option(int | None, "Keep at most this many words, the most frequent.  [default: 20000]"),
        "drop_urls": flag("Remove web addresses.", "--drop-urls"),
        "drop_emails": flag("Remove e-mail addresses.", "--drop-emails"),
        "strip_html": flag("Remove HTML tags and decode entities.", "--strip-html"),
        "drop_duplicates": flag("Count only the first of documents with the same text.", "--drop-duplicates"),
        "min_tokens": option(int | None, "Leave out documents with fewer counted words than this.", min=0),
        "keep_numbers": flag("Count numbers and words that contain digits.", "--keep-numbers"),
    },
)
PASSAGES = group(
    "Text",
    {
        "passages": option(
            int | None, "Split documents into passages of about this many counted words and fit these.", min=1
        )
    },
)
MODEL = group(
    "Model",
    {
        "model": word(f"Fit this model: {NAMES}.  [default: etm]"),
        "topics": integer("Fit this many topics.  [default: 20]", "--topics", "-k"),
        "decoder": word("Decode topics to words by mixture or product.  [default: by the model]"),
        "embeddings": word(EMBEDDINGS),
        "parameters": option(
            list[str] | None, "Set any other parameter of the model; may be repeated.", "--param", metavar="NAME=VALUE"
        ),
        "config": option(Path | None, "Read options from this YAML file; options on the command line override it."),
    },
)
TRAINING = group(
    "Training",
    {
        "seed": option(int | None, "Use this random seed; the same seed gives the same result.  [default: 0]"),
        "seeds": option(int | None, SEEDS, min=1),
        "init": word("Initialise the topics by EM (em) or at random (random).  [default: em]"),
        "max_epochs": option(
            int | None, "Stop after this many passes over the corpus.  [default: a budget of steps]", "--epochs"
        ),
        "batch_size": option(int | None, "Use this many documents per step.  [default: 200; w-lda: 100]"),
        "learning_rate": option(float | None, "Use this peak learning rate.  [default: by --init]"),
        "device": word("Fit on this device: auto, cpu, cuda or cuda:N.  [default: auto]"),
        "engine": word("Fit on this machine (local) or on a Ray cluster (ray).  [default: local]"),
        "workers": integer("Use this many workers of --engine ray.  [default: one per GPU, or per CPU]"),
    },
)
OUTPUT = group(
    "Output",
    {
        "out": option(Path | None, "Write the run to this folder.  [default: runs/NAME-MODEL-K]"),
        "overwrite": Overwrite,
        "resume": option(bool, "Continue an interrupted fit, given the same options.", "--resume"),
        "keep_corpus": option(
            bool | None, "Save the counts in the run.  [default: keep]", "--keep-corpus/--no-keep-corpus"
        ),
        "keep_texts": flag("Save the texts with the counts.", "--keep-texts"),
        "top": TopOption,
        "examples": option(int, "Show this many typical documents of each topic.", min=0),
        "strict": option(bool, "Exit with status 3 when the health check finds the model unfit.", "--strict"),
        "quiet": Quiet,
    },
    overwrite=False, resume=False, top=10, examples=1, strict=False, quiet=False,
)  # fmt: skip
TABLES = group(
    "Tables",
    {
        "doc_topic": option(Path | None, "Write the document-topic table to this file."),
        "topic_word": option(Path | None, "Write the topic-word table to this file."),
    }
    | {
        name: option(Path | None, f"Write the {title} table to this file ({', '.join(models)}).")
        for unit, models in extra_units().items()
        for name, title in ((f"doc_{unit}", f"document-{unit}"), (f"{unit}_word", f"{unit}-word"))
    }
    | {"counts": option(Path | None, "Write the counts to this .ldac or .mm file, and their words to a .vocab file.")},
)

"""Options of the commands about text, in the groups that their help shows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from topicnet.cli.options.shared import Overwrite, Quiet, TopOption, group, integer

CORPUS_HELP = (
    "A .txt (a document a line), .csv, .tsv, .jsonl, .parquet, .xlsx or .mallet file (text also as .gz or .zst),"
    " several files or a glob in quotes, a folder of them, counts"
    " (of `topicnet prepare`, .ldac, .mm, .npz, an OCTIS folder),"
    " - for standard input, or a name from `topicnet corpora`."
)
FORMAT_HELP = "Format of the corpus: {}.  [default: by its ending]"
FORMATS = "txt, csv, tsv, jsonl, parquet, xlsx, mallet, octis, ldac, mm or npz"
Flag = bool | None
CorpusArgument = Annotated[list[str], typer.Argument(metavar="CORPUS", help=CORPUS_HELP)]

READING = group(
    "Corpus",
    {
        "text_column": Annotated[
            str | None,
            typer.Option(
                help="Column or key that holds the text, or its number in a table without header.  [default: text]"
            ),
        ],
        "id_column": Annotated[
            str | None, typer.Option(help="Column or key that holds the ids.  [default: id, if there]")
        ],
        "encoding": Annotated[str | None, typer.Option(help="Encoding of the text.  [default: utf-8]")],
        "file_format": Annotated[str | None, typer.Option("--format", help=FORMAT_HELP.format(FORMATS))],
        "skip_bad_rows": Annotated[
            Flag, typer.Option("--skip-bad-rows", help="Leave out rows that cannot be read, and list them.")
        ],
    },
)
COLUMNS = group(
    "Corpus",
    {
        "label_column": Annotated[str | None, typer.Option(help="Column of labels, kept in doc_topic.csv.")],
        "time_column": Annotated[str | None, typer.Option(help="Column of times, kept in doc_topic.csv.")],
        "keep_columns": Annotated[
            str | None, typer.Option(help="Columns to keep in doc_topic.csv, with commas between.")
        ],
    },
)
COUNTING = group(
    "Text",
    {
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
            str | None,
            typer.Option(help="File of the words to count, one a line; for counts, the names of their columns."),
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
        "keep_numbers": Annotated[
            Flag, typer.Option("--keep-numbers", help="Count numbers too, and words with digits.")
        ],
    },
)
PASSAGES = group(
    "Text",
    {
        "passages": Annotated[
            int | None,
            typer.Option(min=1, help="Cut documents into passages of about this many counted words; learn from these."),
        ]
    },
)
MODEL = group(
    "Model",
    {
        "model": Annotated[str | None, typer.Option(help="The model: etm, nvdm-gsm, w-lda or gmntm.  [default: etm]")],
        "topics": integer("Number of topics.  [default: 20]", "--topics", "-k"),
        "decoder": Annotated[
            str | None, typer.Option(help="How topics become words: mixture or product.  [default: by the model]")
        ],
        "embeddings": Annotated[
            str | None,
            typer.Option(help="For etm: a word2vec or GloVe file, train (on the corpus) or none.  [default: none]"),
        ],
        "parameters": Annotated[
            list[str] | None,
            typer.Option("--param", metavar="NAME=VALUE", help="Any other parameter of the model; may be repeated."),
        ],
        "config": Annotated[Path | None, typer.Option(help="YAML file of options; those given here win.")],
    },
)
TRAINING = group(
    "Training",
    {
        "seed": Annotated[int | None, typer.Option(help="Same seed, same result.  [default: 0]")],
        "seeds": Annotated[
            int | None,
            typer.Option(
                min=1,
                help="Fit with this many seeds, keep the best run, flag topics that other seeds do not reproduce.",
            ),
        ],
        "init": Annotated[str | None, typer.Option(help="Start of the training: em or random.  [default: em]")],
        "max_epochs": Annotated[
            int | None, typer.Option("--epochs", help="Passes over the corpus.  [default: a budget of steps]")
        ],
        "batch_size": Annotated[int | None, typer.Option(help="Documents per step.  [default: 200, of w-lda 100]")],
        "learning_rate": Annotated[float | None, typer.Option(help="Highest rate.  [default: by the start]")],
        "device": Annotated[str | None, typer.Option(help="auto, cpu, cuda or cuda:N.  [default: auto]")],
        "engine": Annotated[
            str | None, typer.Option(help="Where to fit: local, or ray for a Ray cluster.  [default: local]")
        ],
        "workers": integer("Workers of --engine ray.  [default: one for each GPU, or CPU]"),
    },
)
OUTPUT = group(
    "Output",
    {
        "out": Annotated[Path | None, typer.Option(help="Run folder to write.  [default: runs/NAME-MODEL]")],
        "overwrite": Overwrite,
        "resume": Annotated[
            bool, typer.Option("--resume", help="Continue an interrupted fit, given the same options.")
        ],
        "keep_corpus": Annotated[
            bool | None,
            typer.Option("--keep-corpus/--no-keep-corpus", help="Save the counts in the run.  [default: keep]"),
        ],
        "keep_texts": Annotated[bool | None, typer.Option("--keep-texts", help="Save the texts with the counts.")],
        "top": TopOption,
        "examples": Annotated[int, typer.Option(min=0, help="Typical documents to show of each topic.")],
        "strict": Annotated[
            bool, typer.Option("--strict", help="Exit with status 3 when the health check finds the model unfit.")
        ],
        "quiet": Quiet,
    },
    overwrite=False,
    resume=False,
    top=10,
    examples=1,
    strict=False,
    quiet=False,
)

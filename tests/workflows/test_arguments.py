"""Arguments of `topicnet.fit`: wrong ones are refused at once, in one line that names the argument."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

import topicnet
from tests.support.corpora import texts
from topicnet.errors import OutputError, TopicnetError

QUICK: dict[str, Any] = {"n_topics": 2, "max_epochs": 1, "init": "random", "max_df": 1.0}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"missing": 3}, "missing=3 given, expected text or a list of texts"),
        ({"text_column": 3}, "text_column=3 given, expected text or a list of texts"),
        ({"keep_columns": 3}, "keep_columns=3 given, expected a list of names"),
        ({"stop_words": 3}, "stop_words=3 given, expected a list of words"),
        ({"cleaning": True}, "cleaning=True given, expected a topicnet.Cleaning, such as"),
        ({"callback": 3}, "callback=3 given, expected a function"),
        ({"listener": "x"}, "listener='x' given, expected a function"),
        ({"min_df": "a"}, "min_df='a' given, expected a number"),
    ],
)  # fmt: skip
def test_an_argument_of_another_type_is_one_line(given: dict[str, Any], message: str) -> None:
    with pytest.raises(TopicnetError) as caught:
        topicnet.fit(texts(), **(QUICK | given))
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"model": "lda"}, "model='lda' given, expected one of: etm"),
        ({"lang": "xx"}, "lang='xx' given, expected auto"),
        ({"tokenizer": "q"}, "tokenizer='q' given"),
        ({"n_topics": 0}, "n_topics=0 given, expected 1 or more"),
        ({"n_topics": 1000}, "n_topics=1000 given, but only"),
        ({"random_state": 1.5}, "random_state=1.5 given"),
        ({"min_df": 1000}, "lower min_df, raise max_df, or check lang and stop_words"),
    ],
)  # fmt: skip
def test_an_error_names_the_arguments_of_python(given: dict[str, Any], message: str) -> None:
    with pytest.raises(TopicnetError) as caught:
        topicnet.fit(texts(), **(QUICK | given))
    assert message in str(caught.value)
    assert " -" not in str(caught.value)


def test_saving_to_an_existing_folder_names_the_arguments_of_save(tmp_path: Path) -> None:
    run = topicnet.fit(texts(), **QUICK)
    run.save(tmp_path / "run")
    with pytest.raises(OutputError, match=r"exists already: choose another path, or replace it with overwrite=True$"):
        run.save(tmp_path / "run")
    run.save(tmp_path / "run", overwrite=True)


@pytest.mark.parametrize("library", [pd, pl])
def test_transform_reads_the_text_column_of_the_fit_from_a_table(library: Any) -> None:
    rows = {"body": texts(), "year": list(range(len(texts())))}
    run = topicnet.fit(library.DataFrame(rows), text_column="body", **QUICK)
    new = library.DataFrame({"year": [1, 2], "body": [texts()[3], None]})
    expected = run.transform([texts()[3], None])
    assert np.array_equal(run.transform(new), expected)
    assert np.array_equal(run.transform(new["body"]), expected)
    with pytest.raises(TopicnetError, match="no column 'body' in the table; it has: year"):
        run.transform(new[["year"]])

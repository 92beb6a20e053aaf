"""Arguments of `topicnet.fit`: wrong ones are refused at once, in one line that names the argument."""

from typing import Any

import pytest

import topicnet
from tests.support.corpora import texts
from topicnet.errors import TopicnetError

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

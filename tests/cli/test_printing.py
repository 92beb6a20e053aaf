"""Printed lines use the singular for one."""

import pytest

from tests.support.corpora import texts
from topicnet.cli.printing.fits import ending_line
from topicnet.errors import InputError
from topicnet.text.corpus import Corpus
from topicnet.text.tokens.options import TextOptions
from topicnet.text.vocabulary import Pruning
from topicnet.workflows.engine import check_size


@pytest.mark.parametrize(("epochs", "printed"), [(1, "trained 1 epoch, kept"), (2, "trained 2 epochs, kept")])
def test_the_ending_of_a_fit_counts_epochs(epochs: int, printed: str) -> None:
    fitted = {"stopped": "done", "epochs": epochs, "best_epoch": 1}
    assert ending_line(fitted, "documents").startswith(printed)


@pytest.mark.parametrize(("words", "printed"), [(1, "only 1 word is left"), (2, "only 2 words are left")])
def test_the_error_for_a_small_vocabulary_counts_words(words: int, printed: str) -> None:
    options = TextOptions(pruning=Pruning(max_vocab=words, max_df=1.0))
    corpus = Corpus.from_texts(texts(), options=options)
    with pytest.raises(InputError, match=printed):
        check_size(corpus, 3)

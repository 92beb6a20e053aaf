"""TextOptions: a saved model tokenises new text in the same way, or refuses."""

import json
from dataclasses import replace

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from topicnet.errors import InputError
from topicnet.text.tokens import segmenters
from topicnet.text.tokens.cleaning import Cleaning
from topicnet.text.tokens.options import TextOptions, options_of
from topicnet.text.vocabulary import Pruning

KNOWN = {"tokenizer", "lang", "stop_words", "min_df", "max_df", "max_vocab"}  # in every version
SAMPLES = {
    "en": ["The cats don't run: see http://a.org/x, me@b.org", "3.5 km of <b>New York</b> &amp; more", "", None],
    "de": ["Die Häuser standen in den Straßen", "Über 100 Bücher"],
    "zh": ["我们在北京的公司开发了新的机器学习系统"],
    "ja": ["銀行は金利を引き上げ、投資家は心配した"],
    "ko": ["은행이 금리를 올려 투자자들이 걱정했다"],
}
PIPELINES = {
    "letters": TextOptions("en"),
    "no language": TextOptions("none"),
    "stop words": TextOptions("en", ("Run", "New York"), more_stop_words=("don't",)),
    "cleaned": TextOptions("en", cleaning=Cleaning(drop_urls=True, drop_emails=True, strip_html=True)),
    "numbers": TextOptions("en", cleaning=Cleaning(keep_numbers=True)),
    "spaces": TextOptions("en", tokenizer="spaces"),
    "spaCy": TextOptions("en", tokenizer="spacy"),
    "lemmas": TextOptions("de", lemmatize=True),
    "spaCy and lemmas": TextOptions("de", tokenizer="spacy", lemmatize=True),
    "phrases": TextOptions("en", phrases=(("new", "york"), ("a", "b", "c"))),
    "Chinese": TextOptions("zh"),
    "Chinese that is parted": TextOptions("zh", tokenizer="spaces"),
    "Japanese": TextOptions("ja"),
    "Japanese, one spelling": TextOptions("ja", lemmatize=True),
    "Korean": TextOptions("ko"),
}


def remembered(options: TextOptions) -> TextOptions:
    """Return the options as rebuilt from a saved model."""
    return options_of(json.loads(json.dumps(options.describe())))


def cut(options: TextOptions) -> list[list[str] | None]:
    return options.tokens(pl.Series(SAMPLES.get(options.lang, SAMPLES["en"]), dtype=pl.String)).to_list()


@pytest.mark.parametrize("name", PIPELINES)
def test_a_model_tokenises_new_text_like_its_own(name: str) -> None:
    options = PIPELINES[name]
    found = remembered(options)
    assert cut(found) == cut(options)
    assert any(cut(options))
    assert found.segmenter.name == options.segmenter.name == options.describe()["tokenizer"]
    for part in ("lang", "tokenizer", "lemmatize", "cleaning", "phrases"):
        assert getattr(found, part) == getattr(options, part)
    assert found.dropped() == []  # the vocabulary has no stop words, so none have to be dropped


@pytest.mark.parametrize("name", PIPELINES)
def test_describing_rebuilt_options_gives_the_same(name: str) -> None:
    described = PIPELINES[name].describe()
    again = remembered(PIPELINES[name]).describe()
    settled = {"stop_words", "min_df", "max_df", "max_vocab"}
    assert {k: v for k, v in again.items() if k not in settled} == {
        k: v for k, v in described.items() if k not in settled
    }


@given(
    st.builds(Cleaning, st.booleans(), st.booleans(), st.booleans(), st.booleans()),
    st.sampled_from([None, "letters", "spaces"]),
    st.lists(st.lists(st.sampled_from("abcd"), min_size=2, max_size=3).map(tuple), unique=True).map(tuple),
    st.integers(1, 9) | st.floats(0, 1),
)
def test_options_are_rebuilt_from_their_description(
    cleaning: Cleaning, tokenizer: str | None, phrases: tuple[tuple[str, ...], ...], min_df: int | float
) -> None:
    pruning = Pruning(min_df, None, 7)
    options = TextOptions("none", cleaning=cleaning, tokenizer=tokenizer, phrases=phrases or False, pruning=pruning)
    described = json.loads(json.dumps(options.describe()))
    assert described == options.describe()
    assert (described["min_df"], described["max_df"], described["max_vocab"]) == (min_df, None, 7)
    assert options_of(described) == replace(options, pruning=Pruning(), stop_words=())


def test_options_that_are_off_are_not_described() -> None:
    """Models of versions before these options have only the six entries, and can be read."""
    described = TextOptions("en").describe()
    assert described.keys() == KNOWN | {"missing"}
    assert options_of(described) == TextOptions("en", stop_words=())
    first = TextOptions("none", stop_words=(), missing=(), fold_letters=False)
    assert options_of({"tokenizer": "unicode-letters-1"}) == first
    full = TextOptions("de", tokenizer="letters", lemmatize=True, phrases=True, vocabulary=("a",))
    more = {"tokenizer_kind": "letters", "lemmatize": True, "phrases": True, "vocabulary": "given"}
    assert more.items() <= full.describe().items()
    cleaned = TextOptions("en", cleaning=Cleaning(strip_html=True, keep_numbers=True)).describe()
    assert cleaned["cleaning"] == {"strip_html": True, "keep_numbers": True}


@pytest.mark.parametrize(
    ("options", "needed"),
    [
        (TextOptions("en"), "unicode-letters-0"),
        (TextOptions("zh"), "jieba-0.41+folded-1"),
        (TextOptions("zh", fold_letters=False), "jieba-0.41"),
        (TextOptions("ja"), "sudachi-0.6.0-core-20240109+folded-1"),
        (TextOptions("ko"), "kiwi-0.17-model-0.17+folded-1"),
        (TextOptions("de", tokenizer="spacy"), "spacy-de-3.7.0+folded-1"),
        (TextOptions("de", lemmatize=True), "unicode-letters-2+lemmas-de-0.9"),
        (TextOptions("de", lemmatize=True, fold_letters=False), "unicode-letters-1+lemmas-de-0.9"),
        (TextOptions("en", tokenizer="spaces"), "unicode-letters-2"),
        (TextOptions("en", tokenizer="spaces", fold_letters=False), "unicode-letters-1"),
    ],
)
def test_another_segmenter_than_the_models_is_refused(options: TextOptions, needed: str) -> None:
    described = options.describe() | {"tokenizer": needed}
    with pytest.raises(InputError) as caught:
        options_of(described)
    assert needed in str(caught.value)
    assert options.segmenter.name in str(caught.value)
    assert str(caught.value).isprintable()


def test_a_segmenter_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    described = TextOptions("zh").describe()
    segmenters.load_segmenter.cache_clear()
    found = segmenters.importlib.util.find_spec
    monkeypatch.setattr(segmenters.importlib.util, "find_spec", lambda name: None if name == "jieba" else found(name))
    with pytest.raises(InputError, match=r"topicnet-neural\[zh\]"):
        options_of(described)


@pytest.mark.parametrize("name", ["stop_words", "more_stop_words", "vocabulary"])
def test_a_string_instead_of_a_list_of_words_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="put it in brackets") as caught:
        TextOptions(**{name: "team"})
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("lang", ["xx", "", "th", "en-US"])
def test_an_unknown_language_is_refused_at_once(lang: str) -> None:
    with pytest.raises(InputError):
        TextOptions(lang)


def test_stop_words_are_tokenised_like_the_text() -> None:
    plain = TextOptions("none", stop_words=("Don't", "É t é", "Café"))
    assert plain.dropped() == ["café", "don"]
    assert TextOptions("none", stop_words=("don't",), tokenizer="spaces").dropped() == ["don't"]
    lemmas = TextOptions("de", stop_words=("Häuser",), lemmatize=True)
    assert "haus" in lemmas.dropped()
    assert set(TextOptions("en").dropped()) < set(TextOptions("en", more_stop_words=("zebra",)).dropped())
    assert TextOptions("en", stop_words=()).dropped() == []


def test_texts_are_cleaned_before_they_are_tokenised() -> None:
    text = pl.Series(["see www.a.org/page <i>now</i> me@home.org &eacute;tat 42"])
    plain = TextOptions("none").tokens(text)[0].to_list()
    cleaning = Cleaning(drop_urls=True, drop_emails=True, strip_html=True)
    cleaned = TextOptions("none", cleaning=cleaning).tokens(text)[0].to_list()
    assert {"www", "org", "page", "home", "eacute"} < set(plain)
    assert cleaned == ["see", "now", "état"]
    numbers = TextOptions("none", cleaning=replace(cleaning, keep_numbers=True)).tokens(text)[0].to_list()
    assert numbers == ["see", "now", "état", "42"]

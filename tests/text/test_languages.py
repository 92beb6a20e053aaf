"""Languages: tokens as Unicode defines letters, one spelling a word, stop words that leave the subjects in."""

import unicodedata

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from topicnet.errors import InputError
from topicnet.text.languages import NEED_SEGMENTER, NO_STOP_WORDS, check_language, stop_words, tokenize

TRICKY = "aZéÉ\u0301\u0308\u0327İıIΣσςßẞÅ\u212bﬁहिन्दीกำשׁلا٣1_'’-·\u00ad\u200c\u200d \n\t\0ªʰ"
LETTERS = st.text(st.characters(exclude_categories=("Cs", "Cn")) | st.sampled_from(TRICKY), max_size=40)
SPACED = ["de", "fr", "es", "it", "nl", "pt", "ru", "pl", "sv", "fi", "he", "hi", "vi"]


def tokens(text: str) -> list[str]:
    return tokenize(pl.Series([text], dtype=pl.String))[0].to_list()


def composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def reference(text: str) -> list[str]:
    """Runs of two or more letters (L*), each with the marks (M*) after it; character by character."""
    found, word, n_letters = [], "", 0
    for character in composed(composed(text).lower()) + " ":
        kind = unicodedata.category(character)[0]
        if kind == "L" or (kind == "M" and word):
            word += character
            n_letters += kind == "L"
            continue
        if n_letters >= 2:
            found.append(word)
        word, n_letters = "", 0
    return found


@settings(max_examples=300)
@given(st.lists(LETTERS, max_size=5))
@example(["ΑΣ'ΑΣ ΌΔΟΣ", "\u0301abc", "a\u0301b\u0301", ""])
def test_tokens_are_those_of_a_plain_reference(texts: list[str]) -> None:
    found = tokenize(pl.Series(texts, dtype=pl.String)).to_list()
    assert found == [reference(text) for text in texts]


@settings(max_examples=200)
@given(LETTERS)
def test_a_text_has_the_same_tokens_composed_and_decomposed(text: str) -> None:
    assert tokens(unicodedata.normalize("NFD", text)) == tokens(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Élan élan E\u0301lan e\u0301lan", ["élan"] * 4),
        ("हिन्दी में समाचार", ["हिन्दी", "समाचार"]),
        ("שָׁלוֹם עולם", [composed("שָׁלוֹם"), "עולם"]),
        ("İstanbul", ["i\u0307stanbul"]),
        ("ΣΊΣΥΦΟΣ", ["σίσυφος"]),
        ("STRASSE Straße", ["strasse", "straße"]),
        ("in 1984, R2D2 saw 3d films x I a", ["in", "saw", "films"]),
        ("covid19 utf_8", ["covid", "utf"]),
        ("don't we'll l’été O'Neill", ["don", "we", "ll", "été", "neill"]),
        ("state-of-the-art\tnew\u2028line", ["state", "of", "the", "art", "new", "line"]),
        ("\u0301\u0302 a\u0301 ab\u0301", [composed("ab\u0301")]),
        ("", []),
        ("😀 !? 12 ٣٤", []),
    ],
)
def test_examples(text: str, expected: list[str]) -> None:
    assert tokens(text) == expected


@pytest.mark.parametrize("letter", ["ǰ", "ẖ", "ẗ", "ẘ", "ẙ"])
def test_a_letter_whose_capital_has_no_composed_form_has_one_spelling(letter: str) -> None:
    """The capital stays two characters in NFC, so what it becomes in lower case has to be composed once more."""
    assert tokens(f"{letter}ana".upper()) == tokens(f"{letter}ana")


def test_no_texts_and_missing_texts() -> None:
    assert tokenize(pl.Series([], dtype=pl.String)).to_list() == []
    assert tokenize(pl.Series([None, "two words"], dtype=pl.String)).to_list() == [None, ["two", "words"]]


@pytest.mark.parametrize("word", ["the", "don", "ll", "and", "ve", "is", "not", "would", "themselves"])
def test_english_grammar_is_dropped(word: str) -> None:
    assert word in stop_words("en")


@pytest.mark.parametrize(
    "word",
    ["computer", "fire", "bill", "system", "interest", "cry", "amount", "government", "world", "call", "new", "people"],
)
def test_english_subjects_are_kept(word: str) -> None:
    assert word not in stop_words("en")


@pytest.mark.parametrize("lang", ["en", *SPACED])
def test_stop_words_are_words_as_the_tokenizer_cuts_them(lang: str) -> None:
    words = stop_words(lang)
    assert len(words) > 50
    assert words == sorted(set(words))
    assert all(tokens(word) == [word] for word in words)


@pytest.mark.parametrize(
    ("lang", "word"), [("de", "und"), ("fr", "été"), ("fr", "est"), ("it", "della"), ("ru", "это"), ("hi", "और")]
)
def test_stop_words_of_other_languages(lang: str, word: str) -> None:
    assert word in stop_words(lang)


@pytest.mark.parametrize("lang", sorted(NO_STOP_WORDS))
def test_a_language_whose_list_is_broken_is_refused_with_a_way_out(lang: str) -> None:
    with pytest.raises(InputError, match="--lang none and your own with --stop-words"):
        stop_words(lang)


@pytest.mark.parametrize(
    ("lang", "words"),
    [
        ("de", "der die und ist nicht"),
        ("fr", "le la les des pas"),
        ("es", "que los para con una"),
        ("ru", "и в не на что"),
        ("vi", "là của và không"),
    ],
)
def test_the_commonest_words_of_a_language_are_not_counted(lang: str, words: str) -> None:
    corpus = set(tokens(words))
    assert sorted(corpus - set(stop_words(lang))) == []


def test_no_language_has_no_stop_words() -> None:
    assert stop_words("none") == []


@pytest.mark.parametrize("given_code", ["EN", "En", "none", "NONE", "fr"])
def test_a_code_is_known_in_any_case(given_code: str) -> None:
    assert check_language(given_code) == given_code.lower()
    assert stop_words(given_code) == stop_words(given_code.lower())


@pytest.mark.parametrize("lang", ["zh", "ja", "ko", "th", "ZH"])
@pytest.mark.parametrize("function", [check_language, stop_words])
def test_a_language_without_spaces_is_refused_with_a_way_out(function, lang: str) -> None:
    with pytest.raises(InputError) as caught:
        function(lang)
    message = str(caught.value)
    assert message.isprintable()
    assert NEED_SEGMENTER[lang.lower()] in message
    assert "segment" in message
    assert "--lang none" in message


@pytest.mark.parametrize("lang", ["xx", "english", "", "en-GB", "e\nn"])
def test_an_unknown_language_is_refused_with_the_known_ones(lang: str) -> None:
    with pytest.raises(InputError) as caught:
        check_language(lang)
    message = str(caught.value)
    assert message.isprintable()
    assert repr(lang) in message
    offered = message.rpartition(": ")[2].split(", ")
    assert {"en", "de", "fr"} <= set(offered)
    assert not set(offered) & set(NEED_SEGMENTER)
    assert [check_language(code) for code in offered] == offered

"""Languages: Unicode letters as tokens, one spelling per word, stop words without subject words."""

import subprocess
import sys
import unicodedata

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.examples import examples
from topicnet.errors import InputError
from topicnet.text.tokens import languages
from topicnet.text.tokens.languages import (
    NEED_SEGMENTER,
    NO_STOP_WORDS,
    SEGMENTED,
    TOKEN_PATTERN,
    check_language,
    known_languages,
    stop_words,
    tokenize,
    tokenized_stop_words,
)

TRICKY = "aZéÉ\u0301\u0308\u0327İıIΣσςßẞÅ\u212bﬁहिन्दीกำשׁلا٣1_'’-·\u00ad\u200c\u200d \n\t\0ªʰ"
LETTERS = st.text(st.characters(exclude_categories=("Cs", "Cn")) | st.sampled_from(TRICKY), max_size=40)
SPACED = ["de", "fr", "es", "it", "nl", "pt", "ru", "pl", "sv", "fi", "he", "hi", "vi", "ar", "el", "hu", "ro", "tr"]


def tokens(text: str) -> list[str]:
    return tokenize(pl.Series([text], dtype=pl.String))[0].to_list()


def composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def reference(text: str) -> list[str]:
    """Find runs of two or more letters (L*), each with its marks (M*), character by character."""
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


@examples(120)
@given(st.lists(LETTERS, max_size=5))
@example(["ΑΣ'ΑΣ ΌΔΟΣ", "\u0301abc", "a\u0301b\u0301", ""])
def test_tokens_equal_a_plain_reference(texts: list[str]) -> None:
    found = tokenize(pl.Series(texts, dtype=pl.String)).to_list()
    assert found == [reference(text) for text in texts]


@examples(50)
@given(LETTERS)
def test_a_text_has_the_same_tokens_composed_and_decomposed(text: str) -> None:
    assert tokens(unicodedata.normalize("NFD", text)) == tokens(text)


def plain(texts: pl.Series) -> pl.Series:
    """Tokenise as the first version did, with NFC for every text; saved models refer to it by name."""
    return texts.str.to_lowercase().str.normalize("NFC").str.extract_all(TOKEN_PATTERN)


@examples(133)
@given(
    st.lists(st.none() | st.text(max_size=20) | LETTERS | st.text("aZ 'éñЖяё’…\u0301\u0483\u1100\uac00İ", max_size=30))
)
def test_skipping_nfc_does_not_change_the_tokens(texts: list[str | None]) -> None:
    series = pl.Series("given", texts, dtype=pl.String)
    found = tokenize(series)
    assert found.equals(plain(series), check_names=True)
    assert found.dtype == pl.List(pl.String)


def test_nfc_does_not_change_the_skipped_characters() -> None:
    """None of these characters changes, is a mark that can be reordered, or combines with the previous character."""
    characters = [chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code <= 0xDFFF]
    table = pl.Series(characters, dtype=pl.String)
    stable = set(table.filter(~table.str.contains(languages._UNSTABLE)))
    assert len(stable) > 800
    assert all(composed(character) == character for character in stable)
    assert not any(unicodedata.combining(character) for character in stable)
    # A character can combine with the previous one if it is the second half of a decomposition, or a jamo.
    seconds = {
        chr(int(parts[1], 16))
        for character in characters
        if len(parts := unicodedata.decomposition(character).split()) == 2 and not parts[0].startswith("<")
    }
    assert not stable & (seconds | {chr(code) for code in range(0x1100, 0x1200)})


def test_rows_keep_their_order_across_threads() -> None:
    texts = pl.Series([f"{'é' if row % 3 else 'e'} {chr(97 + row % 26) * 3} {row}" for row in range(50_000)])
    assert tokenize(texts).equals(plain(texts))


@pytest.mark.data
def test_reviews_give_the_same_tokens_as_before(shared_data) -> None:
    texts = pl.read_ndjson(shared_data / "imdb" / "train.jsonl.gz")["text"][:3_000]
    assert tokenize(texts).equals(plain(texts))


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
    """The capital stays two characters in NFC, so its lower-case form has to be composed again."""
    assert tokens(f"{letter}ana".upper()) == tokens(f"{letter}ana")


def test_no_texts_and_missing_texts() -> None:
    assert tokenize(pl.Series([], dtype=pl.String)).to_list() == []
    assert tokenize(pl.Series([None, "two words"], dtype=pl.String)).to_list() == [None, ["two", "words"]]


@pytest.mark.parametrize("word", ["the", "don", "ll", "and", "ve", "is", "not", "would", "themselves"])
def test_english_function_words_are_dropped(word: str) -> None:
    assert word in stop_words("en")


@pytest.mark.parametrize(
    "word",
    ["computer", "fire", "bill", "system", "interest", "cry", "amount", "government", "world", "call", "new", "people"],
)
def test_english_subject_words_are_kept(word: str) -> None:
    assert word not in stop_words("en")


@pytest.mark.parametrize("lang", ["en", *SPACED])
def test_stop_words_have_the_form_of_tokens(lang: str) -> None:
    words = stop_words(lang)
    assert len(words) > 50
    assert words == sorted(set(words))
    assert tokenize(pl.Series(words)).to_list() == [[word] for word in words]


@pytest.mark.parametrize(
    ("lang", "word"), [("de", "und"), ("fr", "été"), ("fr", "est"), ("it", "della"), ("ru", "это"), ("hi", "और")]
)
def test_stop_words_of_other_languages(lang: str, word: str) -> None:
    assert word in stop_words(lang)


@pytest.mark.parametrize("lang", sorted(NO_STOP_WORDS))
def test_a_language_without_a_reliable_list_is_refused_with_a_remedy(lang: str) -> None:
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
def test_the_most_common_words_of_a_language_are_stop_words(lang: str, words: str) -> None:
    corpus = set(tokens(words))
    assert sorted(corpus - set(stop_words(lang))) == []


def test_no_language_has_no_stop_words() -> None:
    assert stop_words("none") == []


@pytest.mark.parametrize("given_code", ["EN", "En", "none", "NONE", "fr"])
def test_a_code_is_known_in_any_case(given_code: str) -> None:
    assert check_language(given_code) == given_code.lower()
    assert stop_words(given_code) == stop_words(given_code.lower())


@pytest.mark.parametrize("lang", ["th", "TH"])
@pytest.mark.parametrize("function", [check_language, stop_words])
def test_a_language_without_a_segmenter_is_refused_with_a_remedy(function, lang: str) -> None:
    with pytest.raises(InputError) as caught:
        function(lang)
    message = str(caught.value)
    assert message.isprintable()
    assert NEED_SEGMENTER[lang.lower()] in message
    assert "segment" in message
    assert "--lang none" in message


@pytest.mark.parametrize("lang", sorted(SEGMENTED))
def test_lists_of_segmented_languages_are_not_tokenised(lang: str) -> None:
    words = stop_words(lang)
    assert words == sorted(set(words))
    assert len(words) > 300
    assert {"the", "of"} <= set(words)
    assert all(word == composed(word.lower()) and not word.isspace() for word in words)


@pytest.mark.parametrize(
    ("lang", "grammar", "subjects"),
    [
        ("zh", "我们 可以 没有 如何 一个 进行 表示 今年", "中国 经济 游戏 学生 基金"),
        ("ja", "する ある こと もの 場合 主要", "日本 大学 音楽 会社 動物"),
        ("ko", "하다 되다 있다 없다 생각 때문", "영화 드라마 음악 재미있다 감독"),
        ("de", "dass beim wurde können außerdem", "stadt regierung kinder arbeit"),
        ("fr", "qu aujourd hui jusqu lorsqu celle avez eûmes c'est", "mot droite force pays école"),
        ("it", "dell nell sull quest anche perché tuttavia", "casa città governo ministro mondo"),
        ("es", "también más estuviésemos qué", "trabajo valor fuerza ciudad"),
        ("pt", "lo não também você são", "sistema grupo trabalho governo"),
        ("nl", "het een wel toch omdat", "stad kinderen werk"),
        ("ru", "это который чтобы моего своих", "жизнь люди человек война"),
        ("tr", "bir ve için çok değil gibi", "şehir savaş okul"),
        ("hu", "hogy nem és volt előtt", "város háború iskola"),
        ("ar", "في من على إلى التي", "مدينة حرب مدرسة"),
        ("el", "και του της είναι αυτό", "πόλη πόλεμος σχολείο"),
        ("ro", "și în pentru această sunt", "oraș război școală"),
    ],
)
def test_function_words_are_dropped_and_subject_words_are_kept(lang: str, grammar: str, subjects: str) -> None:
    dropped = set(stop_words(lang))
    words = grammar.split() if lang in SEGMENTED else tokens(grammar)
    assert sorted(set(words) - dropped) == []
    assert sorted(set(subjects.split()) & dropped) == []


def test_stop_words_include_the_forms_of_another_tokenizer() -> None:
    def stems(texts: pl.Series) -> pl.Series:
        return texts.str.slice(0, 4).str.extract_all(r"\w+")

    assert tokenized_stop_words(["having", "us"], stems) == ["havi", "having", "us"]
    assert {"havi", "having"} <= set(stop_words("en", stems))
    assert tokenized_stop_words([]) == []


def test_stop_words_do_not_import_spacy() -> None:
    code = "import sys; from topicnet.text.tokens import languages; languages.stop_words('de'); "
    code += "print('spacy' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert found.stdout.strip() == "False"


def test_without_spacy_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    languages._spacy_stop_words.cache_clear()
    monkeypatch.setattr(languages.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="--lang de needs the stop words of spaCy: pip install spacy"):
        stop_words("de")


def test_auto_is_accepted_only_on_request() -> None:
    assert check_language("AUTO", auto=True) == "auto"
    with pytest.raises(InputError, match="'auto' given, expected none or one of"):
        check_language("auto")
    with pytest.raises(InputError, match="expected auto, none or one of"):
        check_language("xx", auto=True)


@pytest.mark.parametrize("lang", ["xx", "english", "", "en-GB", "e\nn"])
def test_an_unknown_language_is_refused_with_the_known_ones(lang: str) -> None:
    with pytest.raises(InputError) as caught:
        check_language(lang)
    message = str(caught.value)
    assert message.isprintable()
    assert repr(lang) in message
    offered = message.rpartition(": ")[2].split(", ")
    assert offered == known_languages()
    assert {"en", "de", "fr", "zh", "ja", "ko"} <= set(offered)
    assert not set(offered) & (set(NEED_SEGMENTER) | set(NO_STOP_WORDS))
    assert [check_language(code) for code in offered] == offered

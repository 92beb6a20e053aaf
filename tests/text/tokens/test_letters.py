"""Letters that are folded before tokenising, and those that are not."""

from __future__ import annotations

import string
import sys
import unicodedata

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from topicnet.text.corpus import Corpus
from topicnet.text.tokens import letters
from topicnet.text.tokens.letters import _forms, fold_letters
from topicnet.text.tokens.options import TextOptions, options_of
from topicnet.text.tokens.tokenizer import choose_tokenizer, folds_letters


def words(text: str, lang: str = "none", kind: str | None = None, **options: bool) -> list[str]:
    return choose_tokenizer(lang, kind, **options)(pl.Series([text], dtype=pl.String))[0].to_list()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ﬁnance ﬂow oﬃce", ["finance", "flow", "office"]),
        ("Ｆｕｌｌ　ｗｉｄｔｈ", ["full", "width"]),
        ("ｶﾞｷﾞ", ["ガギ"]),
        ("𝐁𝐨𝐥𝐝 𝓈𝒸𝓇𝒾𝓅𝓉", ["bold", "script"]),
        ("ﺍﻟﺴﻼﻡ", ["السلام"]),
        ("ĳs ſtein Ǆ", ["ijs", "stein", "dž"]),
        ("⽇⽉", ["日月"]),
        ("Bundes\u00adtag Wirt\u00adschafts\u00adpolitik", ["bundestag", "wirtschaftspolitik"]),
        ("zero\u200bwidth wo\u2060rd \ufeffmark jo\u200cin\u200ded", ["zerowidth", "word", "mark", "joined"]),
        ("Straße GROẞ", ["straße", "groß"]),
    ],
)
def test_one_word_has_one_form(text: str, expected: list[str]) -> None:
    assert words(text) == expected
    assert words(text, kind="spaces") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Windows™ m² area¹", ["windows", "area"]),  # not windowstm, m2, area1
        ("1ª nº ½kg Ⅳ", ["nº", "kg"]),
        ("coŀlegi", ["coŀlegi"]),  # NFKC would split it at a dot
        ("Wirt-\nschaft", ["wirt", "schaft"]),
        ("ไทย\u200bภาษา", ["ไทย", "ภาษา"]),  # separates words in place of a space
        ("می\u200cخواهم", ["می", "خواهم"]),  # separates affixes
        ("क्\u200dषक", ["क्\u200dषक"]),
    ],
)
def test_meaningful_signs_stay(text: str, expected: list[str]) -> None:
    assert words(text) == expected


@pytest.mark.parametrize("text", ["10² Windows™ 👩\u200d👩", "می\u200cخواهم क्\u200dष", "x½ №5 ①"])
def test_spaced_words_keep_signs_and_joiners(text: str) -> None:
    assert words(text, kind="spaces") == text.lower().split()


def test_numbers_do_not_run_together() -> None:
    assert words("10² １０ ３．５ word¹", numbers=True) == ["10", "10", "3.5", "word"]


@pytest.mark.parametrize(
    ("text", "turkish", "other"),
    [
        ("ISPARTA", "ısparta", "isparta"),
        ("İstanbul", "istanbul", "i̇stanbul"),
        ("I\u0307zmir", "izmir", "i̇zmir"),
        ("İYİ".lower(), "iyi", "i̇yi̇"),
        ("ＩＩ", "ıı", "ii"),
    ],
)
def test_turkish_has_two_letters_i(text: str, turkish: str, other: str) -> None:
    assert words(text, "tr") == words(text, "tr", "spaces") == [turkish]
    assert words(text, "en")[0] == unicodedata.normalize("NFC", other)


def test_turkish_stop_words_are_lower_cased_alike() -> None:
    corpus = Corpus.from_texts(["IÇIN İÇİN ve elma"], options=TextOptions("tr"))
    assert corpus.vocabulary == ["elma", "ıçın"]


@given(st.lists(st.text(string.printable, max_size=40) | st.none(), max_size=5))
def test_ascii_text_gives_the_same_words(texts: list[str | None]) -> None:
    series = pl.Series(texts, dtype=pl.String)
    assert fold_letters(series) is series
    for kind in ("letters", "spaces"):
        assert choose_tokenizer("en", kind)(series).equals(choose_tokenizer("en", kind, fold=False)(series))


@given(st.lists(st.text(max_size=20) | st.none(), max_size=5))
def test_folding_is_idempotent(texts: list[str | None]) -> None:
    series = pl.Series(texts, dtype=pl.String)
    once = fold_letters(series)
    assert fold_letters(once).equals(once)
    assert len(once) == len(series)
    assert once.is_null().equals(series.is_null())


def test_every_foldable_letter_is_folded() -> None:
    """The list of blocks is complete: no foldable character is outside them."""
    shapes = ("<font>", "<wide>", "<narrow>", "<initial>", "<medial>", "<final>")
    every = [chr(code) for code in range(0x80, sys.maxunicode + 1)]
    shaped = [c for c in every if unicodedata.decomposition(c).startswith(shapes) and c.isalnum()]
    assert len(shaped) > 1_500
    assert set(shaped) <= _forms().keys()


@pytest.mark.parametrize("lang", ["zh", "ja", "ko"])
def test_segmenters_see_folded_letters(lang: str) -> None:
    pytest.importorskip({"zh": "jieba", "ja": "sudachipy", "ko": "kiwipiepy"}[lang])
    assert "office" in words("Ｏﬃ\u00adce", lang)


@pytest.mark.parametrize(
    ("name", "folds"),
    [
        ("unicode-letters-1", False),
        ("unicode-letters-2", True),
        ("unicode-letters-1+lemmas-de-1.0.5", False),
        ("unicode-letters-2+lemmas-de-1.0.5", True),
        ("spaces-1", False),
        ("jieba-0.42.1", False),
        ("jieba-0.42.1+folded-1", True),
        ("spacy-de-3.8.18+folded-1+lemmas-de-1.0.5", True),
    ],
)
def test_the_name_of_a_saved_tokenizer_tells_whether_it_folds(name: str, folds: bool) -> None:
    assert folds_letters(name) is folds


@pytest.mark.parametrize("kind", ["letters", "spaces"])
def test_models_of_0_1_0_find_the_same_words(kind: str) -> None:
    old = options_of(
        {"tokenizer": {"letters": "unicode-letters-1", "spaces": "spaces-1"}[kind], "tokenizer_kind": kind}
    )
    texts = pl.Series(["ﬁnance Ｆｕｌｌ", "ab\u00adcd"], dtype=pl.String)
    parted = {"letters": ["ab", "cd"], "spaces": ["ab\u00adcd"]}[kind]
    assert old.tokens(texts).to_list() == [["ﬁnance", "ｆｕｌｌ"], parted]
    assert old.markers == ()


def test_the_first_test_finds_every_folded_character() -> None:
    characters = pl.Series([*letters._forms(), *letters._INVISIBLE_CHARACTERS])
    assert characters.str.contains(letters._PLAUSIBLE).all()
    western = pl.Series(["naïve café – “quoted” ‘it’s’ … 5 € ©½ª"])
    assert not western.str.contains(letters._PLAUSIBLE).any()
    assert fold_letters(western).equals(western)

"""Tokenizers: how one is chosen, its name, and the words it finds."""

import importlib.metadata
import importlib.util
import unicodedata
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.examples import examples
from topicnet.errors import InputError
from topicnet.text.tokens.languages import stop_words, tokenize
from topicnet.text.tokens.tokenizer import KINDS, SPACY_LANGUAGES, choose_tokenizer

VERSION = importlib.metadata.version
EVERY = [
    ("en", None, False), ("none", None, False), ("none", "spaces", False), ("zh", "spaces", False),
    ("de", "spacy", False), ("en", None, True), ("de", "spacy", True), ("fr", "spaces", True),
    ("zh", None, False), ("ja", None, False), ("ja", None, True), ("ko", None, False), ("ko", None, True),
]  # fmt: skip
MIXED = "Der Löwe saw the Films, 3 Kinder in New_York; 东京大学の学生 영화를 보았다 E\u0301te\u0301 ÉTÉ"


def words(text: str, *choice, **options) -> list[str]:
    return choose_tokenizer(*choice, **options)(pl.Series([text], dtype=pl.String))[0].to_list()


@pytest.mark.parametrize("choice", EVERY, ids=str)
def test_every_tokenizer_keeps_rows_and_their_order(choice) -> None:
    texts = pl.Series("texts", ["", None, MIXED, " ", None, MIXED, "东京 보았다 x"], dtype=pl.String)
    found = choose_tokenizer(*choice)(texts)
    assert found.name == "texts"
    assert found.dtype == pl.List(pl.String)
    lists = found.to_list()
    assert [line is None for line in lists] == [text is None for text in texts]
    assert lists[0] == lists[3] == []
    assert lists[2] == lists[5] != []
    flat = [word for line in lists if line for word in line]
    assert flat == [unicodedata.normalize("NFC", word.lower()) for word in flat]


@pytest.mark.parametrize("choice", EVERY, ids=str)
@pytest.mark.parametrize("texts", [[], [None], [""]])
def test_texts_without_words(choice, texts: list[str | None]) -> None:
    found = choose_tokenizer(*choice)(pl.Series(texts, dtype=pl.String))
    assert found.dtype == pl.List(pl.String)
    assert found.to_list() == [None if text is None else [] for text in texts]


@pytest.mark.parametrize(
    ("choice", "name"),
    [
        (("en",), "unicode-letters-2"),
        (("none",), "unicode-letters-2"),
        (("de", "letters"), "unicode-letters-2"),
        (("none", "spaces"), "spaces-2"),
        (("de", "spacy"), f"spacy-de-{VERSION('spacy')}+folded-1"),
        (("de", None, True), f"unicode-letters-2+lemmas-de-{VERSION('spacy-lookups-data')}"),
        (("de", "spacy", True), f"spacy-de-{VERSION('spacy')}+folded-1+lemmas-de-{VERSION('spacy-lookups-data')}"),
        (("zh",), f"jieba-{VERSION('jieba')}+folded-1"),
        (("ja",), f"sudachi-{VERSION('SudachiPy')}-core-{VERSION('sudachidict_core')}+folded-1"),
        (("ko",), f"kiwi-{VERSION('kiwipiepy')}-model-{VERSION('kiwipiepy_model')}+folded-1"),
    ],
)
def test_the_name_in_saved_models(choice, name: str) -> None:
    assert choose_tokenizer(*choice).name == name


@examples(50)
@given(st.lists(st.none() | st.text(max_size=30), max_size=4))
def test_letters_are_the_tokenizer_of_saved_models(texts: list[str | None]) -> None:
    series = pl.Series(texts, dtype=pl.String)
    assert choose_tokenizer("en", fold=False)(series).equals(tokenize(series))


@examples(50)
@given(st.lists(st.text(st.characters(exclude_categories=("Z", "Cc", "Cs", "Cn")), min_size=1, max_size=8), max_size=6))
def test_tokenised_text_keeps_its_tokens(parts: list[str]) -> None:
    expected = [unicodedata.normalize("NFC", part) for part in pl.Series(parts, dtype=pl.String).str.to_lowercase()]
    assert words(" \n".join(parts), "none", "spaces", fold=False) == expected


def test_digits_are_kept_on_request() -> None:
    assert words("In 1990, 3.5 films of R2D2", "en", numbers=True) == ["in", "1990", "3.5", "films", "of", "r2d2"]
    assert choose_tokenizer("en", numbers=True).name == "unicode-letters-digits-2"
    assert choose_tokenizer("zh", "spaces", numbers=True).name == "spaces-2"


@pytest.mark.parametrize(
    ("lang", "text", "expected"),
    [
        ("fr", "L'homme d'État qu'il n’aime pas", ["homme", "état", "il", "aime", "pas"]),
        ("it", "L'opera dell'arte nell'università", ["opera", "arte", "università"]),
        ("en", "We don't like the film's end.", ["we", "do", "like", "the", "film", "end"]),
        ("de", "Die Kinder spielen, z.B. im Garten!", ["die", "kinder", "spielen", "im", "garten"]),
    ],
)
def test_spacy_splits_elisions_and_contractions(lang: str, text: str, expected: list[str]) -> None:
    assert words(text, lang, "spacy") == expected


@pytest.mark.parametrize("lang", SPACY_LANGUAGES)
def test_spacy_gives_words_of_letters_only(lang: str) -> None:
    found = words("Covid-19 www.a.org e-mail U-Bahn x 3rd naïve São 10:30 :-) привет", lang, "spacy")
    assert {"naïve", "são", "привет"} <= set(found)
    assert all(len(word) > 1 and word.isalpha() for word in found)


def test_letters_keep_what_spacy_loses() -> None:
    """Why "letters" is the default of these languages: spaCy does not split hyphenated words, which are lost."""
    assert {"bahn", "linie", "mails"} <= set(words("Die U-Bahn-Linie und E-Mails", "de"))
    assert not {"bahn", "linie", "mails"} & set(words("Die U-Bahn-Linie und E-Mails", "de", "spacy"))
    dropped = set(stop_words("fr"))
    left = [
        word for word in words("Aujourd'hui, l'homme d'État qu'il n'aime jusqu'à l'école", "fr") if word not in dropped
    ]
    assert left == ["homme", "état", "aime", "école"]
    dropped = set(stop_words("it"))
    left = [
        word for word in words("L'opera dell'arte c'è nell'università, un'altra d'Italia", "it") if word not in dropped
    ]
    assert left == ["opera", "arte", "università", "italia"]


def test_lemmas_merge_forms_and_leave_stop_words_alone() -> None:
    assert words("Las casas como ciudades", "es", None, True) == ["las", "casa", "como", "ciudad"]
    assert words("The women were watched in Movies", "en", None, True)[1:] == ["woman", "were", "watch", "in", "movie"]
    assert words("films films of Film", "en", "spaces", True) == ["film", "film", "of", "film"]


def test_lemmas_of_stop_words_are_stop_words() -> None:
    """The lemma of a stop word is a stop word too."""
    for lang in ("de", "en", "es", "fr"):
        plain = stop_words(lang)
        lemmatizing = choose_tokenizer(lang, None, True)
        cut = set(lemmatizing(pl.Series(plain)).explode())
        assert cut <= set(stop_words(lang, lemmatizing))


@pytest.mark.parametrize("lang", ["zh", "ja", "ko"])
def test_stop_words_of_segmented_languages_need_no_segmenter(lang: str) -> None:
    def never(texts: pl.Series) -> pl.Series:
        raise AssertionError

    assert stop_words(lang, never) == stop_words(lang)


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        (("en", "words"), "--tokenizer 'words' given, expected one of: letters, spacy, spaces, jieba, sudachi, kiwi"),
        (("en", "jieba"), "--tokenizer jieba given with --lang en: it supports zh only"),
        (("sv", "spacy"), "--tokenizer spacy given with --lang sv, expected one of: de, en"),
        (("none", "spacy"), "--tokenizer spacy given with --lang none"),
        (("ja", "letters"), "runs of letters are not words in Japanese; give sudachi, or spaces"),
        (("zh", None, True), "--lemmatize given with --lang zh: Chinese words have one form"),
        (("ko", "spaces", True), "--lemmatize given with --lang ko and the tokenizer spaces"),
        (("none", None, True), "--lemmatize given with --lang none"),
        (("sv", None, True), "give one of: de, en, es, fr, it, nl, pt, ru"),
        (("th",), "Thai needs a word segmenter"),
        (("auto",), "'auto' given"),
    ],
)
def test_invalid_choices_are_refused(choice, said: str) -> None:
    with pytest.raises(InputError) as caught:
        choose_tokenizer(*choice)
    assert said in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("kind", ["spacy", "jieba"])
def test_digits_are_refused_if_words_consist_of_letters(kind: str) -> None:
    with pytest.raises(InputError, match=f"--keep-numbers given with the tokenizer {kind}"):
        choose_tokenizer("zh" if kind == "jieba" else "de", kind, numbers=True)


def test_without_spacy_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="--tokenizer spacy needs spaCy: pip install spacy"):
        choose_tokenizer("de", "spacy")


@pytest.fixture
def trained_pipeline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Put a spaCy pipeline with its own lemmatizer on the path, laid out as by spaCy's package command."""
    import spacy

    name, release = "en_core_web_sm", "9.9.9"
    nlp = spacy.blank("en")
    lemmatizer = nlp.add_pipe("lemmatizer", config={"mode": "lookup"})
    nlp.initialize()
    lemmatizer.lookups.get_table("lemma_lookup")["zebras"] = "quagga"
    nlp.meta["name"], nlp.meta["version"] = "core_web_sm", release
    folder = tmp_path / name
    folder.mkdir()
    nlp.to_disk(folder / f"{name}-{release}")
    (folder / "meta.json").write_text((folder / f"{name}-{release}" / "meta.json").read_text())
    (folder / "__init__.py").write_text(
        "from spacy.util import load_model_from_init_py\n\n\n"
        "def load(**overrides):\n    return load_model_from_init_py(__file__, **overrides)\n"
    )
    info = tmp_path / f"{name}-{release}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {release}\n")
    monkeypatch.syspath_prepend(tmp_path)
    return f"spacy-{name}-{release}-{VERSION('spacy')}"


def test_an_installed_pipeline_gives_its_lemmas(trained_pipeline: str) -> None:
    tokenizer = choose_tokenizer("en", "spacy", True)
    assert tokenizer.name == f"{trained_pipeline}+folded-1"
    texts = pl.Series([None, "The zebras saw 3 women.", ""], dtype=pl.String)
    assert tokenizer(texts).to_list() == [None, ["the", "quagga", "see", "woman"], []]
    assert len(tokenizer(pl.Series(["zebras " * 145_000]))[0]) == 145_000  # more than a million characters
    assert choose_tokenizer("en", "spacy").name == f"spacy-en-{VERSION('spacy')}+folded-1"
    assert choose_tokenizer("en", None, True).name.startswith("unicode-letters-2+lemmas-en")


def test_a_folder_with_the_name_of_a_pipeline_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "de_core_news_sm").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    assert choose_tokenizer("de", "spacy", True).name.startswith("spacy-de-")


def test_kinds() -> None:
    assert KINDS == ("letters", "spacy", "spaces", "jieba", "sudachi", "kiwi")

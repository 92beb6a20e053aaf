"""Lemmas: nouns stay nouns, and each word has one lemma, which is a word."""

import gzip

import polars as pl
import pytest

from topicnet.errors import InputError
from topicnet.text.tokens import lemmas
from topicnet.text.tokens.languages import TOKEN_PATTERN
from topicnet.text.tokens.lemmas import LEMMA_LANGUAGES, Lemmas, load_lemmas

PAIRS = {
    "de": "häuser haus, kindern kind, städte stadt, neue neu, neues neu, politischen politisch, gefunden finden,"
    " fragen frage, frage frage, begriffe begriff, gemeinde gemeinde, straßen straße, länder land, regierung regierung",
    "en": "movies movie, women woman, children child, studies study, watched watch, killed kill, opera opera,"
    " operas opera, number number, building building, news news, physics physics, data data",
    "es": "casas casa, casa casa, agua agua, ciudades ciudad, mujeres mujer, canciones canción, gobiernos gobierno,"
    " estado estado, hablaba hablar, comieron comer, voces voz",
    "fr": "chevaux cheval, maisons maison, travaux travail, femmes femme, parlait parler, élections élection",
    "it": "donne donna, uomini uomo, governo governo, governi governo, libri libro, andava andare, canzoni canzone",
    "nl": "huizen huis, kinderen kind, steden stad, regeringen regering, vragen vraag, problemen probleem, liep lopen",
    "pt": "casas casa, casa casa, mulheres mulher, cidades cidade, canções canção, animais animal, governo governo,"
    " falaram falar, trabalhando trabalhar, eleições eleição",
    "ru": "людей человек, города город, школе школа, войны война, детей ребёнок, индии индия, германии германия,"
    " книги книга, лирика лирика",
}


def test_every_language_has_its_examples() -> None:
    assert sorted(PAIRS) == LEMMA_LANGUAGES


@pytest.mark.parametrize("lang", LEMMA_LANGUAGES)
def test_examples(lang: str) -> None:
    pairs = [pair.split() for pair in PAIRS[lang].split(",")]
    words = pl.Series("words", [word for word, _ in pairs])
    found = load_lemmas(lang)(words)
    assert found.name == "words"
    assert found.to_list() == [form for _, form in pairs]


@pytest.mark.parametrize("lang", ["de", "en", "fr"])
def test_a_word_without_a_one_word_lemma_stays(lang: str) -> None:
    unknown = pl.Series(["qqxyz", "covid19", "日本", "new_york", "10th", ""])
    assert load_lemmas(lang)(unknown).to_list() == unknown.to_list()


def test_forms_are_words_in_lower_case() -> None:
    table = lemmas._table("en_lemma_lookup")
    words = pl.Series(sorted({word.lower() for word in table}))
    words = words.filter(words.str.contains(f"^{TOKEN_PATTERN}$"))
    forms = load_lemmas("en")(words)
    assert forms.str.contains(f"^{TOKEN_PATTERN}$").all()
    assert (forms == forms.str.to_lowercase()).all()


def test_no_words_and_a_second_call() -> None:
    forms = Lemmas("en")
    assert forms(pl.Series([], dtype=pl.String)).to_list() == []
    assert forms(pl.Series(["films"])).to_list() == forms(pl.Series(["films"])).to_list() == ["film"]


def test_the_name_has_language_and_version() -> None:
    assert load_lemmas("de").name.startswith("lemmas-de-1.")


@pytest.mark.parametrize("lang", ["sv", "zh", "none"])
def test_a_language_without_a_table_is_refused_and_the_others_are_named(lang: str) -> None:
    with pytest.raises(InputError, match="de, en, es, fr, it, nl, pt, ru") as caught:
        load_lemmas(lang)
    assert str(caught.value).isprintable()


def test_a_missing_or_damaged_package_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    class Found:
        submodule_search_locations = (str(tmp_path),)

    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "fr_lemma_lookup.json.gz").write_bytes(gzip.compress(b"{")[:-4])
    monkeypatch.setattr(lemmas.importlib.util, "find_spec", lambda name: Found)
    with pytest.raises(InputError, match="reinstall spacy-lookups-data"):
        Lemmas("fr")
    monkeypatch.setattr(lemmas.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        InputError, match=r"--lemmatize needs spacy-lookups-data, .*: pip install 'topicnet-neural\[lemmas\]'"
    ):
        Lemmas("fr")

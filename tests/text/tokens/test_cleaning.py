"""Cleaning: only the requested parts are removed, and cleaning is idempotent."""

import json

import polars as pl
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from tests.support.examples import examples
from topicnet.text.tokens.cleaning import TOKEN_PATTERN_WITH_NUMBERS, Cleaning, tokenize_with_numbers
from topicnet.text.tokens.languages import tokenize

PARTS = ["http://", "https://a.b/c?d=1", "www.", "WWW.x.org", "ftp://f", "@", "me@x.org", ".", ",", ")", "'", '"', " "]
MARKUP = ["<", ">", "<b>", "</b>", "<br/>", "<!--", "-->", "<script>", "</script>", "&", ";", "&lt;", "&amp;", "amp;"]
MORE = ["&#38;", "&gt;", "&eacute;", "&#x3c;", "#", "38", "x26;", "<![CDATA[", "]]>", "a", "été", "=", "/", "3", "\n"]
texts = st.lists(st.sampled_from(PARTS + MARKUP + MORE) | st.characters(codec="utf-8"), max_size=14).map("".join)
cleanings = st.builds(Cleaning, st.booleans(), st.booleans(), st.booleans(), st.booleans())


def clean(text: str, **asked: bool) -> str:
    cleaned = Cleaning(**asked)(pl.Series([text], dtype=pl.String))[0]
    assert isinstance(cleaned, str)
    return cleaned


def words(text: str) -> list[str]:
    return tokenize_with_numbers(pl.Series([text], dtype=pl.String))[0].to_list()


@examples(120)
@given(st.lists(texts, max_size=3), cleanings)
@example(["&amp;lt;b&gt;x", "&#38;amp;amp;lt;i>", "a&lt;<b>b&gt;c"], Cleaning(strip_html=True))
@example(["http://a.b'www.c.d", "a@b.c@d.e"], Cleaning(True, True))
def test_cleaning_is_idempotent(given: list[str], cleaning: Cleaning) -> None:
    once = cleaning(pl.Series(given, dtype=pl.String))
    assert len(once) == len(given)
    assert cleaning(once).to_list() == once.to_list()


@examples(50)
@given(texts)
def test_texts_without_anything_to_remove_stay_unchanged(text: str) -> None:
    assert clean(text) == text
    if "://" not in text and "www." not in text.lower():
        assert clean(text, drop_urls=True) == text
    if "@" not in text:
        assert clean(text, drop_emails=True) == text
    if "<" not in text and "&" not in text:
        assert clean(text, strip_html=True) == text


def test_the_input_is_not_changed_and_none_stays_none() -> None:
    given = pl.Series(["<b>x</b> me@x.org", None, "", "&lt;"], dtype=pl.String)
    cleaned = Cleaning(True, True, True)(given)
    assert given.to_list() == ["<b>x</b> me@x.org", None, "", "&lt;"]
    assert cleaned.to_list() == [" x   ", None, "", "<"]


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("see http://a.b/c?d=e&f#g, and (www.x.org).", "see  , and ( )."),
        ('"https://q.r/s" HTTP://A.B/É!', '" "  !'),
        ("<http://x.y>, [ftp://f.g/h] ‘www.a.b’", "< >, [ ] ‘ ’"),
        ("www.a.com... http://a.b/", " ...  "),
        ("http:// www. wwww.x.y shttp www", "http:// www. wwww.x.y shttp www"),
        ("https://me@host.org/x", " "),
    ],
)
def test_urls_are_removed_without_the_punctuation_after_them(text: str, left: str) -> None:
    assert clean(text, drop_urls=True) == left


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("mail me.too+x@mail.example.org.", "mail  ."),
        ("From: John <john_doe@x.co.uk> @home a@b", "From: John < > @home a@b"),
        ("jürgen@müller.de,b@c.d", " , "),
    ],
)
def test_e_mail_addresses_are_removed(text: str, left: str) -> None:
    assert clean(text, drop_emails=True) == left


@pytest.mark.parametrize(
    "text", ["a < b", "x <- 3", "a<3 and 4>b", "<3", "<me@x.org>", "<http://x.y>", "AT&T; &c", "->"]
)
def test_text_that_only_resembles_html_stays(text: str) -> None:
    assert clean(text, strip_html=True) == text


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("a<br>b<BR/>c<br \n/>d", "a b c d"),
        ("<p class=\"a>b\" id='c>d'>it</p>", " it "),
        ("<p don't>it", " it"),
        ("<my-tag x:y='1'/><svg:rect>a", "  a"),
        ("<script type='x'>if (a < b) { c }</script>d<style>p > a {}</STYLE >e", " d e"),
        ("<!-- a > b <b> -->c<!DOCTYPE html><?xml version='1'?>d", " c  d"),
        ("<![CDATA[kept]]> x[y[0]]>1", " kept  x[y[0]]>1"),
        ("caf&eacute; &#233;&#xE9; R&amp;D", "café éé R&D"),
        ("co&shy;operate a&nbsp;b", "cooperate a\xa0b"),
        ("&lt;p&gt;escaped&lt;/p&gt; &amp;amp;lt;i&amp;gt;x", " escaped   x"),
        ("a &lt b, c&copy=1", "a &lt b, c&copy=1"),
    ],
)
def test_html_is_removed_and_its_text_stays(text: str, left: str) -> None:
    assert clean(text, strip_html=True) == left


def test_urls_within_and_between_tags_are_removed() -> None:
    text = 'see <a href="http://x.y/z">here</a> or&nbsp;www.a.b<br>me@x.org'
    assert clean(text, drop_urls=True, drop_emails=True, strip_html=True).split() == ["see", "here", "or"]


def test_a_cleaning_is_described_in_json() -> None:
    described = Cleaning(strip_html=True).describe()
    assert described == {"drop_urls": False, "drop_emails": False, "strip_html": True, "keep_numbers": False}
    assert Cleaning(**json.loads(json.dumps(described))) == Cleaning(strip_html=True)


# ---------------------------------------------------------------- numbers


@examples(50)
@given(st.text(st.characters(codec="utf-8", exclude_categories=["Nd"]), max_size=30))
@example("A\U0001e5f1")
def test_a_text_without_digits_gives_the_same_words(text: str) -> None:
    # Polars uses a newer version of Unicode than Python, with more digits.
    assume(not pl.Series([text], dtype=pl.String).str.contains(r"\p{Nd}").any())
    assert words(text) == tokenize(pl.Series([text], dtype=pl.String))[0].to_list()


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("In 1990 and the 1990s, 7 of 19", ["in", "1990", "and", "the", "1990s", "of", "19"]),
        ("1,000 3.5 1,234,567.89 12.05.2020", ["1000", "3.5", "1234567.89", "12.05.2020"]),
        ("Covid19 F16 B2B mp3 4th", ["covid19", "f16", "b2b", "mp3", "4th"]),
        ("3.5kg 1,000km covid-19", ["3.5kg", "1000km", "covid", "19"]),
        ("1990,1991 12,3456 3,5", ["1990", "1991", "12", "3456"]),
        ("in 1999. 20.", ["in", "1999", "20"]),
        ("É2 e\u03012 ٢٠٢٠", ["é2", "é2", "٢٠٢٠"]),
        ("a 1 b 2", []),
    ],
)
def test_words_may_contain_digits(text: str, cut: list[str]) -> None:
    assert words(text) == cut


def test_polars_accepts_the_pattern() -> None:
    found = pl.Series(["f16 and 1,000"]).str.extract_all(TOKEN_PATTERN_WITH_NUMBERS)[0].to_list()
    assert found == ["f16", "and", "1,000"]


def test_missing_and_empty_texts_have_no_words() -> None:
    assert tokenize_with_numbers(pl.Series(["", None, "1,000 aa"], dtype=pl.String)).to_list() == [
        [],
        None,
        ["1000", "aa"],
    ]

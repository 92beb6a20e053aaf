"""Detection of the language of a corpus from its script and from the most common words of each language."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from topicnet.errors import InputError
from topicnet.text.tokens.languages import tokenize

LOOKED_AT = 1_000  # most documents to sample
CHARACTERS = 2_000  # of each sampled document
# Fewest common words of a language in a document, and their lowest fraction of its words, to recognise the language.
MIN_HITS, MIN_HIT_RATE = 2, 0.1
MIN_AGREEMENT = 0.8  # lowest fraction of the recognised documents that have to be in one language
MIN_RECOGNISED = 0.05  # lowest fraction of the sampled documents whose language has to be recognised
MAX_UNSPACED = 0.3  # a few names in a script without spaces stay below this fraction of the letters

_SCRIPTS = {
    "Latin": r"\p{Latin}",
    "Han": r"\p{Han}",
    "Kana": r"[\p{Hiragana}\p{Katakana}]",
    "Hangul": r"\p{Hangul}",
    "Cyrillic": r"\p{Cyrillic}",
    "Arabic": r"\p{Arabic}",
    "Greek": r"\p{Greek}",
    "Hebrew": r"\p{Hebrew}",
    "Devanagari": r"\p{Devanagari}",
    "Gujarati": r"\p{Gujarati}",
    "Thai": r"\p{Thai}",
}
# Scripts that identify a language.
_ALONE = {"Greek": "el", "Hebrew": "he", "Devanagari": "hi", "Gujarati": "gu", "Thai": "th", "Hangul": "ko"}
_ALONE |= {"Kana": "ja", "Han": "zh"}
# One ideograph carries about as much information as two letters of an alphabet.
_WEIGHT = {"Han": 2, "Kana": 2, "Hangul": 2}
# Forty to fifty of the most common words of each language. Unlike the stop words, the lists have similar lengths, so
# that none wins by its size. For close relatives (da nb sv, cs sk, es pt ca, id ms, ru uk bg) they include the words
# that tell them apart.
_COMMON = {
    "ca": "el la els les de del dels que i en un una amb per és no al als va han hi ha més com però també aquest"
    " aquesta són seva seu molt pel pels entre quan ser fa ja sobre fins",
    "cs": "a se v na je že s z do o i to jako za by ale po jsou které který jeho při pro nebo podle také byl byla"
    " jen už ještě své mezi může jsem až ze k od před není bylo jsme byly když tak což této",
    "da": "og i at det er en til på som for af med den de har ikke der et blev fra var han efter eller kan også"
    " ved om sig men meget hvad været mellem kun mod jeg noget nogle uden være hun havde skal vi dem",
    "de": "der die das und in zu den ist nicht mit von auf für im ein eine dem des sich als auch es an werden aus"
    " er hat dass wird bei sind einer nach wie um noch war über so ich sie wir aber vor zum zur einem",
    "en": "the of and to in a is that it was for on with as he be at by this are not from or have had but they his"
    " which you were an we their been has will would there all if when she her my your",
    "es": "de la que el en y a los se del las por un para con no una su al es lo como más pero sus le ha o este sí"
    " porque esta entre cuando muy sin sobre también me hasta hay donde está son fue era han ser",
    "fi": "ja on ei että se hän oli kun ovat mutta myös joka tai olla niin sen kuin jos ole vain mukaan jonka ne"
    " joita nyt hänen vielä sekä mitä minä sitä tämä tämän kanssa jo voi ollut jotka enää siitä sitten",
    "fr": "de la le et les des en un du une que est pour qui dans a par plus pas au sur ne se ce il sont avec son"
    " elle ou mais comme on ses nous vous je tout aux cette ont été fait être leur même",
    "hu": "a az és hogy nem is egy van ez volt csak meg de ha már még el ki mint azt ezt vagy lesz kell sem pedig"
    " minden majd lehet után között úgy így mert szerint aki ami voltak nagyon",
    "id": "yang dan di dari untuk dengan pada ini itu adalah dalam tidak akan juga oleh sebagai ke bisa ada karena"
    " tersebut mereka kami kita saya anda sudah telah bahwa lebih atau dia namun saat setelah hanya seperti"
    " menjadi sangat uang mobil kantor masih",
    "it": "di e che la il un a per in è una sono non si con del della da le dei i nel al alla come anche più ha lo"
    " gli ma ho delle o questo suo se mi ci nella tutto stato dal essere molto hanno perché",
    "ms": "yang dan di ini itu dengan untuk pada dalam dari daripada kepada tidak ialah adalah oleh akan telah"
    " bahawa kerana boleh juga beliau mereka kami kita saya awak anda ada lebih atau tetapi hanya seperti sebagai"
    " menjadi sangat wang kereta pejabat masih kata",
    "nb": "og i at det er en til på som for av med den de har ikke der et ble fra var han etter eller kan også ved"
    " om seg men mye hva vært mellom bare mot jeg noe noen uten være hun hadde skal vi dem",
    "nl": "de het een en van in is dat op te zijn met voor niet die aan er om ook als dan maar bij uit nog naar"
    " heeft ze hij wordt door tot over werd worden hebben was ik je deze wel geen kan zou zich we",
    "pl": "w i na z że się nie do to jest o jak za od po ale przez co są tak już dla czy tym jego ma być oraz tego"
    " przy był była które który tylko może także ich jej ze aby pod nad było",
    "pt": "de a o que e do da em um para com não uma os no se na por mais as dos como mas ao das à seu sua ou"
    " quando muito já também só pelo pela até isso ela entre era são está foi você ele ser tem",
    "ro": "și în de la a cu pe nu un o că din care este mai al au ce se pentru sunt sau dar fi prin ca după fost"
    " lui ale ai această acest îi le am era când unei unui cel cea către",
    "sk": "a sa v na je že s z do o aj to ako za by ale po sú ktoré ktorý jeho pri pre alebo podľa tiež bol bola"
    " len už ešte svoje medzi môže som až zo k od pred nie bolo sme boli keď tak čo tejto",
    "sv": "och i att det är en till på som för av med den de har inte ett från var han efter eller kan också vid"
    " om sig men mycket vad varit mellan bara mot jag något några utan vara hon hade ska vi dem blev",
    "tr": "ve bir bu da de için ile çok olarak daha gibi olan kadar sonra en ne ama var olduğu değil ya her o ben"
    " mi ise veya hem bunu ancak oldu önce diye şey biz yok kendi tarafından göre",
    "vi": "là và của có không được một những cho trong với các người này đã khi đến đó như từ ra về nhiều cũng vào"
    " thì sẽ tôi ở để lại mà còn phải nhưng năm anh bị trên rất",
    "bg": "и на да се в за от не е са по с че това като до си ще който която които към но при или ги бе беше след"
    " му още има ли й съм няма само може без между ако те тя",
    "ru": "и в не на я что он с как это по но из у за к от же то его так было бы ещё еще они мы для до или она при"
    " был была были также только чтобы когда если уже этого который которые все во со",
    "uk": "і в не на що з та до у як це за по від є для його але про із й бути був була були вони ми також який"
    " яка які або ще лише щоб коли якщо вже цього все під через між своїх може",
    "ar": "في من على إلى أن عن التي الذي هذا هذه مع كان لا ما كانت هو هي وقد كما بعد بين كل ذلك لم قبل أو حتى قد"
    " عند أنه منذ غير خلال وفي ومن لها به عليه فيه",
    "fa": "در به از که این را با است برای آن یک خود تا کرد بر هم نیز گفت می شود شده ها او ما اما یا باید وی شد"
    " دارد کرده بود نیست هر چه همه کند پس اگر",
}
_OF_SCRIPT = {"Cyrillic": ("bg", "ru", "uk"), "Arabic": ("ar", "fa")}
_OF_SCRIPT["Latin"] = tuple(sorted(set(_COMMON) - {code for codes in _OF_SCRIPT.values() for code in codes}))
UNKNOWN = ""


_LANGUAGES_OF: dict[str, list[str]] = defaultdict(list)  # the languages of each common word
for _lang, _listed in _COMMON.items():
    for _word in set(_listed.split()):
        _LANGUAGES_OF[_word].append(_lang)


@dataclass(frozen=True)
class Detection:
    """Detected language of a corpus, with the evidence.

    Attributes
    ----------
    lang : str
        Two-letter code.
    share : float
        Fraction of the documents with a recognised language that are in this one, 0 to 1.
    n_docs : int
        Number of sampled documents.
    script : str
        The script of the documents in this language: "Latin", "Han", "Kana", "Cyrillic", ...
    agreeing : int
        Number of documents in this language.
    """

    lang: str
    share: float
    n_docs: int
    script: str
    agreeing: int

    def line(self) -> str:
        """Describe the result in one line: "language: de (97 % of 1,000 sampled documents agree)"."""
        percent = int(100 * self.share)
        n_recognised = round(self.agreeing / self.share)
        documents = f"{self.n_docs:,} sampled documents agree"
        if n_recognised != self.n_docs:
            documents = f"{n_recognised:,} recognised documents agree, of {self.n_docs:,} sampled"
        return f"language: {self.lang} ({percent} % of {documents})"


def needs_segmenter(texts: Sequence[str]) -> bool:
    """Return whether much of the first texts is in scripts without spaces between words (Han, kana, Thai)."""
    sample = pl.Series([text[:CHARACTERS] for text in texts[:LOOKED_AT]], dtype=pl.String)
    letters = int(sample.str.count_matches(r"\p{L}").sum() or 0)
    unspaced = int(sample.str.count_matches(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}]").sum() or 0)
    return unspaced > MAX_UNSPACED * letters


def detect_language(texts: Sequence[str | None]) -> Detection:
    """Detect the language of most documents.

    A sample of at most 1,000 documents, evenly spaced, is examined, and the first 2,000 characters of each. The
    language of a document is recognised by its script, or by its common words: at least two of them, at least a tenth
    of its words, and more of one language than of any other.

    Parameters
    ----------
    texts : sequence of str or None

    Returns
    -------
    Detection

    Raises
    ------
    InputError
        The language of too few documents is recognised, or the documents are in several languages.
    """
    sample = _sample(texts)
    found = _languages(sample)
    votes = Counter(lang for lang, _ in found if lang)
    if not votes or votes.total() < MIN_RECOGNISED * len(found):
        raise InputError(
            f"no language found: {votes.total():,} of {len(sample):,} sampled documents have enough common words of"
            " one language; give --lang with its two-letter code, or --lang none"
        )
    # Japanese titles may consist of kanji only and then look Chinese, so they do not count if other texts have kana.
    if votes["ja"] > votes["zh"]:
        del votes["zh"]
    ranked = sorted(votes.items(), key=lambda vote: (-vote[1], vote[0]))
    lang, agreeing = ranked[0]
    share = agreeing / votes.total()
    if share < MIN_AGREEMENT:
        parts = ", ".join(f"{code} {100 * n / votes.total():.0f} %" for code, n in ranked[:4])
        raise InputError(
            f"several languages found ({parts} of {votes.total():,} documents whose language was recognised); fit"
            " each separately, or give --lang with the two-letter code of one"
        )
    script = Counter(script for code, script in found if code == lang).most_common(1)[0][0]
    return Detection(lang, share, len(sample), script, agreeing)


def _sample(texts: Sequence[str | None]) -> pl.Series:
    """Return the beginnings of an evenly spaced sample of the documents that are not blank."""
    filled = [row for row, text in enumerate(texts) if text and not text.isspace()]
    rows = np.linspace(0, len(filled) - 1, min(LOOKED_AT, len(filled))).round().astype(int)
    return pl.Series([(texts[filled[row]] or "")[:CHARACTERS] for row in rows], dtype=pl.String)


def _languages(texts: pl.Series) -> list[tuple[str, str]]:
    """Return the language of each document, or "", and its script."""
    counts = texts.to_frame("text").select(
        (pl.col("text").str.count_matches(pattern) * _WEIGHT.get(script, 1)).alias(script)
        for script, pattern in _SCRIPTS.items()
    )
    words = tokenize(texts).to_list()
    return [_language(row, found) for row, found in zip(counts.iter_rows(named=True), words, strict=True)]


def _language(letters: dict[str, int], words: list[str]) -> tuple[str, str]:
    """Recognise the language of one document from its letters and words, and return it with the script."""
    han, kana = letters["Han"], letters["Kana"]
    by_script = letters | {"Han": 0, "Kana": 0} | ({"Kana": han + kana} if 10 * kana >= han else {"Han": han + kana})
    script = max(by_script, key=lambda name: by_script[name])
    if not by_script[script]:
        return UNKNOWN, ""
    if script in _ALONE:
        return _ALONE[script], script
    return _by_common_words(words, _OF_SCRIPT[script]), script


def _by_common_words(words: list[str], languages: tuple[str, ...]) -> str:
    """Return the language with the most common words in a text, or "" if there are too few or it is a tie."""
    hits: Counter[str] = Counter()
    weights: dict[str, float] = {}
    for word in words:
        sharing = [lang for lang in _LANGUAGES_OF.get(word, ()) if lang in languages]
        for lang in sharing:
            hits[lang] += 1
            # A word that many languages share is weak evidence for each.
            weights[lang] = weights.get(lang, 0.0) + 1 / len(sharing)
    if not weights:
        return UNKNOWN
    best = max(weights.values())
    leading = [lang for lang, weight in weights.items() if weight > best - 1e-9]
    enough = hits[leading[0]] >= max(MIN_HITS, MIN_HIT_RATE * len(words))
    return leading[0] if len(leading) == 1 and enough else UNKNOWN

"""From a language to its tokens and stop words."""

from __future__ import annotations

import polars as pl
from stop_words import LANGUAGE_MAPPING, get_stop_words

from topicnet.errors import InputError

# Stored with every model: a later version that tokenises otherwise takes another name.
TOKENIZER = "unicode-letters-1"
TOKEN_PATTERN = r"(?:\p{L}\p{M}*){2,}"
# Written without spaces between words: letters in a row are sentences, not words.
NEED_SEGMENTER = {"zh": "Chinese", "ja": "Japanese", "ko": "Korean", "th": "Thai"}
# Lists of the stop-words package that are broken (lost accents or hamza, another alphabet's bytes, ancient forms).
NO_STOP_WORDS = {"ar": "Arabic", "el": "Greek", "gu": "Gujarati", "hu": "Hungarian", "ro": "Romanian", "tr": "Turkish"}

# English words that carry grammar rather than subject, by class. Public lists for English drop subjects too
# ("computer", "fire", "bill", "system"), so topicnet keeps its own.
_ENGLISH = """
a an the this that these those
i me my mine myself we us our ours ourselves you your yours yourself yourselves he him his himself she her hers
herself it its itself they them their theirs themselves one ones oneself
who whom whose which what whoever whatever whichever someone somebody something anyone anybody anything everyone
everybody everything nobody nothing none each every either neither both all any some such other others another
much many more most few fewer less least several own same enough
about above across after against along among amongst around as at before behind below beneath beside besides
between beyond by despite down during except for from in inside into like near of off on onto out outside over
per since through throughout till to toward towards under underneath until unto up upon via with within without
and but or nor so yet if then else than though although because while whereas whether unless however therefore
thus hence moreover furthermore otherwise nevertheless
am is are was were be been being do does did doing done have has had having can could may might must shall should
will would ought cannot
not no yes never ever always often sometimes usually again also already anyway almost even else here there where
when why how now just only quite rather really still too very well perhaps maybe indeed instead soon later once
twice away back ago actually basically certainly probably simply somewhat somewhere anywhere everywhere nowhere
together apart especially particularly mostly mainly merely nearly hardly yet wherever whenever
get gets got getting gotten go goes going gone went come comes came coming make makes made making take takes took
taken taking give gives gave given giving put puts say says said saying tell tells told see sees saw seen seeing
know knows knew known think thinks thought seem seems seemed want wants wanted let lets use uses used using try
tries tried trying keep keeps kept
mr mrs ms thing things lot lots way ways bit kind sort etc eg ie
first last next
re ve ll don didn doesn isn wasn weren aren couldn wouldn shouldn hasn haven hadn ain mustn needn shan mightn im ive
dont didnt doesnt isnt wasnt cant couldnt wouldnt thats theres youre
"""


def tokenize(texts: pl.Series) -> pl.Series:
    """Split texts into lower-cased words: two or more Unicode letters in a row, each with its marks.

    Words are brought to Unicode's composed form (NFC), so that one word has one spelling; after lower-casing, which
    can leave a letter and its mark apart.

    Parameters
    ----------
    texts : polars Series of str

    Returns
    -------
    polars Series of list of str
    """
    return texts.str.to_lowercase().str.normalize("NFC").str.extract_all(TOKEN_PATTERN)


def check_language(lang: str) -> str:
    """Return the two-letter code of a language topicnet can split into words.

    Raises
    ------
    InputError
        The language needs a segmenter, or is not known.
    """
    code = lang.lower()
    if code in NEED_SEGMENTER:
        raise InputError(
            f"--lang {code} given: {NEED_SEGMENTER[code]} needs a word segmenter, which this version does not have;"
            " segment the text first (words parted by spaces) and give --lang none"
        )
    if code in NO_STOP_WORDS:
        raise InputError(
            f"--lang {code} given: this version has no sound stop words for {NO_STOP_WORDS[code]};"
            " give --lang none and your own with --stop-words"
        )
    if code not in ("none", *LANGUAGE_MAPPING):
        known = ", ".join(sorted(set(LANGUAGE_MAPPING) - set(NEED_SEGMENTER) - set(NO_STOP_WORDS)))
        raise InputError(f"--lang {lang!r} given, expected none or one of: {known}")
    return code


def stop_words(lang: str) -> list[str]:
    """Stop words of a language, sorted, as the tokenizer would cut them; none for "none"."""
    code = check_language(lang)
    if code == "none":
        return []
    words = _ENGLISH.split() if code == "en" else get_stop_words(code)
    cut = set(tokenize(pl.Series(words, dtype=pl.String)).explode().drop_nulls())
    return sorted(cut)

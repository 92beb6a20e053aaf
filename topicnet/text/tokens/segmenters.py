"""Segmenters of Chinese, Japanese and Korean text, which keep the words that can carry a topic."""

from __future__ import annotations

import functools
import importlib
import re
import unicodedata
import warnings
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from typing import Any

import polars as pl

from topicnet.errors import InputError
from topicnet.runtime.extras import check_installed

# kind: (language, the modules it needs)
SEGMENTERS = {
    "jieba": ("zh", ("jieba",)),
    "sudachi": ("ja", ("sudachipy", "sudachidict_core")),
    "kiwi": ("ko", ("kiwipiepy",)),
}


@functools.cache
def load_segmenter(kind: str, normalize: bool = False) -> Jieba | Sudachi | Kiwi:
    """Load a segmenter, or return it from the cache, since its dictionary takes a second or two to load.

    The `name` of a segmenter includes its version and that of its dictionary, since other versions may find other
    words. If a later version of topicnet keeps other tokens or uses another mode, it has to add to the name.

    Parameters
    ----------
    kind : {"jieba", "sudachi", "kiwi"}
        The segmenter.
    normalize : bool
        Map spelling variants of a Japanese word to one spelling.

    Returns
    -------
    Jieba, Sudachi or Kiwi

    Raises
    ------
    InputError
        The segmenter is not installed.
    """
    lang, modules = SEGMENTERS[kind]
    check_installed(f"--lang {lang}", modules)
    if kind == "sudachi":
        return Sudachi(normalize)
    return Jieba() if kind == "jieba" else Kiwi()


# Ordinals, numbers, dates and amounts: "第三", "两年", "十多家", "百分之五", "三十万美元".
_CHINESE_NUMBER = (
    r"^(?:百分之|第|前|后|近|逾|约|超|上|数|每|首|半|余)*[零〇一二两三四五六七八九十百千万亿几多半数余]+"
    r"[多余来几个大]?(?:个|名|家|件|条|只|张|次|届|轮|期|位|人|年|月|日|天|周|季|季度|岁|元|美元|港元|欧元|日元|倍|成|股|吨"
    r"|点|分|种|批|套|块|场|项|起|级|口|号|层|座|部|米|公里|平米|公斤|小时|分钟|年级|代|份|亩|辆|台|款|支|双|对|片|段|句"
    r"|步|声|遍|回|趟|顿)*$"
)


class Jieba:
    """Chinese segmenter (jieba): a dictionary, and a hidden Markov model for names and new words."""

    def __init__(self) -> None:
        jieba = quiet_import("jieba")
        self.name = f"jieba-{version('jieba')}"
        self._tokenizer = jieba.Tokenizer()
        # jieba's own initialisation reads a cache from the temporary folder, which anybody can tamper with, or writes
        # one there, and logs to stderr. Reading the dictionary itself takes 0.6 s.
        tables = self._tokenizer.gen_pfdict(self._tokenizer.get_dict_file())
        self._tokenizer.FREQ, self._tokenizer.total = tables
        self._tokenizer.initialized = True

    def tokens(self, text: str) -> list[str]:
        """Return all tokens of a text, in order."""
        return [str(token) for token in self._tokenizer.cut(text, HMM=True)]

    def words(self, texts: Sequence[str]) -> Iterator[list[str]]:
        """Yield words of two or more Han characters, except numbers, and Latin words of two or more letters."""
        tokens = [self.tokens(unicodedata.normalize("NFKC", text)) for text in texts]
        known = pl.Series(list({token for line in tokens for token in line}), dtype=pl.String)
        words = known.filter(
            (known.str.contains(r"^\p{Han}{2,}$") & ~known.str.contains(_CHINESE_NUMBER))
            | known.str.contains(r"^\p{Latin}{2,}$")
        )
        kept = set(words)
        return ([token for token in line if token in kept] for line in tokens)


# Sudachi rejects inputs of more than 49,149 bytes; a character has at most four bytes.
SUDACHI_CHARACTERS = 8_000
_JAPANESE_NOUNS = {"一般", "サ変可能", "形状詞可能", "サ変形状詞可能", "副詞可能"}
# Formal nouns (もの) and readings of a character (きょう) have one or two hiragana syllables; content words such as
# りんご have three or more.
_SHORT_HIRAGANA = re.compile(r"(?:[ぁ-ゖ][ゃゅょっー]?){1,2}")
_KANJI = re.compile(r"[々㐀-鿿豈-﫿𠀀-𪛟]")
_JAPANESE_WORD = re.compile(r"[^\W\d_]{2,}")
_SENTENCE_END = re.compile(r"(?<=[。！？!?\n])")


class Sudachi:
    """Japanese segmenter (SudachiPy, by default in its middle mode).

    The short mode agrees best with gold tokens of short units, but splits off informative parts: it reduces 合衆国 to
    合衆 and 社会学 to 社会. The long mode turns a full name into one rare word.

    Parameters
    ----------
    normalize : bool
        Map spelling variants of a word to one spelling.
    mode : {"A", "B", "C"}
        Short, middle or long units.
    """

    MODE = "B"

    def __init__(self, normalize: bool = False, mode: str = MODE) -> None:
        sudachipy = importlib.import_module("sudachipy")
        self.name = f"sudachi-{version('SudachiPy')}-core-{version('sudachidict_core')}"
        self.name += "+normalized-forms" if normalize else ""
        self._tokenizer = sudachipy.Dictionary(dict="core").tokenizer(mode=mode)
        self._normalize = normalize
        self._kinds: dict[int, str] = {}

    def tokens(self, text: str) -> list[str]:
        """Return all tokens of a text, in order."""
        return [token.surface() for part in sentences(text) for token in self._tokenizer.tokenize(part)]

    def words(self, texts: Sequence[str]) -> Iterator[list[str]]:
        """Yield nouns (no numerals, counters, pronouns or suffixes), and verbs and adjectives in dictionary form."""
        for text in texts:
            parts = sentences(unicodedata.normalize("NFKC", text))
            tokens = (token for part in parts for token in self._tokenizer.tokenize(part))
            yield [word for word in map(self._word, tokens) if word]

    def _word(self, token: Any) -> str:
        """Return the word that a token counts as, or "" if it cannot carry a topic."""
        number = token.part_of_speech_id()
        if number not in self._kinds:
            self._kinds[number] = _japanese_kind(token.part_of_speech())
        kind = self._kinds[number]
        if not kind:
            return ""
        word: str = token.normalized_form() if self._normalize else token.dictionary_form()
        if _SHORT_HIRAGANA.fullmatch(word):
            return ""
        single = kind == "noun" and _KANJI.fullmatch(word)
        return word if single or _JAPANESE_WORD.fullmatch(word) else ""


def sentences(text: str, longest: int = SUDACHI_CHARACTERS) -> Iterator[str]:
    """Split a text into parts of at most `longest` characters, at sentence ends where possible."""
    parts = [""]
    for sentence in _SENTENCE_END.split(text):
        if len(parts[-1]) + len(sentence) <= longest:
            parts[-1] += sentence
        else:
            parts.append(sentence)
    return (part[begin : begin + longest] for part in parts for begin in range(0, len(part), longest))


def _japanese_kind(part_of_speech: tuple[str, ...]) -> str:
    match part_of_speech[:3]:
        case ("名詞", "固有名詞", _):
            return "noun"
        case ("名詞", "普通名詞", sort) if sort in _JAPANESE_NOUNS:
            return "noun"
        case ("動詞" | "形容詞" | "形状詞", "一般", _):
            return "other"
        case _:
            return ""


# Korean nouns of one syllable, without counters, suffixes and their common homonyms.
_KOREAN_SINGLE = set("돈꿈책집법술약땅산길몸피왕총칼빵밥쌀옷글춤봄섬숲꽃별삶팬극곡뇌암폰앱닭소설빛불물강눈손발")
_HANGUL = re.compile(r"[가-힣]{2,}")
_LATIN = re.compile(r"[^\W\d_]{2,}")
_KIWI_BATCH = 1_000


class Kiwi:
    """Korean segmenter (kiwipiepy), with one thread per processor."""

    def __init__(self) -> None:
        kiwipiepy = importlib.import_module("kiwipiepy")
        self.name = f"kiwi-{version('kiwipiepy')}-model-{version('kiwipiepy_model')}"
        self._kiwi = kiwipiepy.Kiwi()

    def tokens(self, text: str) -> list[str]:
        """Return all morphemes of a text in order, with contracted ones in their full spelling."""
        return [token.form for token in self._kiwi.tokenize(text)]

    def words(self, texts: Sequence[str]) -> Iterator[list[str]]:
        """Yield nouns, verbs and adjectives (with 다), and words in Latin letters or Chinese characters."""
        # kiwi processes a list in parallel; batches bound the memory for its tokens.
        for begin in range(0, len(texts), _KIWI_BATCH):
            for tokens in self._kiwi.tokenize(texts[begin : begin + _KIWI_BATCH]):
                yield [word for word in map(_korean_word, tokens) if word]


def _korean_word(token: Any) -> str:
    """Return the word that a morpheme counts as, or "" if it cannot carry a topic."""
    form: str = token.form.replace(" ", "")
    match token.tag.partition("-")[0]:
        case "NNG" | "NNP":
            return form if _HANGUL.fullmatch(form) or form in _KOREAN_SINGLE else ""
        case "VV" | "VA":
            return form + "다" if _HANGUL.fullmatch(form + "다") else ""
        case "XR":  # the root of an adjective in 하다
            return form + "하다" if _HANGUL.fullmatch(form) else ""
        case "SL" | "SH":
            return form if _LATIN.fullmatch(form) else ""
        case _:
            return ""


def quiet_import(module: str) -> Any:
    """Import a package without its warnings, such as those about invalid escapes or pkg_resources."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return importlib.import_module(module)
        except ImportError as error:
            reason = " ".join(str(error).split())
            raise InputError(f"{module} is installed but cannot be used ({reason}): reinstall it") from error

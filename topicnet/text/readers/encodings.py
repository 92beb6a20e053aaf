"""Detection of the text encoding of bytes, from byte order marks or by scoring the decoded text."""

from __future__ import annotations

import codecs
import re
import unicodedata
from dataclasses import dataclass

_MARKS = (  # UTF-32 first: one of its marks begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"), (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip
SAMPLE_BYTES = 1 << 16
C1_CONTROLS = re.compile("[\x80-\x9f]")
_ANY = (
    "Name its encoding with --encoding, such as cp1252 (Western European), cp1251 (Cyrillic), shift_jis (Japanese) or"
    " gb18030 (Chinese)"
)
# Frequent characters. They make up a third or more of running text, but only a few per cent of a wrong decoding.
_HANS = "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里用道行所然家种事成方多经么去学如都同现当没动面起看定天分还进好小部其些主样理心本前开但因只从想实。"  # noqa: E501
_HANT = "的一是不了在人有我他這個們中來上大為和國地到以說時要就出會可也你對生能而子那得於著下自之年過發後作裡用道行所然家種事成方多經麼去學如都同現當沒動面起看定天分還進好小部其些主樣理心本前開但因只從想實。"  # noqa: E501
_HANGUL = "이다는을에의가고하지로기은도를나사한대어리자인스일해시아수서만정보과부그라제여상것들게"
_KANA = "".join(map(chr, range(0x3041, 0x30FF))) + "、。"
_WIDE = (  # encoding, language, frequent characters, their minimum fraction
    ("shift_jis", "Japanese", _KANA, 0.25), ("euc_jp", "Japanese", _KANA, 0.25), ("cp949", "Korean", _HANGUL, 0.2),
    ("gb18030", "Chinese", _HANS, 0.18), ("big5", "Chinese, traditional", _HANT, 0.18),
)  # fmt: skip
_CYRILLIC = "оеаинтсрвл"
_SCRIPTS = (  # encoding, script, frequent letters
    ("cp1251", "Cyrillic", _CYRILLIC), ("koi8-r", "Cyrillic", _CYRILLIC), ("cp866", "Cyrillic", _CYRILLIC),
    ("iso-8859-5", "Cyrillic", _CYRILLIC), ("mac_cyrillic", "Cyrillic", _CYRILLIC),
    ("cp1253", "Greek", "αοιετσνηυρπκμλςά"), ("cp1255", "Hebrew", "יוהלארתבשמנ"),
    ("cp1256", "Arabic", "اليمنرتوبةع"), ("cp874", "Thai", "านรอกเงมยลวดทสต่้ัี"),
)  # fmt: skip
_MIN_SCRIPT, _MIN_LATIN = 0.45, 0.9
_MIN_LETTERS = 4  # needed to detect a script
_WESTERN = ("àâçéèêëîïôùûüœæÿ", "äöüß", "áéíóúñü¿¡ºª", "ãáàâçéêíóôõúü", "àèéìòù", "åäöæøé", "áðéíóúýþæö")
_CENTRAL = ("áčďéěíňóřšťúůýž", "ąćęłńóśźż", "áéíóöőúüű", "čšžćđ", "áäčďéíĺľňóôŕšťúýž", "ăâîșțşţ")
_LATIN = (  # encoding, region, non-ASCII letters of its languages
    ("cp1252", "Western European", _WESTERN), ("cp1254", "Turkish", ("çğıöşüâîİ",)),
    ("cp1250", "Central European", _CENTRAL), ("cp1257", "Baltic", ("āčēģīķļņšūž", "ąčęėįšųūž", "äöõüšž")),
    ("mac_roman", "Western European", _WESTERN), ("cp850", "Western European", _WESTERN),
    ("iso-8859-15", "Western European", _WESTERN), ("iso-8859-2", "Central European", _CENTRAL),
)  # fmt: skip
_SHIFTED = (  # escape sequence, encoding, language
    (b"\x1b$)C", "iso2022_kr", "Korean"), (b"\x1b$", "iso2022_jp_2", "Japanese"), (b"~{", "hz", "Chinese"),
)  # fmt: skip
_UTF16 = ("utf-16-le", "utf-16-be")
_STOPS = " \n\r\t.,。，"
_TYPOGRAPHY = "‘’“”„–—…«»°€§™\xa0"
_WINDOWS = "cp125"  # prefix of the Windows encodings, which share their punctuation
_PLACED = re.compile(  # punctuation in plausible positions: apostrophes, quotes, dashes, no-break spaces
    r"(?<=\w)’(?=(?:s|t|d|m|re|ve|ll)\b)|(?<!\w)[“‘„](?=\w)|(?<=[\w.,!?])[”’](?!\w)|(?<=\w)[…™](?!\w)"
    r"|(?<!\w)[–—…]|[–—](?!\w)|\xa0",
    re.IGNORECASE,
)
_WORDS = re.compile(rb"[A-Za-z\x80-\xff]*[\x80-\xff][A-Za-z\x80-\xff]*")


@dataclass(frozen=True)
class Guess:
    """A guessed encoding.

    Attributes
    ----------
    encoding : str
        Python's name of the encoding.
    what : str
        Language, script or region it is used for, or another reason for the guess.

    Examples
    --------
    >>> Guess("cp1251", "Cyrillic").remedy
    'Its bytes look like cp1251 (Cyrillic): give --encoding cp1251'
    """

    encoding: str
    what: str

    @property
    def remedy(self) -> str:
        """Advice to give the encoding with --encoding, for messages."""
        return f"Its bytes look like {self.encoding} ({self.what}): give --encoding {self.encoding}"


def marked_encoding(head: bytes) -> str | None:
    """Return the encoding of the byte order mark, or None if there is none.

    Examples
    --------
    >>> marked_encoding("text".encode("utf-8-sig")), marked_encoding(b"text")
    ('utf-8', None)
    """
    return next((encoding for mark, encoding in _MARKS if head.startswith(mark)), None)


def is_utf8(encoding: str) -> bool:
    """Return whether an encoding is UTF-8, under any of its names.

    Examples
    --------
    >>> is_utf8("U8"), is_utf8("latin-1")
    (True, False)
    """
    return codecs.lookup(encoding).name in ("utf-8", "utf-8-sig")


def remedy_for(sample: bytes, encoding: str) -> str:
    """Advise which encoding to give, as the last sentence of a message about undecodable bytes.

    Parameters
    ----------
    sample : bytes
        Starts at the beginning of a line; only the first 64 KiB are examined.
    encoding : str
        The encoding that failed.
    """
    if is_utf8(encoding) and _is_mostly_utf8(sample[:SAMPLE_BYTES]):
        return "The rest is UTF-8: fix the line, or leave such lines out with --skip-bad-rows"
    guess = guess_encoding(sample)
    same = guess is not None and codecs.lookup(guess.encoding).name == codecs.lookup(encoding).name
    return _ANY if guess is None or same else guess.remedy


def guess_encoding(sample: bytes) -> Guess | None:
    """Guess the encoding from the characters that the bytes decode to.

    Parameters
    ----------
    sample : bytes
        Only the first 64 KiB are examined.

    Returns
    -------
    Guess or None
        None if no encoding fits.

    Examples
    --------
    >>> guess_encoding("Größe, Länge und Höhe der Bäume".encode("cp1252"))
    Guess(encoding='cp1252', what='Western European')
    """
    sample = sample[:SAMPLE_BYTES]
    if (marked := marked_encoding(sample)) is not None:
        return Guess(marked, "by its byte order mark")
    if b"\0" in sample:
        return _guess_utf16(sample)
    n_high = sum(byte > 0x7F for byte in sample)
    if n_high == 0:
        return None
    return _guess_wide(sample) or _guess_single(sample)


def guess_shifted(sample: bytes) -> Guess | None:
    """Detect ISO-2022 and HZ encodings, whose bytes are all ASCII, from their escape sequences.

    Examples
    --------
    >>> guess_shifted("日本語の文章".encode("iso2022_jp")).what
    'Japanese'
    """
    sample = sample[:SAMPLE_BYTES]
    for mark, encoding, what in _SHIFTED:
        if mark not in sample:
            continue
        try:
            text = codecs.getincrementaldecoder(encoding)("strict").decode(sample)
        except UnicodeError:  # not an escape sequence of this encoding, or an unclosed one
            continue
        non_ascii = [character for character in text if character > "\x7f"]
        frequent = sum(character in _HANS for character in non_ascii)
        if len(non_ascii) >= _MIN_LETTERS and (encoding != "hz" or frequent >= 0.1 * len(non_ascii)):
            return Guess(encoding, what)
    return None


def _is_mostly_utf8(sample: bytes) -> bool:
    """Return whether valid multi-byte UTF-8 characters outnumber invalid bytes at least 4 to 1."""
    n_valid = sum(character > "\x7f" for character in sample.decode("utf-8", "ignore"))
    n_bad = sample.decode("utf-8", "replace").count("\ufffd")
    return n_valid >= 4 * n_bad > 0


def _guess_utf16(sample: bytes) -> Guess | None:
    """Detect UTF-16 without a byte order mark, by the byte order that gives text with spaces and punctuation."""
    decoded = {encoding: sample[: len(sample) // 2 * 2].decode(encoding, "replace") for encoding in _UTF16}
    stops = {encoding: sum(map(text.count, _STOPS)) for encoding, text in decoded.items()}
    likely = max(_UTF16, key=stops.__getitem__)
    if stops[likely] and _is_text(decoded[likely].removesuffix("\ufffd")):
        return Guess(likely, "UTF-16 without a byte order mark")
    return None


def _is_text(text: str) -> bool:
    plain = sum(character in "\r\n\t" or unicodedata.category(character)[0] in "LMNPSZ" for character in text)
    return "\ufffd" not in text and plain >= 0.98 * len(text)


def _guess_wide(sample: bytes) -> Guess | None:
    """Guess a multi-byte encoding of Japanese, Korean or Chinese."""
    best, found = 0.0, None
    for encoding, what, frequent, least in _WIDE:
        non_ascii = [character for character in sample.decode(encoding, "replace") if character > "\x7f"]
        if not non_ascii or non_ascii.count("\ufffd") > 1 + 0.02 * len(non_ascii):
            continue
        score = sum(character in frequent for character in non_ascii) / len(non_ascii) / least
        if score >= 1 and score > best:
            best, found = score, Guess(encoding, what)
    return found


def _guess_single(sample: bytes) -> Guess | None:
    """Guess a single-byte encoding from the words: only in Latin scripts do they mix ASCII with other letters."""
    words = _WORDS.findall(sample)
    n_high = sum(byte > 0x7F for word in words for byte in word)
    n_mixed = sum(sum(byte > 0x7F for byte in word) for word in words if any(byte < 0x80 for byte in word))
    if n_mixed < 0.3 * n_high:
        if n_high < _MIN_LETTERS:
            return None
        best, least = _best_script(sample), _MIN_SCRIPT
    else:
        best, least = _best_latin(sample), _MIN_LATIN
    return best[1] if best[0] >= least else None


def _best_script(sample: bytes) -> tuple[float, Guess]:
    def score(encoding: str, frequent: str) -> float:
        non_ascii = [character for character in sample.decode(encoding, "replace") if character > "\x7f"]
        return sum(character in frequent for character in non_ascii) / max(1, len(non_ascii))

    scored = [(score(encoding, frequent), Guess(encoding, what)) for encoding, what, frequent in _SCRIPTS]
    return max(scored, key=lambda pair: pair[0])


def _best_latin(sample: bytes) -> tuple[float, Guess]:
    """Return the encoding in which most non-ASCII characters are letters of one language; ties go to the first."""

    def score(encoding: str, alphabets: tuple[str, ...]) -> float:
        text = sample.decode(encoding, "replace")
        non_ascii = [character.lower() for character in text if character > "\x7f"]
        weight = max(1, len(non_ascii))
        counted = [sum(character in letters for character in non_ascii) for letters in alphabets]
        marks = sum(character in _TYPOGRAPHY for character in non_ascii)
        placed = len(_PLACED.findall(text)) if encoding.startswith(_WINDOWS) else 0
        return (max(counted) + 0.99 * marks + 0.01 * placed) / weight  # prefer letters to punctuation

    scored = [(score(encoding, letters), Guess(encoding, what)) for encoding, what, letters in _LATIN]
    return max(scored, key=lambda pair: pair[0])

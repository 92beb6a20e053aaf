"""Tests of encodings: guesses, byte order marks, control characters, compression and carriage returns."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import sys
from types import SimpleNamespace

import pytest
import zstandard

from tests.support.readers import notices, read, refusal, write
from topicnet.text.readers import open_text
from topicnet.text.readers.documents import Documents, SkippedRows
from topicnet.text.readers.encodings import guess_encoding

FRENCH = "Le cœur de la sœur bat à l’hôpital, où les élèves étaient déçus."
GERMAN = "Die Bürger wählten größere Häuser an der Straße für ihre Söhne."
SPANISH = "El niño comió piñas y años después volvió. ¿Qué pasó mañana?"
CZECH = "Příliš žluťoučký kůň úpěl ďábelské ódy, když šel večer domů."
POLISH = "Zażółć gęślą jaźń, wszyscy są bardzo zadowoleni z części życia."
TURKISH = "Çocuklar bugün okulda şarkı söylüyor ve ağaçların altında oturuyor."
RUSSIAN = "Пациент был доволен, операция прошла хорошо, врач пришёл вовремя."
GREEK = "Η κυβέρνηση ανακοίνωσε νέα μέτρα για την οικονομία της χώρας."
HEBREW = "הממשלה הודיעה על צעדים חדשים לכלכלה של המדינה"
ARABIC = "أعلنت الحكومة عن إجراءات جديدة للاقتصاد الوطني"
JAPANESE = "政府は新しい経済対策を発表しました。東京の天気は晴れです。"
CHINESE = "政府宣布了新的经济政策，我们在北京的人都很高兴，因为这是一个好消息。"
TRADITIONAL = "政府宣布了新的經濟政策，我們在台北的人都很高興，因為這是一個好消息。"
KOREAN = "정부는 새로운 경제 정책을 발표했다. 서울의 날씨는 맑고 사람들이 많이 나왔다."
SAMPLES = [
    (FRENCH, "cp1252"), (GERMAN, "cp1252"), (SPANISH, "cp1252"), ("café", "cp1252"), ("naïve Übung", "cp1252"),
    (GERMAN, "mac_roman"), (SPANISH, "cp850"), (CZECH, "cp1250"), (POLISH, "cp1250"), (CZECH, "iso-8859-2"),
    (TURKISH, "cp1254"), (RUSSIAN, "cp1251"), (RUSSIAN, "koi8-r"), (RUSSIAN, "cp866"), (GREEK, "cp1253"),
    (HEBREW, "cp1255"), (ARABIC, "cp1256"), (JAPANESE, "shift_jis"), (JAPANESE, "euc_jp"), (CHINESE, "gb18030"),
    (TRADITIONAL, "big5"), (KOREAN, "cp949"), (RUSSIAN, "utf-16-le"), (CHINESE, "utf-16-be"), (FRENCH, "utf-16-le"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "encoding"), SAMPLES)
def test_the_suggested_encoding_is_correct(tmp_path, text, encoding):
    path = write(tmp_path / "a.txt", f"{text}\n", encoding)
    message = refusal(path)
    assert message.endswith(f": give --encoding {encoding}")
    assert read(path, encoding=encoding).texts == [text]


@pytest.mark.parametrize(
    "line",
    [b"it\x92s a fish", b"so\x85 a fish\x85", b"Fish\x99 water", b"a\xa0fish", b"caf\xe9 fish\x92s", b"\x93So\x94"],
)
@pytest.mark.parametrize("n_lines", [1, 30])
def test_english_punctuation_is_western(line, n_lines):
    guess = guess_encoding(b"plain text\n" * 60 + (line + b"\n") * n_lines)
    assert guess is not None
    assert guess.encoding == "cp1252"


def test_bytes_that_fit_no_encoding_give_no_suggestion():
    randomness = random.Random(0)
    assert {guess_encoding(randomness.randbytes(400)) for _ in range(20)} == {None}
    assert guess_encoding(b"plain") is None
    assert guess_encoding(b" \xe9 ") is None


@pytest.mark.parametrize(
    ("text", "encoding", "named"),
    [(CHINESE, "hz", "hz"), (JAPANESE, "iso2022_jp", "iso2022_jp_2"), (KOREAN, "iso2022_kr", "iso2022_kr")],
)
def test_encodings_with_escape_sequences_are_recognised(tmp_path, text, encoding, named):
    text = text.replace("，", " ").replace("。", " ")
    path = write(tmp_path / "a.csv", f"id,text\n1,{text}\n", encoding)
    assert f"Give --encoding {named}, or --encoding ascii" in refusal(path)
    assert read(path, encoding=named).texts == [text]
    assert len(read(path, encoding="ascii", file_format="txt").texts) >= 2


@pytest.mark.parametrize("text", ["home ~{user} and ~{name~}", "\x1b[31mred\x1b[0m", "\x1b$ cost", "~{abcd~} ~{efgh~}"])
def test_tildes_and_terminal_escapes_are_text(tmp_path, text):
    assert read(write(tmp_path / "a.txt", f"{text}\nfish\n")).texts == [text, "fish"]


def test_one_bad_byte_in_utf_8_is_a_line_to_fix(tmp_path):
    path = write(tmp_path / "a.txt", f"{GERMAN}\n".encode() * 3 + b"caf\xe9\n")
    assert refusal(path).endswith("The rest is UTF-8: fix the line, or leave such lines out with --skip-bad-rows")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("chunk_bytes", [1, 3, 1 << 18])
def test_byte_order_marks_set_the_encoding(tmp_path, monkeypatch, encoding, chunk_bytes):
    monkeypatch.setattr(open_text, "_CHUNK_BYTES", chunk_bytes)
    rows = "text,n\none é,1\ntwo 日本,2\n"
    for name in ("a.csv", "a.csv.gz"):
        assert read(write(tmp_path / name, rows, encoding)).texts == ["one é", "two 日本"]
    big_endian = "\ufefftext\nthree\n".encode("utf-16-be")
    assert read(write(tmp_path / "b.csv", big_endian)).texts == ["three"]
    assert read(write(tmp_path / "b.csv", big_endian), skipped=SkippedRows()).texts == ["three"]


@pytest.mark.parametrize(
    ("text", "given", "remedy"),
    [
        (FRENCH, "latin-1", "--encoding cp1252"),
        ("“quoted” – text", "iso-8859-1", "--encoding"),
        (RUSSIAN, "iso-8859-5", "--encoding cp866"),
        (CZECH, "iso-8859-2", "--encoding cp1250"),
    ],
)
def test_control_characters_of_another_encoding_are_logged(tmp_path, text, given, remedy):
    source = {"--encoding cp866": "cp866", "--encoding cp1250": "cp1250"}.get(remedy, "cp1252")
    path = write(tmp_path / "a.txt", f"{text}\n" * 3, source)
    (line,) = notices(path, encoding=given)
    assert f"a control character in {given!r}" in line
    assert remedy in line
    assert "latin-1" not in line.partition("'. ")[2]


def test_a_utf_8_mark_under_another_encoding_is_logged(tmp_path):
    path = write(tmp_path / "a.txt", "\ufeffcafé\n")
    assert "begins with the byte order mark of UTF-8 but is read in 'cp1252'" in notices(path, encoding="cp1252")[0]


# --- compression, regardless of the extension ---

PACK = {"gzip": gzip.compress, "bzip2": bz2.compress, "xz": lzma.compress, "Zstandard": zstandard.compress}
ENDING = {"gzip": ".gz", "bzip2": ".bz2", "xz": ".xz", "Zstandard": ".zst"}


@pytest.mark.parametrize("kind", PACK)
def test_compression_is_detected_by_extension_or_first_bytes(tmp_path, monkeypatch, kind):
    data = PACK[kind](b"text\none\ntwo\n") + PACK[kind](b"three\n")
    path = tmp_path / f"a.csv{ENDING[kind]}"
    path.write_bytes(data)
    assert read(path).texts == ["one", "two", "three"]
    assert notices(path) == []
    (tmp_path / "b.csv").write_bytes(data)
    assert read(tmp_path / "b.csv").texts == ["one", "two", "three"]
    assert notices(tmp_path / "b.csv") == [
        f"{tmp_path / 'b.csv'} is compressed ({kind}) despite its extension: read as such"
    ]
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(data)))
    assert read("-", file_format="csv").texts == ["one", "two", "three"]


@pytest.mark.parametrize("kind", ["bzip2", "xz"])
@pytest.mark.parametrize("damage", [lambda d: d[:-9], lambda d: b"plain text", lambda d: d[:30] + bytes(9) + d[39:]])
def test_errors_about_damaged_files_name_the_compression(tmp_path, kind, damage):
    path = tmp_path / f"a.txt{ENDING[kind]}"
    path.write_bytes(damage(PACK[kind](b"".join(b"%d %d\n" % (i**5, i**7) for i in range(999)))))
    assert refusal(path).startswith(f"{path} is a damaged or truncated {kind} file (")


@pytest.mark.parametrize("kind", PACK)
def test_a_huge_decompressed_line_is_rejected_in_little_memory(tmp_path, kind):
    path = tmp_path / f"a.txt{ENDING[kind]}"
    path.write_bytes(PACK[kind](b"x" * 3_000_000))
    assert "line 1 of" in refusal(path, max_document_size=1_000_000)
    assert "--max-document-size" in refusal(path, unit="file", max_document_size=1_000_000)
    assert len(read(path, max_document_size=3_000_000).texts[0]) == 3_000_000


@pytest.mark.parametrize(
    ("head", "what"),
    [
        (b"PK\x03\x04", "a zip archive, a workbook or a Word document"),
        (b"%PDF-1.7", "a PDF file"),
        (b"PAR1", "a Parquet file"),
        (b"SQLite format 3\0", "an SQLite database"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Word or Excel file"),
    ],
)
@pytest.mark.parametrize("name", ["a.txt", "a.csv", "a.jsonl"])
def test_errors_about_binary_formats_name_the_format(tmp_path, head, what, name):
    path = write(tmp_path / name, head + bytes(range(256)))
    message = refusal(path)
    assert message.startswith(f"{path} is {what}, expected text.")
    assert "--encoding" not in message


# --- lone carriage returns ---


@pytest.mark.parametrize("chunk_bytes", [1, 3, 1 << 18])
def test_carriage_returns_end_lines_in_old_mac_files(tmp_path, monkeypatch, chunk_bytes):
    monkeypatch.setattr(open_text, "_CHUNK_BYTES", chunk_bytes)
    assert read(write(tmp_path / "a.txt", "one\r\rtwo\rthree")).texts == ["one", "", "two", "three"]
    rows = 'text,n\rone,1\r"two\rlines",2\r'
    assert read(write(tmp_path / "a.csv", rows)) == Documents(
        ["1", "2"], ["one", "two\nlines"], [{"n": "1"}, {"n": "2"}]
    )
    assert read(write(tmp_path / "a.tsv", "text\tn\rone\t1\r")).metadata == [{"n": "1"}]
    assert read(write(tmp_path / "b.tsv", "one\tx\rtwo\ty\r"), text_column="1").texts == ["one", "two"]
    assert read(write(tmp_path / "a.jsonl", '{"text": "one"}\r{"text": "two"}\r')).texts == ["one", "two"]
    assert read(write(tmp_path / "a.mallet", "a x one\rb y two\r")).texts == ["one", "two"]
    assert read(write(tmp_path / "u.txt", "one\rtwo\r", "utf-16")).texts == ["one", "two"]
    assert read(write(tmp_path / "c.txt", "one\r\ntwo\rhalf\r\n")).texts == ["one", "two\rhalf"]
    assert "line 3 of" in refusal(write(tmp_path / "d.txt", b"one\rtwo\rcaf\xe9 bar\r"))

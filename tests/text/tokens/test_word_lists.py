"""Word lists: each word of the file is in the list, and an entry that is not a word gives a one-line error."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topicnet.errors import InputError
from topicnet.text.tokens.languages import tokenize
from topicnet.text.tokens.word_lists import read_words

entries = st.text("abc déя", min_size=1, max_size=8).map(lambda text: " ".join(text.split())).filter(bool)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lists")


def written(folder: Path, content: str | bytes) -> Path:
    path = folder / "words.txt"
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return path


def refused(path: Path, *arguments: object, **options: bool) -> str:
    with pytest.raises(InputError) as caught:
        read_words(path, "stop words", *arguments, **options)  # type: ignore[arg-type]
    assert str(caught.value).isprintable()
    assert str(path) in str(caught.value)
    return str(caught.value)


@given(st.lists(entries, min_size=1, max_size=8), st.sampled_from(["\n", "\r\n", "\n\n", "\n# no word\n", " \n\t"]))
def test_words_are_returned_once_and_in_order(folder: Path, lines: list[str], between: str) -> None:
    words = [word for line in lines for word in line.split()]
    path = written(folder, between.join(lines))
    assert read_words(path, "stop words") == list(dict.fromkeys(words))
    assert read_words(str(path), "stop words") == read_words(path, "stop words")


@given(st.lists(entries, min_size=1, max_size=8), st.booleans())
def test_an_entry_per_line_is_a_word_or_a_phrase(folder: Path, lines: list[str], joined: bool) -> None:
    content = "\n".join(line.replace(" ", "_") if joined else line for line in lines)
    expected = list(dict.fromkeys("_".join(line.split()) for line in lines))
    assert read_words(written(folder, content), "vocabulary", one_a_line=True) == expected


def test_a_byte_order_mark_is_not_part_of_the_first_word(folder: Path) -> None:
    assert read_words(written(folder, b"\xef\xbb\xbfthe\nof"), "stop words") == ["the", "of"]


def test_words_are_returned_in_the_form_of_the_tokenizer(folder: Path) -> None:
    path = written(folder, "New York\nnew_york\ndon't\nCAFE\u0301\n# 12\nyork")
    assert read_words(path, "vocabulary", tokenize, one_a_line=True) == ["new_york", "don", "café", "york"]
    assert read_words(path, "stop words", tokenize) == ["new", "york", "don", "café"]


@pytest.mark.parametrize("content", ["", "\n \n", "# only\n#remarks"])
def test_a_file_without_words_is_refused(folder: Path, content: str) -> None:
    assert "contains no words: expected a text file" in refused(written(folder, content))


def test_a_line_without_a_word_is_named(folder: Path) -> None:
    path = written(folder, "# mine\nlaw\n\n12 !\n")
    message = refused(path, tokenize, one_a_line=True)
    assert message.startswith("line 4 of the file of stop words")
    assert "'12 !'" in message
    assert read_words(path, "stop words") == ["law", "12", "!"]


def test_a_file_that_cannot_be_read_is_refused(folder: Path) -> None:
    assert "cannot read the stop words" in refused(folder / "nowhere.txt")
    assert "cannot read the stop words" in refused(folder)
    assert "is not UTF-16: expected a text file of words" in refused(written(folder, b"\xff\xfe\x00caf\xe9"))
    assert "is not UTF-8 but looks like cp1252" in refused(written(folder, "déjà\nêtre\noù".encode("cp1252")))
    assert "is not UTF-8 but looks like cp1251" in refused(written(folder, "или\nэто\nчто\nон".encode("cp1251")))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_is_followed(folder: Path, encoding: str) -> None:
    assert read_words(written(folder, "où\nthe of\n".encode(encoding)), "stop words") == ["où", "the", "of"]


@pytest.mark.parametrize("given", ["the,of", "the, of", "the of and"])
def test_words_instead_of_a_file_are_explained(given: str) -> None:
    with pytest.raises(InputError, match="the stop words are read from a file; write the words to one, one word per"):
        read_words(given, "stop words")


def test_a_pipe_or_a_device_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "words")
    assert "is a named pipe, expected a file" in refused(tmp_path / "words")
    with pytest.raises(InputError, match="is a device, expected a file"):
        read_words("/dev/zero", "stop words")


@pytest.mark.parametrize("given", ["https://x.org/s.txt", Path("https://x.org/s.txt")])
def test_a_url_is_refused(given: str | Path) -> None:
    message = "is a URL: expected a local file; download it first"
    with pytest.raises(InputError, match=message):
        read_words(given, "stop words")


def test_a_word_instead_of_a_file_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="the stop words are read from a file; write the words to one, one word per"):
        read_words("fish", "stop words")
    with pytest.raises(InputError, match=r"No such file or directory$"):
        read_words("fish.txt", "stop words")

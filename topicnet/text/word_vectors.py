"""Word vectors for a vocabulary, read from a file or trained on the corpus (skip-gram)."""

from __future__ import annotations

import gzip
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from topicnet.errors import InputError
from topicnet.text.readers.open_text import reading

_Entry = tuple[int, str, bytes]  # line (or record) number, word, its vector as raw bytes

_FORMATS = "word2vec (text or binary) or GloVe, plain or gzipped"
_RESAVE = "Write the vectors with gensim's save_word2vec_format"
_GZIP = b"\x1f\x8b"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_FOREIGN = (
    (b"\x80", "a pickle, such as gensim's own save makes", _RESAVE),
    (b"\x93NUMPY", "a NumPy array", _RESAVE),
    (b"\xba\x16\x4f\x2f", "a fastText model", "Name the .vec file that came with it"),
    (b"PK\x03\x04", "a zip archive", "Unpack it and name the file of vectors inside"),
)
_HEADER = re.compile(rb"\s*(\d{1,12})\s+(\d{1,12})\s*")  # word2vec: number of words, numbers per vector
_NUMBER_CHARACTERS = b"0123456789+-.eE \t\r\nnaifNAIF"  # including those of nan and inf
_MAX_DIM = 10_000
_CHUNK_BYTES = 1 << 20  # also the longest line: 10,000 numbers are a quarter of it
_LOWERED, _EXACT = 1, 2  # quality of a match between a word of the file and one of the vocabulary
_N_SHOWN = 3  # words named in a report

# Mikolov et al. advise 5 to 20 negative samples for small corpora; the original ETM uses 10, a window of 4 and 50
# epochs for any corpus. In our tests, the nearest neighbours of a word co-occurred most (NPMI) after 100 or more epochs
# on M10 (49 thousand tokens) and 10 on 20 Newsgroups (0.9 million), and 5 negative samples did as well as 10 in half
# the time.
_WINDOW = 4
_NEGATIVE = 5
_SUBSAMPLING = 1e-3  # a word with more than this fraction of the tokens is skipped at random
_TRAINED_TOKENS = 10_000_000
_MIN_EPOCHS, _MAX_EPOCHS = 5, 100


@dataclass(frozen=True, eq=False)
class WordVectors:
    """One vector for each word of a vocabulary, in the same order.

    Attributes
    ----------
    vectors : ndarray of shape (V, L), float32
        Finite. The vector of an unknown word is drawn from a Gaussian with the mean and the standard deviation, per
        dimension, of the known vectors.
    known : ndarray of shape (V,), bool
        Whether the vector was read or trained, rather than drawn.
    """

    vectors: NDArray[np.float32]
    known: NDArray[np.bool_]

    def report(self, vocabulary: list[str]) -> str:
        """Report in one line how many words of the vocabulary (length V) have no vector, and name the first few."""
        missing = np.flatnonzero(~self.known)
        total = f"{len(self.known):,} words"
        if len(missing) == 0:
            return f"all {total} have a vector"
        named = ", ".join(vocabulary[row] for row in missing[:_N_SHOWN]) + ", ..." * (len(missing) > _N_SHOWN)
        verb, start = ("has", "it starts") if len(missing) == 1 else ("have", "they start")
        return f"{len(missing):,} of {total} {verb} no vector ({named}): {start} at random"


def read_word_vectors(path: str | Path, vocabulary: list[str], seed: int) -> WordVectors:
    """Read the vectors of a vocabulary from a file in word2vec's text or binary format or in GloVe's format.

    The format is recognised by the content of the file, not by its name. The file is streamed: memory holds only the
    vectors of the vocabulary, and only these are parsed. Nothing in the file is executed.

    Parameters
    ----------
    path : str or Path
        The file, plain or gzipped.
    vocabulary : list of str, length V
        The words. Each gets the vector of the same word in the file, or else of one that is equal in lower case. Of
        several equally good matches the first is used.
    seed : int
        Seed for drawing the vectors of words that are not in the file.

    Returns
    -------
    WordVectors

    Raises
    ------
    InputError
        The file cannot be read, is empty, truncated or in another format; a line has too few or too many numbers; a
        vector of the vocabulary has an entry that is not a finite number; or no word of the vocabulary has a vector.
    """
    with _opened(Path(path)) as file:
        layout = _detect_layout(file, repr(str(path)))
        file.seek(layout.start)
        entries = _binary_entries(file, layout) if layout.binary else _text_entries(file, layout)
        vectors, known = _align(entries, layout, vocabulary)
    if not known.any():
        raise InputError(
            f"{layout.name} has a vector for none of the {len(vocabulary):,} words of the vocabulary, expected most"
            " of them. Use vectors in the language of the corpus"
        )
    return _with_drawn(vectors, known, seed)


def train_word_vectors(
    tokens: NDArray[np.int32], lengths: ArrayLike, vocab_size: int, dim: int = 100, seed: int = 0
) -> WordVectors:
    """Train vectors on a corpus with gensim: skip-gram with negative sampling (Mikolov et al. 2013, eq. 4).

    The number of epochs decreases with the size of the corpus, from 100 to 5. The same seed gives the same bits.

    Parameters
    ----------
    tokens : ndarray of shape (N,), int32
        Word ids of all documents in reading order, end to end: `Corpus.tokens`.
    lengths : array-like of shape (D,) or (D, 1), int
        Number of tokens of each document: `Corpus.lengths`.
    vocab_size : int
        Number of words, V. A word that does not occur in `tokens` is unknown.
    dim : int
        Length L of a vector.
    seed : int
        Seed for training, and for drawing the vectors of unknown words.

    Returns
    -------
    WordVectors

    Raises
    ------
    InputError
        There are no tokens, `lengths` does not add up to their number, an id is outside the vocabulary, or `dim` is
        below 1.
    """
    lengths = np.asarray(lengths, dtype=np.int64).ravel()
    _check_corpus(tokens, lengths, vocab_size, dim)
    from gensim.models.word2vec import MAX_WORDS_IN_BATCH, Word2Vec

    model = Word2Vec(
        _Documents(tokens, lengths, MAX_WORDS_IN_BATCH),
        vector_size=dim,
        sg=1,
        window=_WINDOW,
        negative=_NEGATIVE,
        sample=_SUBSAMPLING,
        min_count=1,
        epochs=min(max(_TRAINED_TOKENS // len(tokens), _MIN_EPOCHS), _MAX_EPOCHS),
        seed=int(np.random.SeedSequence(seed).generate_state(1)[0]),  # gensim accepts 32 bits
        workers=1,  # results depend on timing with more
    )
    vectors = np.zeros((vocab_size, dim), dtype=np.float32)
    known = np.zeros(vocab_size, dtype=np.bool_)
    vectors[model.wv.index_to_key] = model.wv.vectors
    known[model.wv.index_to_key] = True
    return _with_drawn(vectors, known, seed)


def _with_drawn(vectors: NDArray[np.float32], known: NDArray[np.bool_], seed: int) -> WordVectors:
    """Fill the rows of unknown words in (V, L) vectors with random draws; at least one word must be known."""
    sample = vectors[known].astype(np.float64)
    rng = np.random.default_rng(seed)
    vectors[~known] = rng.normal(sample.mean(0), sample.std(0), size=(int((~known).sum()), vectors.shape[1]))
    return WordVectors(vectors, known)


@dataclass(frozen=True)
class _Documents:
    """Corpus as an iterable for gensim: lists of word ids, split where they exceed the length that gensim accepts."""

    tokens: NDArray[np.int32]
    lengths: NDArray[np.int64]
    longest: int

    def __iter__(self) -> Iterator[list[int]]:
        for end, length in zip(np.cumsum(self.lengths), self.lengths, strict=True):
            for start in range(end - length, end, self.longest):
                yield self.tokens[start : min(start + self.longest, end)].tolist()


def _check_corpus(tokens: NDArray[np.int32], lengths: NDArray[np.int64], vocab_size: int, dim: int) -> None:
    if dim < 1:
        raise InputError(f"dim={dim} given, expected 1 or more: give a larger size for the word vectors")
    if len(tokens) == 0:
        raise InputError("no tokens given, expected a corpus to train word vectors on: give documents with words")
    if (lengths < 0).any() or lengths.sum() != len(tokens):
        raise InputError(
            f"lengths that add up to {lengths.sum():,} given, expected the {len(tokens):,} tokens: give the number of"
            " tokens of each document"
        )
    low, high = tokens.min(), tokens.max()
    if low < 0 or high >= vocab_size:
        raise InputError(f"word ids {low} to {high} given, expected 0 to {vocab_size - 1}: give a larger vocab_size")


@dataclass(frozen=True)
class _Layout:
    """Format of a file of word vectors, detected from its first bytes."""

    name: str  # the path, quoted for messages
    start: int  # offset of the first word, in bytes
    dim: int  # numbers per vector, L
    n_words: int | None = None  # stated by the header; GloVe's format has no header
    binary: bool = False  # vectors are raw float32, not text

    def __post_init__(self) -> None:
        if not 1 <= self.dim <= _MAX_DIM:
            raise InputError(
                f"line 1 of {self.name} implies vectors of {self.dim} numbers, expected 1 to {_MAX_DIM:,}. "
                f"Name a file of word vectors: {_FORMATS}"
            )

    def at(self, number: int) -> str:
        """Name a line, or a record of a binary file, by its number from 1."""
        return f"{'word' if self.binary else 'line'} {number} of {self.name}"

    def truncated(self, n_found: int) -> InputError:
        """Return the error for a file with fewer vectors than its header states."""
        form = "binary" if self.binary else "text"
        return InputError(
            f"{self.name} (word2vec, {form}) holds {n_found:,} vectors of {self.dim} numbers, expected the "
            f"{self.n_words:,} that its header states. It is cut off or damaged: download it again"
        )

    def wrong_length(self, number: int, n_numbers: int) -> InputError:
        """Return the error for a line whose vector has the wrong length."""
        given = "the header" if self.n_words is not None else "line 1"
        return InputError(
            f"{self.at(number)} has {n_numbers} number(s), expected {self.dim} as in {given}. Correct or remove it"
        )


@contextmanager
def _opened(path: Path) -> Iterator[io.BufferedIOBase]:
    """Open a file, gzipped or not, and turn errors while reading it into an InputError."""
    with reading(repr(str(path)), f", expected a file of word vectors ({_FORMATS})"), path.open("rb") as plain:
        zipped = plain.read(len(_GZIP)) == _GZIP
        plain.seek(0)
        with gzip.GzipFile(fileobj=plain) if zipped else nullcontext(plain) as file:
            yield file


def _detect_layout(file: io.BufferedIOBase, name: str) -> _Layout:
    head = file.read(_CHUNK_BYTES)
    if not head:
        raise InputError(f"{name} is empty, expected word vectors ({_FORMATS}). Name another file")
    for magic, kind, remedy in _FOREIGN:
        if head.startswith(magic):
            raise InputError(f"{name} is {kind}, expected word vectors ({_FORMATS}). {remedy}")
    start = len(_BYTE_ORDER_MARK) if head.startswith(_BYTE_ORDER_MARK) else 0
    first, _, rest = head[start:].partition(b"\n")
    if header := _HEADER.fullmatch(first):
        n_words, dim = int(header[1]), int(header[2])
        return _Layout(name, start + len(first) + 1, dim, n_words, binary=not _is_text(rest, dim))
    return _Layout(name, start, _count_numbers(first, name))


def _is_text(head: bytes, dim: int) -> bool:
    """Return whether the first word is followed by numbers in digits, rather than by the bytes of a vector."""
    vector = b"".join(head.split(None, 1)[1:])[: 4 * dim]
    n_fitting = len(vector) - len(vector.translate(None, delete=_NUMBER_CHARACTERS))
    return 2 * n_fitting >= len(vector) > 0  # half suffices, so that a typo in a text file is reported with its line


def _count_numbers(line: bytes, name: str) -> int:
    """Count the numbers of the first line of a file without a header."""
    fields = line.split()
    wrong = next((field for field in fields[1:] if not _is_number(field)), None)
    if wrong is not None or len(fields) < 2:
        raise InputError(
            f"line 1 of {name} has {_quoted(wrong or line)}, expected a word and its numbers, or a header of two whole "
            f"numbers. Name a file of word vectors: {_FORMATS}"
        )
    return len(fields) - 1


def _text_entries(file: io.BufferedIOBase, layout: _Layout) -> Iterator[_Entry]:
    n_found = 0
    lines = iter(lambda: file.readline(_CHUNK_BYTES), b"")
    for number, line in enumerate(lines, 1 if layout.n_words is None else 2):
        line = line.rstrip()
        if not line:
            continue
        n_found += 1
        word, _, vector = line.partition(b" ")
        if vector.count(b" ") != layout.dim - 1:  # a count is ten times faster than a split
            word, vector = _split_line(line, layout, number)
        yield number, word.decode("utf-8", "replace"), vector
    if layout.n_words is not None and n_found < layout.n_words:
        raise layout.truncated(n_found)


def _split_line(line: bytes, layout: _Layout, number: int) -> tuple[bytes, bytes]:
    """Split a line that has tabs, several spaces in a row, or a word with spaces, such as ". . ." in GloVe's 840B."""
    fields = line.split()
    more = fields[1 : -layout.dim]
    if len(fields) <= layout.dim or (more and all(_is_number(field) for field in more)):
        raise layout.wrong_length(number, len(fields) - 1)
    return b" ".join(fields[: -layout.dim]), b" ".join(fields[-layout.dim :])


def _binary_entries(file: io.BufferedIOBase, layout: _Layout) -> Iterator[_Entry]:
    """Yield the records of a binary file: a word, a space, L little-endian float32 and, in some files, a newline."""
    assert layout.n_words is not None
    data, start = b"", 0
    for number in range(1, layout.n_words + 1):
        space = data.find(b" ", start)
        if space < 0 or space + 1 + 4 * layout.dim > len(data):
            data, start = data[start:] + file.read(_CHUNK_BYTES), 0
            space = data.find(b" ")
        end = space + 1 + 4 * layout.dim
        if space < 0 or end > len(data):
            raise layout.truncated(number - 1)
        yield number, data[start:space].lstrip(b"\n").decode("utf-8", "replace"), data[space + 1 : end]
        start = end


def _align(
    entries: Iterator[_Entry], layout: _Layout, vocabulary: list[str]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return the vectors of the vocabulary (V, L), zero for unknown words, and which words are known (V,)."""
    rows: dict[str, list[int]] = {}
    for row, word in enumerate(vocabulary):
        rows.setdefault(word.lower(), []).append(row)
    vectors = np.zeros((len(vocabulary), layout.dim), dtype=np.float32)
    fits = np.zeros(len(vocabulary), dtype=np.int8)
    for number, word, vector in entries:
        for row in rows.get(word.lower(), ()):
            fit = _EXACT if word == vocabulary[row] else _LOWERED
            if fit > fits[row]:
                vectors[row], fits[row] = _numbers(vector, layout, number), fit
    return vectors, fits > 0


def _numbers(vector: bytes, layout: _Layout, number: int) -> NDArray[np.float32]:
    """Parse one vector, (L,)."""
    values = np.frombuffer(vector, dtype="<f4") if layout.binary else _parse(vector.split(), layout, number)
    if not np.isfinite(values).all():
        raise InputError(
            f"{layout.at(number)} has a number that is not finite, expected finite float32. Correct or remove it"
        )
    return values.astype(np.float32)


def _parse(fields: list[bytes], layout: _Layout, number: int) -> NDArray[np.float32]:
    if wrong := next((field for field in fields if not _is_number(field)), None):
        raise InputError(f"{layout.at(number)} has {_quoted(wrong)}, expected a number. Correct or remove it")
    if len(fields) != layout.dim:
        raise layout.wrong_length(number, len(fields))
    with np.errstate(over="ignore"):  # overflow gives infinity, which is rejected later
        return np.array([float(field) for field in fields]).astype(np.float32)


def _is_number(field: bytes) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def _quoted(text: bytes) -> str:
    """Quote the beginning of some bytes of a file, in printable characters."""
    return repr(text[:40].decode("utf-8", "replace"))

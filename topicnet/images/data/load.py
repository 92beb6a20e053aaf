"""The images a run learns from: packaged digits, a toy, files and folders, split the same way on every machine."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from topicnet.errors import InputError
from topicnet.images.data.checks import Pixels, Split, reading
from topicnet.images.data.idx import is_idx_folder, read_idx_folder, read_idx_images
from topicnet.images.data.npz import read_npz
from topicnet.images.data.png import png_files, read_png_files

NAMED = ("digits", "bimodal")  # sources that are no paths
KNOWN = "digits, bimodal, a folder with the idx files of MNIST, an idx file, an .npz file, or a folder of PNG images"
LEAST = 10  # images, so that each part of a split has one
_SEED = 0  # of every permutation and of the toy: one source is one data set


@dataclass(frozen=True, eq=False)
class ImageData:
    """Images to train on, to stop by, and to test on.

    Attributes
    ----------
    name : str
        "digits", "bimodal", or the name of the file or folder.
    train, validation, test : Split
        All of the same P and the same type of pixels, (n, P).
    shape : (int, int) or None
        Height and width, P in all; None for vectors that are no pictures.
    binary : bool
        Every value is black or white already, so nothing is left to binarise.
    """

    name: str
    train: Split
    validation: Split
    test: Split
    shape: tuple[int, int] | None
    binary: bool

    @property
    def n_pixels(self) -> int:
        """P, pixels of one image."""
        return int(self.train.pixels.shape[1])

    def summary(self) -> str:
        """Describe the images in one line: how many there are for what, and their size."""
        size = f"{self.shape[0]} x {self.shape[1]} pixels" if self.shape is not None else f"vectors of {self.n_pixels}"
        n_train, n_validation, n_test = (len(split.pixels) for split in (self.train, self.validation, self.test))
        return f"{self.name}: {n_train:,} to train on, {n_validation:,} to validate, {n_test:,} to test; {size}"

    def checksum(self) -> str:
        """SHA-256 of all pixels and labels and of how they are split, in hexadecimal."""
        digest = hashlib.sha256(repr(self.shape).encode("ascii"))
        for split in (self.train, self.validation, self.test):
            _add_to(digest, split.pixels)
            if split.labels is None:
                digest.update(b"no labels")
            else:
                _add_to(digest, split.labels)
        return digest.hexdigest()


def _add_to(digest: Any, array: NDArray[Any]) -> None:
    little_endian = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    digest.update(f"{little_endian.dtype.str}{little_endian.shape}".encode("ascii"))
    digest.update(little_endian.data)


def load_images(source: str | Path) -> ImageData:
    """Load images and split them; the same source gives the same splits everywhere.

    Permutations are those of ``numpy.random.default_rng(0)``. Unsigned bytes that are all 0 or 1 count as black and
    white.

    Parameters
    ----------
    source : str or Path
        - "digits": scikit-learn's 1,797 digits of 8 x 8, permuted: 1,200 to train on, 200 to validate, 397 to test
        - "bimodal": 50,000, 5,000 and 5,000 numbers of 1/2 N(0.3, 0.05^2) + 1/2 N(0.7, 0.05^2), labelled by their mode
        - a folder with idx files named as MNIST's, gzipped or not, the labels optional: the last sixth of the train
          file (10,000 of 60,000) validates, t10k tests
        - an idx file of images, gzipped or not: permuted, 80 % to train on, 10 % to validate, 10 % to test
        - an .npz file with x_train and x_test (y_train, y_test), or train and test (train_labels, test_labels): a
          tenth of the permuted train images validates; or with one of x, images, data (y or labels): as an idx file
        - a folder of PNG images of one size, at any depth, sorted by path: as an idx file. Where all lie in folders
          below, each folder is a class

        A Path is never one of the two names; ``"./digits"`` names a folder too.

    Returns
    -------
    ImageData
        Images of P values given flat are squares where P is a square number above 1, else no pictures.

    Raises
    ------
    InputError
        There is no such source, or it holds something else than at least 10 gray images of one size.
    """
    if source == "digits":
        return _digits()
    if source == "bimodal":
        return _bimodal()
    path = Path(source)
    with reading(path):
        if path.is_dir() and source != "":  # which would name the folder at hand
            return _from_folder(path)
        if path.is_file():
            return _from_file(path)
    raise InputError(f"there is no {str(source)!r}; expected {KNOWN}. Check the name")


def _from_folder(path: Path) -> ImageData:
    name = path.resolve().name
    if is_idx_folder(path):
        train, test = read_idx_folder(path)
        return _held_out(name, train, test, np.arange(len(train.pixels)), share=6)
    if not (files := png_files(path)):
        fault = "holds no idx file and no PNG image" if any(path.iterdir()) else "is empty"
        raise InputError(
            f"{str(path)!r} {fault}; expected train-images-idx3-ubyte and t10k-images-idx3-ubyte (or .gz), or images "
            "named *.png. Name another folder"
        )
    return _cut(name, read_png_files(path, files))


def _from_file(path: Path) -> ImageData:
    if path.suffix.lower() != ".npz":
        return _cut(path.name, read_idx_images(path))
    train, test = read_npz(path)
    if test is None:
        return _cut(path.name, train)
    return _held_out(path.name, train, test, _permutation(len(train.pixels)), share=10)


def _digits() -> ImageData:
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    stored = Split((pixels / 16).astype(np.float32).reshape(-1, 8, 8), labels.astype(np.int64))
    return _made("digits", *_parts(stored, _permutation(len(labels)), 1_200, 200))


def _bimodal() -> ImageData:
    generator = np.random.default_rng(_SEED)
    modes = generator.integers(0, 2, size=60_000)
    # 0 and 1 are six standard deviations from a mode: the few such values of other seeds would be left as they are.
    values = generator.normal(np.where(modes == 1, 0.7, 0.3), 0.05)
    stored = Split(values.astype(np.float32)[:, None], modes.astype(np.int64))
    return _made("bimodal", *_parts(stored, np.arange(60_000), 50_000, 5_000))


def _permutation(n_images: int) -> NDArray[np.intp]:
    return np.random.default_rng(_SEED).permutation(n_images)


def _cut(name: str, stored: Split) -> ImageData:
    """Split images that come in one piece: 80, 10 and 10 %."""
    n_images = len(stored.pixels)
    _check_number(name, n_images)
    held = n_images // 10
    return _made(name, *_parts(stored, _permutation(n_images), n_images - 2 * held, held))


def _held_out(name: str, train: Split, test: Split, order: NDArray[np.intp], share: int) -> ImageData:
    """Take one of so many train images, the last in the order, for validation."""
    n_images = len(train.pixels)
    _check_number(name, n_images, "to train on")
    _check_number(name, len(test.pixels), "to test on", least=1)
    if train.pixels.shape[1:] != test.pixels.shape[1:]:
        raise InputError(
            f"{name!r} has images of {_size(train)} pixels to train on and of {_size(test)} to test on; expected one "
            "size. Scale one of them"
        )
    shown, held, _ = _parts(train, order, n_images - n_images // share, n_images // share)
    return _made(name, shown, held, test)


def _check_number(name: str, n_images: int, purpose: str = "in all", least: int = LEAST) -> None:
    if n_images < least:
        raise InputError(f"{name!r} holds {n_images} images {purpose}; expected at least {least}. Add some")


def _size(stored: Split) -> str:
    return " x ".join(map(str, stored.pixels.shape[1:]))


def _parts(stored: Split, order: NDArray[np.intp], n_first: int, n_second: int) -> list[Split]:
    """Cut images into three, in the given order."""
    cuts = np.split(order, [n_first, n_first + n_second])
    return [Split(stored.pixels[ids], None if stored.labels is None else stored.labels[ids]) for ids in cuts]


def _made(name: str, train: Split, validation: Split, test: Split) -> ImageData:
    shape = _picture_shape(train.pixels)
    pixels = [part.pixels.reshape(len(part.pixels), -1) for part in (train, validation, test)]
    if all(part.dtype == np.uint8 and part.max() <= 1 for part in pixels):
        pixels = [part * np.uint8(255) for part in pixels]  # else they would all be next to black
    binary = all(bool(np.isin(part, (0, _white(part))).all()) for part in pixels)
    first, second, third = map(Split, pixels, (train.labels, validation.labels, test.labels))
    return ImageData(name, first, second, third, shape, binary)


def _picture_shape(pixels: Pixels) -> tuple[int, int] | None:
    if pixels.ndim == 3:
        return pixels.shape[1], pixels.shape[2]
    n_pixels = pixels.shape[1]
    side = math.isqrt(n_pixels)
    return (side, side) if side > 1 and side * side == n_pixels else None


def _white(pixels: Pixels) -> int:
    return 255 if pixels.dtype == np.uint8 else 1


def gray(pixels: Pixels) -> NDArray[np.float32]:
    """Give pixels of either kind as float32 from 0 (black) to 1 (white)."""
    return pixels.astype(np.float32) / np.float32(_white(pixels))


def fixed_binarisation(pixels: Pixels, seed: int = 777) -> NDArray[np.float32]:
    """Draw x ~ Bernoulli(gray) once, as validation and test images are binarised (Tomczak & Welling 2018, their code).

    Parameters
    ----------
    pixels : array
        (n, P), either kind.
    seed : int
        Of the numpy Generator; 777 is theirs, though the draws are not.

    Returns
    -------
    array
        (n, P) float32 of 0 and 1; what is black or white already stays.
    """
    noise = np.random.default_rng(seed).random(pixels.shape, dtype=np.float32)  # in [0, 1): white is always drawn
    return (noise < gray(pixels)).astype(np.float32)

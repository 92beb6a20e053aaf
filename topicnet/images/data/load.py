"""Loading of images (packaged digits, a synthetic set, files or folders), with the same splits on every machine."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from topicnet.errors import InputError
from topicnet.images.data.checks import CHANNELS, Pixels, Split, reading
from topicnet.images.data.idx import is_idx_folder, read_idx_folder, read_idx_images
from topicnet.images.data.npz import read_npz
from topicnet.images.data.picture_folder import picture_files, read_picture_files

NAMED = ("digits", "bimodal")  # sources that are not paths
KNOWN = (
    "digits, bimodal, a folder with the idx files of MNIST, an idx file, an .npz file, or a folder of PNG or JPEG"
    " images"
)
Shape = tuple[int, ...] | None  # height and width, and 3 for colour; None for vectors
LEAST = 10  # fewest images: each split then has at least one
MODES, MODE_SD = (0.3, 0.7), 0.05  # means and standard deviation of the two densities of "bimodal"
_SEED = 0  # of every permutation and of "bimodal", so that a source always gives the same data set


@dataclass(frozen=True, eq=False)
class ImageData:
    """Training, validation and test images with their common shape.

    Parameters
    ----------
    name : str
        "digits", "bimodal", or the name of the file or folder.
    train, validation, test : Split
        Pixels (n, P) and labels (n,) of each split; P and the type of the pixels are the same in all.
    shape : (int, int), (int, int, 3) or None
        Height and width, with P = height * width, and 3 for colour: P is 3 times as large, with red, green and blue of
        each pixel in turn. None if the vectors are not pictures.
    binary : bool
        True if every pixel is black or white already.

    Attributes
    ----------
    n_pixels : int
        P, the number of pixels of one image, or of values in colour.
    channels : int
        3 in colour, otherwise 1.

    See Also
    --------
    load_images : Reads and splits images.

    Examples
    --------
    >>> from topicnet.images import load_images
    >>> images = load_images("bimodal")
    >>> images.train.pixels.shape, images.shape, images.binary
    ((50000, 1), None, False)
    """

    name: str
    train: Split
    validation: Split
    test: Split
    shape: Shape
    binary: bool

    @property
    def n_pixels(self) -> int:
        """Number of pixels P of one image."""
        return int(self.train.pixels.shape[1])

    @property
    def channels(self) -> int:
        """Number of values of a pixel: 3 in colour, otherwise 1."""
        return channels_of(self.shape)

    def pictures(self, pixels: Pixels) -> Pixels:
        """Give flat images their height, width and channels; vectors that are not pictures stay as they are.

        Parameters
        ----------
        pixels : ndarray of shape (n, P)
            Images of this data set.

        Returns
        -------
        ndarray of shape (n, height, width), (n, height, width, 3) or (n, P)
            The same values.

        Examples
        --------
        >>> from topicnet.images import load_images
        >>> images = load_images("digits")
        >>> images.pictures(images.test.pixels).shape
        (397, 8, 8)
        """
        return pixels if self.shape is None else pixels.reshape(len(pixels), *self.shape)

    def summary(self) -> str:
        """Describe the data set in one line: images per split, and their size.

        Returns
        -------
        str
            Name, sizes of the splits and size of an image.

        Examples
        --------
        >>> from topicnet.images import load_images
        >>> load_images("bimodal").summary()
        'bimodal: 50,000 training, 5,000 validation and 5,000 test images; vectors of 1'
        """
        size = f"{self.shape[0]} x {self.shape[1]} pixels" if self.shape is not None else f"vectors of {self.n_pixels}"
        size += " in colour" if self.channels == CHANNELS else ""
        n_train, n_validation, n_test = (len(split.pixels) for split in (self.train, self.validation, self.test))
        return f"{self.name}: {n_train:,} training, {n_validation:,} validation and {n_test:,} test images; {size}"

    def checksum(self) -> str:
        """Return the SHA-256 of all pixels, labels and splits.

        Returns
        -------
        str
            64 hexadecimal digits; the name has no part in it.

        Examples
        --------
        >>> from topicnet.images import load_images
        >>> len(load_images("bimodal").checksum())
        64
        """
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
    """Load images and split them into training, validation and test.

    The same source gives the same splits on every machine: permutations are those of ``numpy.random.default_rng(0)``.

    Parameters
    ----------
    source : str or Path
        One of

        - "digits": scikit-learn's 1,797 digits of 8 x 8 pixels, permuted and split into 1,200 / 200 / 397
        - "bimodal": 50,000 / 5,000 / 5,000 numbers from 1/2 N(0.3, 0.05^2) + 1/2 N(0.7, 0.05^2), labelled by mode
          (CP-VAE, Lavda et al. 2020, section 6.1)
        - a folder of idx files with MNIST's names, gzipped or not, labels optional: the last sixth of the training file
          (10,000 of 60,000) is for validation, t10k for test
        - one idx file of images, gzipped or not: permuted and split 80 / 10 / 10 %
        - an .npz file with x_train and x_test (y_train, y_test), or train and test (train_labels, test_labels): one
          tenth of the permuted training images is for validation; or with one of x, images, data (y or labels):
          split like a single idx file
        - a folder of PNG and JPEG images of one size, at any depth, sorted by path and split like a single idx file; if
          all of them are in subfolders, each subfolder is a class

        Arrays are (n, h, w), (n, h, w, 1) or (n, P) for gray images, and (n, h, w, 3) for colour. A folder is in colour
        if any pixel of any image is.

        A Path is always a path, as is a string such as ``"./digits"``.

    Returns
    -------
    ImageData
        Pixels are uint8 from 0 to 255 or float32 from 0 to 1; unsigned bytes that are all 0 or 1 count as black and
        white and become 0 and 255. Flat images with a square number of pixels above 1 get a square shape, others None.

    Raises
    ------
    InputError
        The source does not exist, or does not hold at least 10 images of one size.

    Examples
    --------
    >>> from topicnet.images import load_images
    >>> images = load_images("digits")
    >>> images.train.pixels.shape, images.validation.pixels.shape, images.test.pixels.shape
    ((1200, 64), (200, 64), (397, 64))
    >>> images.summary()
    'digits: 1,200 training, 200 validation and 397 test images; 8 x 8 pixels'
    """
    if source == "digits":
        return _digits()
    if source == "bimodal":
        return _bimodal()
    path = Path(source)
    with reading(path):
        if path.is_dir() and source != "":  # Path("") is the current folder
            return _from_folder(path)
        if path.is_file():
            return _from_file(path)
    raise InputError(f"there is no {str(source)!r}; expected {KNOWN}. Check the name")


def _from_folder(path: Path) -> ImageData:
    name = path.resolve().name
    if is_idx_folder(path):
        train, test = read_idx_folder(path)
        return _held_out(name, train, test, np.arange(len(train.pixels)), one_in=6)
    if not (files := picture_files(path)):
        fault = "holds neither idx files nor PNG or JPEG images" if any(path.iterdir()) else "is empty"
        raise InputError(
            f"{str(path)!r} {fault}; expected train-images-idx3-ubyte and t10k-images-idx3-ubyte (or .gz), or images "
            "named *.png, *.jpg or *.jpeg. Name another folder"
        )
    return _split_whole(name, read_picture_files(path, files))


def _from_file(path: Path) -> ImageData:
    if path.suffix.lower() != ".npz":
        return _split_whole(path.name, read_idx_images(path))
    train, test = read_npz(path)
    if test is None:
        return _split_whole(path.name, train)
    return _held_out(path.name, train, test, _permutation(len(train.pixels)), one_in=10)


def _digits() -> ImageData:
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    stored = Split((pixels / 16).astype(np.float32).reshape(-1, 8, 8), labels.astype(np.int64))
    return _image_data("digits", *_split_in_order(stored, _permutation(len(labels)), 1_200, 200))


def _bimodal() -> ImageData:
    generator = np.random.default_rng(_SEED)
    modes = generator.integers(0, 2, size=60_000)
    # With this seed every value is in (0, 1): 0 and 1 are six standard deviations from the nearest mode.
    values = generator.normal(np.array(MODES)[modes], MODE_SD)
    stored = Split(values.astype(np.float32)[:, None], modes.astype(np.int64))
    return _image_data("bimodal", *_split_in_order(stored, np.arange(60_000), 50_000, 5_000))


def bimodal_density(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the density from which the numbers of "bimodal" are drawn, at points (m,)."""
    scaled = (points[:, None] - np.array(MODES)) / MODE_SD
    return np.asarray(np.exp(-0.5 * scaled**2).mean(1) / (MODE_SD * math.sqrt(2 * math.pi)))


def _permutation(n_images: int) -> NDArray[np.intp]:
    return np.random.default_rng(_SEED).permutation(n_images)


def _split_whole(name: str, stored: Split) -> ImageData:
    """Split images without a test set: 80, 10 and 10 %, permuted."""
    n_images = len(stored.pixels)
    _check_number(name, n_images)
    n_test = n_images // 10
    return _image_data(name, *_split_in_order(stored, _permutation(n_images), n_images - 2 * n_test, n_test))


def _held_out(name: str, train: Split, test: Split, order: NDArray[np.intp], one_in: int) -> ImageData:
    """Hold out one in `one_in` training images for validation: the last ones in `order`."""
    n_images = len(train.pixels)
    _check_number(name, n_images, "for training")
    _check_number(name, len(test.pixels), "for testing", least=1)
    if train.pixels.shape[1:] != test.pixels.shape[1:]:
        raise InputError(
            f"{name!r} has training images of {_size(train)} pixels and test images of {_size(test)}; expected one "
            "size. Rescale one of the sets"
        )
    kept, validation, _ = _split_in_order(train, order, n_images - n_images // one_in, n_images // one_in)
    return _image_data(name, kept, validation, test)


def _check_number(name: str, n_images: int, purpose: str = "in all", least: int = LEAST) -> None:
    if n_images < least:
        raise InputError(f"{name!r} holds {n_images} images {purpose}; expected at least {least}. Add some")


def _size(stored: Split) -> str:
    return " x ".join(map(str, stored.pixels.shape[1:]))


def _split_in_order(stored: Split, order: NDArray[np.intp], n_first: int, n_second: int) -> list[Split]:
    """Split images into three consecutive parts of `order`."""
    parts = np.split(order, [n_first, n_first + n_second])
    return [Split(stored.pixels[ids], None if stored.labels is None else stored.labels[ids]) for ids in parts]


def _image_data(name: str, train: Split, validation: Split, test: Split) -> ImageData:
    shape = _picture_shape(train.pixels)
    pixels = [part.pixels.reshape(len(part.pixels), -1) for part in (train, validation, test)]
    if all(part.dtype == np.uint8 and part.max() <= 1 for part in pixels):
        pixels = [part * np.uint8(255) for part in pixels]  # level 1 of 255 would be nearly black
    gray_levels = channels_of(shape) == 1
    binary = gray_levels and all(bool(np.isin(part, (0, _white(part))).all()) for part in pixels)
    first, second, third = map(Split, pixels, (train.labels, validation.labels, test.labels))
    return ImageData(name, first, second, third, shape, binary)


def _picture_shape(pixels: Pixels) -> Shape:
    if pixels.ndim > 2:
        return tuple(int(size) for size in pixels.shape[1:])
    n_pixels = pixels.shape[1]
    side = math.isqrt(n_pixels)
    return (side, side) if side > 1 and side * side == n_pixels else None


def channels_of(shape: Shape) -> int:
    """Return the number of values of a pixel: 3 in colour, otherwise 1."""
    return shape[2] if shape is not None and len(shape) > 2 else 1


def _white(pixels: Pixels) -> int:
    return 255 if pixels.dtype == np.uint8 else 1


def gray(pixels: Pixels) -> NDArray[np.float32]:
    """Convert pixels of either type to float32 from 0 (black) to 1 (white)."""
    return pixels.astype(np.float32) / np.float32(_white(pixels))


def fixed_binarisation(pixels: Pixels, seed: int = 777) -> NDArray[np.float32]:
    """Draw x ~ Bernoulli(gray) once, as for validation and test images (Tomczak & Welling 2018, reference code).

    Parameters
    ----------
    pixels : ndarray of shape (n, P)
        uint8 or float32.
    seed : int
        Seed of the numpy Generator. The reference code also uses 777, but other draws.

    Returns
    -------
    ndarray of shape (n, P)
        float32 zeros and ones; black and white pixels are unchanged.
    """
    noise = np.random.default_rng(seed).random(pixels.shape, dtype=np.float32)  # in [0, 1): white is always drawn
    return (noise < gray(pixels)).astype(np.float32)

"""Reader of images and labels in an archive of numpy arrays (.npz)."""

from __future__ import annotations

from pathlib import Path

from topicnet.errors import InputError
from topicnet.images.data.checks import Split, checked_images, checked_labels, reading
from topicnet.storage.npz import Archive, open_npz

SPLIT_KEYS = (("x_train", "y_train", "x_test", "y_test"), ("train", "train_labels", "test", "test_labels"))
IMAGE_KEYS, LABEL_KEYS = ("x", "images", "data"), ("y", "labels")
_UNDERSTOOD = (
    "x_train and x_test (y_train, y_test), train and test (train_labels, test_labels), "
    "or one of x, images, data (y or labels)"
)


def read_npz(path: Path) -> tuple[Split, Split | None]:
    """Read the images of an archive: training and test images, or all images and None.

    Raises
    ------
    InputError
        No array has a known name, several could be meant, one does not hold images or holds Python objects, or the
        file is damaged.
    """
    with reading(path), path.open("rb") as file, open_npz(path, file) as archive:
        names = archive.names
        splits = [keys for keys in SPLIT_KEYS if keys[0] in names and keys[2] in names]
        single = [key for key in IMAGE_KEYS if key in names]
        if len(splits) + len(single) != 1:
            raise InputError(
                f"{str(path)!r} holds {', '.join(map(repr, names)) or 'nothing'}; expected exactly one of "
                f"these: {_UNDERSTOOD}. Rename its arrays"
            )
        if not splits:
            labels = [key for key in LABEL_KEYS if key in names]
            if len(labels) > 1:
                raise InputError(
                    f"{str(path)!r} holds {' and '.join(map(repr, labels))}; expected one. Remove the other"
                )
            return _stored(archive, single[0], *labels), None
        x_train, y_train, x_test, y_test = splits[0]
        train, test = _stored(archive, x_train, y_train), _stored(archive, x_test, y_test)
    if train.pixels.dtype != test.pixels.dtype:
        raise InputError(
            f"{str(path)!r} has {x_train!r} of {train.pixels.dtype} and {x_test!r} of {test.pixels.dtype}; "
            "expected one type. Convert one of them"
        )
    return train, test


def _stored(archive: Archive, images: str, labels: str = "") -> Split:
    """Read images, and their labels if the archive has them."""
    pixels = checked_images(archive.read(images), archive.where(images))
    if labels not in archive.names:
        return Split(pixels, None)
    return Split(pixels, checked_labels(archive.read(labels), len(pixels), archive.where(labels)))

"""Reading every source of images, identical splits on every machine, and one-line errors for invalid input."""

from __future__ import annotations

import gzip
import io
import os
import struct
import subprocess
import sys
import tracemalloc
import zipfile
import zlib

import numpy as np
import pytest
from PIL import Image

from topicnet.errors import InputError
from topicnet.images.data.checks import Split, read_exactly
from topicnet.images.data.load import ImageData, fixed_binarisation, gray, load_images

HEIGHT, WIDTH = 3, 4


def images(n_images, height=HEIGHT, width=WIDTH, first=0):
    """Distinct gray images: the first pixel numbers them, the others cover all levels."""
    pixels = (np.arange(n_images * height * width) * 37 % 256).reshape(n_images, height, width).astype(np.uint8)
    pixels[:, 0, 0] = np.arange(first, first + n_images)
    return pixels


def numbers(split):
    """Numbers of the images in a split, from their first pixels."""
    return split.pixels[:, 0].tolist()


def splits(data):
    return data.train, data.validation, data.test


def in_all(data):
    return [number for split in splits(data) for number in numbers(split)]


def as_idx(array, magic=None):
    magic = bytes((0, 0, 8, array.ndim)) if magic is None else magic
    return magic + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def mnist_folder(folder, n_train=60, n_test=7, labels=True, ending=""):
    folder.mkdir(exist_ok=True)
    pack = gzip.compress if ending else bytes
    for part, n_images, first in (("train", n_train, 0), ("t10k", n_test, 200)):
        (folder / f"{part}-images-idx3-ubyte{ending}").write_bytes(pack(as_idx(images(n_images, first=first))))
        if labels:
            classes = (np.arange(n_images) % 10).astype(np.uint8)
            (folder / f"{part}-labels-idx1-ubyte{ending}").write_bytes(pack(as_idx(classes)))
    return folder


def npz(path, **arrays):
    np.savez_compressed(path, **arrays)
    return path


def png_folder(folder, pixels, names=None):
    for number, picture in enumerate(pixels):
        path = folder / (names[number] if names else f"{number:03}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(path)
    return folder


def refusal(source):
    with pytest.raises(InputError) as caught:
        load_images(source)
    message = str(caught.value)
    assert "\n" not in message
    return message


class TestPackaged:
    def test_digits_are_complete_and_permuted(self):
        from sklearn.datasets import load_digits

        data = load_images("digits")
        assert (data.name, data.shape, data.n_pixels, data.binary) == ("digits", (8, 8), 64, False)
        assert [split.pixels.shape for split in splits(data)] == [(1200, 64), (200, 64), (397, 64)]
        assert all(split.pixels.dtype == np.float32 for split in splits(data))
        pixels, labels = load_digits(return_X_y=True)
        order = np.random.default_rng(0).permutation(1797)
        assert np.array_equal(np.concatenate([split.pixels for split in splits(data)]) * 16, pixels[order])
        assert np.array_equal(np.concatenate([split.labels for split in splits(data)]), labels[order])

    def test_bimodal_has_the_specified_density(self):
        data = load_images("bimodal")
        assert (data.shape, data.n_pixels, data.binary) == (None, 1, False)
        assert [len(split.pixels) for split in splits(data)] == [50_000, 5_000, 5_000]
        values, modes = data.train.pixels[:, 0], data.train.labels
        for mode, mean in ((0, 0.3), (1, 0.7)):
            assert values[modes == mode].mean() == pytest.approx(mean, abs=0.002)
            assert values[modes == mode].std() == pytest.approx(0.05, abs=0.002)  # standard deviation, not variance
        assert modes.mean() == pytest.approx(0.5, abs=0.01)
        assert all(((split.pixels > 0) & (split.pixels < 1)).all() for split in splits(data))

    def test_a_path_is_never_a_packaged_name(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        png_folder(tmp_path / "digits", images(10))
        assert load_images("digits").n_pixels == 64
        assert load_images("./digits").n_pixels == 12
        assert load_images(tmp_path / "digits").n_pixels == 12


class TestIdx:
    @pytest.mark.parametrize("ending", ["", ".gz"])
    def test_a_folder_like_mnist(self, tmp_path, ending):
        data = load_images(mnist_folder(tmp_path / "mine", ending=ending))
        assert (data.name, data.shape, data.binary) == ("mine", (HEIGHT, WIDTH), False)
        assert [numbers(split) for split in splits(data)] == [
            list(range(50)), list(range(50, 60)), list(range(200, 207)),
        ]  # fmt: skip
        assert np.array_equal(data.validation.labels, np.arange(50, 60) % 10)
        assert np.array_equal(data.train.pixels, images(60)[:50].reshape(50, 12))

    def test_labels_may_be_missing(self, tmp_path):
        data = load_images(mnist_folder(tmp_path, labels=False))
        assert [split.labels for split in splits(data)] == [None, None, None]

    @pytest.mark.parametrize("pack", [bytes, gzip.compress])
    def test_one_file_is_permuted_and_split(self, tmp_path, pack):
        path = tmp_path / "some.idx"
        path.write_bytes(pack(as_idx(images(25))))
        data = load_images(str(path))
        assert [len(split.pixels) for split in splits(data)] == [21, 2, 2]
        assert in_all(data) == np.random.default_rng(0).permutation(25).tolist()
        assert data.train.labels is None
        assert data.name == "some.idx"


class TestNpz:
    @pytest.mark.parametrize(
        "keys", [("x_train", "y_train", "x_test", "y_test"), ("train", "train_labels", "test", "test_labels")]
    )
    def test_an_archive_with_a_test_set(self, tmp_path, keys):
        classes = np.arange(30, dtype=np.int16)
        arrays = dict(zip(keys, (images(30), classes, images(5, first=100), classes[:5]), strict=True))
        data = load_images(npz(tmp_path / "two.npz", **arrays))
        order = np.random.default_rng(0).permutation(30).tolist()
        assert [numbers(split) for split in splits(data)] == [order[:27], order[27:], list(range(100, 105))]
        assert data.train.labels.tolist() == order[:27]
        assert data.train.labels.dtype == np.int64

    @pytest.mark.parametrize("key", ["x", "images", "data"])
    @pytest.mark.parametrize("labels", ["y", "labels", None])
    def test_an_archive_without_a_test_set(self, tmp_path, key, labels):
        arrays = {key: images(20)} | ({} if labels is None else {labels: np.arange(20)[:, None]})
        data = load_images(npz(tmp_path / "one.npz", other=np.zeros(3), **arrays))
        assert [len(split.pixels) for split in splits(data)] == [16, 2, 2]
        for split in splits(data):
            assert (split.labels is None) if labels is None else (split.labels.tolist() == numbers(split))

    @pytest.mark.parametrize(
        ("size", "shape"), [((3, 4), (3, 4)), ((3, 4, 1), (3, 4)), ((9,), (3, 3)), ((12,), None), ((1,), None)]
    )
    def test_shapes(self, tmp_path, size, shape):
        data = load_images(npz(tmp_path / "a.npz", x=np.zeros((10, *size), np.uint8)))
        assert (data.shape, data.n_pixels) == (shape, np.prod(size))

    @pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, ">f4"])
    def test_floats(self, tmp_path, kind):
        values = np.linspace(0, 1, 120).astype(kind).reshape(10, 12)
        data = load_images(npz(tmp_path / "a.npz", x=np.asfortranarray(values)))
        back = np.concatenate([split.pixels for split in splits(data)])
        assert back.dtype == np.dtype("float32")
        assert np.array_equal(back, values[np.random.default_rng(0).permutation(10)].astype(np.float32))

    @pytest.mark.parametrize(("kind", "white"), [(bool, 1), (np.uint8, 1), (np.uint8, 255), (np.float32, 1)])
    def test_black_and_white_is_recognised(self, tmp_path, kind, white):
        picture = np.tile(np.arange(12) % 2, (10, 1))
        data = load_images(npz(tmp_path / "a.npz", x=(picture * white).astype(kind)))
        assert data.binary
        assert np.array_equal(gray(data.train.pixels), picture[:8])

    def test_nearly_black_and_white_is_gray(self, tmp_path):
        pixels = np.tile(np.array([0, 255], np.uint8), (10, 6))
        pixels[3, 3] = 254
        assert not load_images(npz(tmp_path / "a.npz", x=pixels)).binary


class TestPng:
    def test_a_folder_is_read_in_the_order_of_its_paths(self, tmp_path):
        names = [f"{'b' if n % 2 else 'a'}/{n:02}.{'PNG' if n % 3 else 'png'}" for n in range(20)]
        data = load_images(png_folder(tmp_path / "pictures", images(20), names))
        map_in_order = [*range(0, 20, 2), *range(1, 20, 2)]
        order = np.random.default_rng(0).permutation(20)
        assert in_all(data) == [map_in_order[n] for n in order]
        for split in splits(data):
            assert split.labels.tolist() == [n % 2 for n in numbers(split)]
        assert (data.name, data.shape) == ("pictures", (HEIGHT, WIDTH))

    def test_classes_are_subfolders_in_sorted_order(self, tmp_path):
        names = [f"{('z', 'a/2', 'a/10')[n % 3]}/{n:02}.png" for n in range(12)]
        data = load_images(png_folder(tmp_path, images(12), names))
        assert all((2, 1, 0)[n % 3] == k for n, k in zip(numbers(data.train), data.train.labels, strict=True))

    def test_no_labels_if_an_image_is_directly_in_the_root(self, tmp_path):
        png_folder(tmp_path, images(10))
        png_folder(tmp_path / "a", images(3))
        assert load_images(tmp_path).train.labels is None

    def test_hidden_files_are_skipped(self, tmp_path):
        png_folder(tmp_path, images(10))
        (tmp_path / "._000.png").write_bytes(b"not an image")
        png_folder(tmp_path / ".thumbnails", images(2, 9, 9))
        assert load_images(tmp_path).n_pixels == 12

    @pytest.mark.parametrize(
        ("picture", "level"),
        [
            (Image.new("1", (4, 3), 1), 255),
            (Image.new("L", (4, 3), 77), 77),
            (Image.new("RGB", (4, 3), (77, 77, 77)), 77),
            (Image.new("RGBA", (4, 3), (0, 0, 0, 0)), 255),
            (Image.new("LA", (4, 3), (0, 51)), 204),
            (Image.fromarray(np.full((3, 4), 77 * 257, np.uint16)), 77),
            (Image.new("P", (4, 3), 0), 0),
        ],
        ids=["1", "L", "RGB", "RGBA", "LA", "16 bits", "P"],
    )
    def test_all_kinds_of_gray(self, tmp_path, picture, level):
        for number in range(10):
            picture.save(tmp_path / f"{number}.png")
        assert (load_images(tmp_path).train.pixels == level).all()

    @pytest.mark.parametrize("mode", ["L", "P", "I;16"])
    def test_a_level_declared_transparent_becomes_white(self, tmp_path, mode):
        kind = np.uint16 if mode == "I;16" else np.uint8
        picture = Image.fromarray(np.tile(np.array([7, 0], kind), (3, 2)))
        picture = picture.convert("P") if mode == "P" else picture
        for number in range(10):
            picture.save(tmp_path / f"{number}.png", transparency=7)
        assert load_images(tmp_path).train.pixels[0].tolist() == [255, 0] * 6


class TestSameEverywhere:
    @pytest.mark.parametrize("source", ["digits", "bimodal"])
    def test_packaged(self, source):
        assert load_images(source).checksum() == load_images(source).checksum()

    def test_digits_are_the_same_as_in_earlier_versions(self):
        known = "2fe2aca24605274e0094ff1b42f12eff0c643e608a4d169dfc6da17d74a5243f"
        assert load_images("digits").checksum() == known

    def test_the_global_random_state_has_no_effect(self, tmp_path):
        path = npz(tmp_path / "a.npz", x=images(50))
        first = load_images(path).checksum()
        np.random.seed(3)  # noqa: NPY002
        assert load_images(path).checksum() == first

    def test_every_change_alters_the_checksum(self):
        def made(pixels, labels, shape=(2, 2)):
            split = Split(pixels, labels)
            return ImageData("any", split, split, split, shape, False).checksum()

        pixels, labels = np.arange(8, dtype=np.uint8).reshape(2, 4), np.array([0, 1])
        sums = {
            made(pixels, labels),
            made(pixels, None),
            made(pixels, labels[::-1]),
            made(pixels[::-1], labels),
            made(pixels.astype(np.float32), labels),
            made(pixels.reshape(4, 2), labels),
            made(pixels, labels, (1, 4)),
        }
        assert len(sums) == 7
        assert made(pixels.astype(">f4"), labels) == made(pixels.astype("<f4"), labels)

    def test_the_name_does_not_alter_the_checksum(self, tmp_path):
        sums = {load_images(npz(tmp_path / name, x=images(20))).checksum() for name in ("a.npz", "b.npz")}
        assert len(sums) == 1


class TestBinarisation:
    def test_ones_are_as_frequent_as_the_gray_values_say(self):
        levels = np.tile(np.array([0, 51, 204, 255], np.uint8), (20_000, 1))
        drawn = fixed_binarisation(levels)
        assert drawn.dtype == np.float32
        assert set(np.unique(drawn)) == {0.0, 1.0}
        means = drawn.mean(0)
        assert (means[0], means[3]) == (0, 1)
        assert means[1:3] == pytest.approx([0.2, 0.8], abs=0.015)  # 5 standard errors

    def test_is_deterministic_and_the_same_for_both_pixel_types(self):
        levels = images(20).reshape(20, -1)
        drawn = fixed_binarisation(levels)
        assert np.array_equal(drawn, fixed_binarisation(gray(levels)))
        assert not np.array_equal(drawn, fixed_binarisation(levels, seed=1))

    def test_black_and_white_pixels_are_unchanged(self):
        picture = np.tile(np.array([0, 1], np.float32), (50, 50))
        assert np.array_equal(fixed_binarisation(picture), picture)


def test_no_such_source(tmp_path):
    for source in (tmp_path / "nothing", "mnist5", "", "a\0b"):
        message = refusal(source)
        assert all(word in message for word in ("digits", "bimodal", "idx", ".npz", "PNG"))
    assert "File name too long" in refusal("a" * 5_000)


def test_folders_without_images(tmp_path):
    assert "is empty; expected train-images-idx3-ubyte" in refusal(tmp_path)
    (tmp_path / "notes.txt").write_text("none")
    assert "neither idx files nor PNG or JPEG images; expected train-images" in refusal(tmp_path)


@pytest.mark.parametrize("part", ["train", "t10k"])
def test_a_missing_part_of_mnist(tmp_path, part):
    (mnist_folder(tmp_path) / f"{part}-images-idx3-ubyte").unlink()
    assert f"has no {part}-images-idx3-ubyte" in refusal(tmp_path)


def test_wrong_numbers_of_labels(tmp_path):
    (mnist_folder(tmp_path) / "t10k-labels-idx1-ubyte").write_bytes(as_idx(np.zeros(6, np.uint8)))
    assert "t10k-labels-idx1-ubyte' holds 6 labels for 7 images" in refusal(tmp_path)
    path = npz(tmp_path / "a.npz", x=images(10), y=np.arange(11))
    assert "'y' of" in (message := refusal(path))
    assert "11 labels for 10 images" in message


def test_sizes_of_train_and_test_differ(tmp_path):
    (mnist_folder(tmp_path, labels=False) / "t10k-images-idx3-ubyte").write_bytes(as_idx(images(7, 4, 4)))
    assert "training images of 3 x 4 pixels and test images of 4 x 4" in refusal(tmp_path)


GOOD = as_idx(images(12))
ZIPPED = gzip.compress(GOOD, mtime=0)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not an idx file"),
        (b"\x89PNG\r\n\x1a\n", "PNG.* is not an idx file; expected"),
        (GOOD[:9], "ends within its header"),
        (GOOD[:-1], "promises 144 bytes of data and ends after 143"),
        (GOOD + b"\0", "promises 144 bytes of data and continues after them"),
        (as_idx(images(12), b"\0\0\x0d\x03"), "type 13 with 3 dimensions; expected unsigned bytes"),
        (as_idx(np.zeros(12, np.uint8)), "type 8 with 1 dimensions; expected unsigned bytes .* with 3"),
        (b"\0\0\x08\x03" + b"\xff" * 12 + b"few", "promises 79,228,162,458,924,105,385,300,197,375 bytes"),
        (as_idx(np.zeros((12, 0, 3), np.uint8)), "images of 0 pixels"),
        (as_idx(images(9)), "holds 9 images in all; expected at least 10"),
        (as_idx(np.zeros((0, 3, 3), np.uint8)), "holds 0 images"),
        (ZIPPED[:-9], "damaged or cut off"),
        (ZIPPED[:-6] + b"\0" + ZIPPED[-5:], "damaged or cut off .CRC"),
        (ZIPPED[:20] + b"\xff\xff\xff" + ZIPPED[23:], "damaged or cut off"),
        (ZIPPED + b"more", "damaged or cut off"),
        (gzip.compress(GOOD + b"\0", mtime=0), "continues after them"),
        (gzip.compress(GOOD[:-1], mtime=0), "ends after 143"),
        (gzip.compress(b"text", mtime=0), "is not an idx file"),
    ],
)
def test_bad_idx(tmp_path, content, message):
    path = tmp_path / "images.idx"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        load_images(path)
    assert "images.idx" in refusal(path)


def test_a_forged_header_costs_no_memory():
    tracemalloc.start()
    with pytest.raises(InputError, match="ends after 3"):
        read_exactly(io.BytesIO(b"few"), 1 << 60, "it")
    with pytest.raises(InputError, match="continues after them"):
        read_exactly(io.BytesIO(bytes(1 << 22)), 10, "it")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 23


FLOATS = np.linspace(0, 1, 120).reshape(10, 3, 4)


def spoiled(value, at=(6, 2, 1)):
    array = FLOATS.copy()
    array[at] = value
    return array


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": images(10).astype(np.int64)}, r"'x' of .* holds int64; expected uint8 .*astype"),
        ({"x": np.full((10, 4), "a")}, "holds <U1; expected numbers"),
        ({"x": np.ones((10, 4), complex)}, "holds complex128; expected numbers"),
        ({"x": FLOATS * 255}, r"holds 2\.14\d* in image 0, row 0, column 1 .* Divide by 255"),
        ({"x": spoiled(1.0000001)}, r"holds 1\.0000001 in image 6, row 2, column 1 .*expected floats from 0 to 1"),
        ({"x": spoiled(-0.5)}, r"holds -0\.5 in image 6.*Rescale or correct"),
        ({"x": spoiled(np.nan)}, "holds nan in image 6"),
        ({"x": spoiled(np.inf).reshape(10, 12)}, "holds inf in image 6, pixel 9"),
        ({"x": np.zeros((10, 3, 4, 2), np.uint8)}, r"shape \(10, 3, 4, 2\); expected gray"),
        ({"x": np.zeros(10, np.uint8)}, r"shape \(10,\); expected gray"),
        ({"x": np.uint8(3)}, r"shape \(\); expected gray"),
        ({"x": np.zeros((10, 0), np.uint8)}, "images of 0 pixels"),
        ({"x": images(9)}, "holds 9 images in all; expected at least 10"),
        ({"x_train": images(9), "x_test": images(5)}, "holds 9 images for training; expected at least 10"),
        ({"x_train": images(10), "x_test": images(0)}, "holds 0 images for testing; expected at least 1"),
        ({"x_train": images(10), "x_test": images(5, 3, 3)}, "images of 3 x 4 pixels and test images of 3 x 3"),
        ({"x_train": images(10), "x_test": images(5) / 255}, "'x_train' of uint8 and 'x_test' of float32"),
        ({"x_train": images(10)}, "holds 'x_train'; expected exactly one of these: x_train and x_test"),
        ({"pictures": images(10), "z": images(3)}, "holds 'pictures', 'z'; expected exactly one"),
        ({}, "holds nothing; expected exactly one"),
        ({"x": images(10), "data": images(10)}, "expected exactly one"),
        ({"x": images(10), "y": np.arange(10), "labels": np.arange(10)}, "'y' and 'labels'; expected one"),
        ({"x": images(10), "y": np.eye(10)}, r"'y' .*float64 of shape \(10, 10\); expected one integer"),
        ({"x": images(10), "y": np.full(10, "cat")}, "'y' .*expected numbers"),
        ({"x": np.array([{}] * 10, dtype=object)}, "pickled Python objects, which are never read"),
    ],
)
def test_bad_arrays(tmp_path, arrays, message):
    path = npz(tmp_path / "bad.npz", **arrays)
    with pytest.raises(InputError, match=message):
        load_images(path)
    assert "bad.npz" in refusal(path)


def npy(header, data=b"", version=b"\x01\x00"):
    text = header.encode("latin-1") + b"\n"
    return b"\x93NUMPY" + version + struct.pack("<H" if version[0] == 1 else "<I", len(text)) + text + data


def header(shape, descr="|u1"):
    return f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape}}}"


@pytest.mark.parametrize(
    ("member", "message"),
    [
        (npy(header("(1 << 60,)")), "damaged"),
        (npy(header((1 << 60, 1 << 60))), "promises 1,329,227,995,784,915,872,903,807,060,280,344,576 bytes"),
        (npy(header((10, 12)), bytes(119)), "promises 120 bytes of data and ends after 119"),
        (npy(header((10, 12)), bytes(121)), "promises 120 bytes of data and continues"),
        (npy(header((-10, 12)), bytes(120)), "expected sizes of 0 or more"),
        (npy(header((0, 1 << 70))), "damaged"),
        (npy(header((10, 12), "|O"), b"cos\nsystem\n"), "pickled Python objects"),
        (npy(header((10, 12), "|V0")), "expected numbers"),
        (npy(header((10, 12)), bytes(120), b"\x03\x00"), r"version \(3, 0\)"),
        (npy("{'descr'"), "damaged"),
        (npy("__import__('os').abort()"), "damaged"),
        (npy("(" * 5_000), "damaged"),
        (npy(" " * 20_000), "damaged"),
        (b"no array", "damaged"),
        (b"", "damaged"),
    ],
)
def test_bad_members(tmp_path, member, message):
    path = tmp_path / "bad.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", member)
    with pytest.raises(InputError, match=message):
        load_images(path)
    assert "bad.npz" in refusal(path)


def test_version_2_of_npy_is_read(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("x.npy", npy(header((10, 12)), images(10).tobytes(), b"\x02\x00"))
    assert len(load_images(tmp_path / "a.npz").train.pixels) == 8


def test_damaged_archives(tmp_path):
    whole = npz(tmp_path / "a.npz", x=images(40)).read_bytes()
    for content in (b"", b"no archive", whole[: len(whole) // 2], whole[:60] + b"\0\0\0\0" + whole[64:]):
        (tmp_path / "a.npz").write_bytes(content)
        assert "damaged or cut off" in refusal(tmp_path / "a.npz")


def test_an_archive_larger_than_memory_is_not_unpacked(tmp_path, monkeypatch):
    path = npz(tmp_path / "a.npz", x=np.zeros((40, 100, 100), np.uint8))
    monkeypatch.setattr("topicnet.storage.npz.available_memory", lambda: 400_000)
    assert "needs more memory than there is" in refusal(path)
    monkeypatch.setattr("topicnet.storage.npz.available_memory", lambda: 401_000)
    assert load_images(path).n_pixels == 10_000


def test_archives_with_another_compression_or_a_password(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("x.npy", npy(header((10, 12)), bytes(120)))
    assert "compressed by method 14; expected one that numpy uses" in refusal(tmp_path / "a.npz")
    with zipfile.ZipFile(tmp_path / "b.npz", "w") as archive:
        archive.writestr("x.npy", npy(header((10, 12)), bytes(120)))
    locked = bytearray((tmp_path / "b.npz").read_bytes())
    locked[6] |= 1
    locked[locked.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "b.npz").write_bytes(locked)
    assert "password required" in refusal(tmp_path / "b.npz")


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width, height, data=None, extra=b"", depth=8):
    """A gray PNG whose header promises any size."""
    rows = (b"\0" + bytes(width)) * height if data is None else data
    size = chunk(b"IHDR", struct.pack(">2I5B", width, height, depth, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + size + extra + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


PNG = png(WIDTH, HEIGHT)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not a PNG image"),
        (b"GIF89a" + bytes(40), "begins with b'GIF89a.* is not a PNG image"),
        (PNG[:20], "is not a PNG image"),
        (PNG[:30], "damaged or cut off"),
        (PNG[:50], "ends early|wrong checksum"),
        (PNG[:-12], "ends early"),
        (PNG[:29] + b"\0\0\0\0" + PNG[33:], "wrong checksum of the chunk b'IHDR'"),
        (PNG[:43] + b"\xff" + PNG[44:], "wrong checksum of the chunk b'IDAT'"),
        (png(WIDTH, HEIGHT, b"\0\0\0"), "damaged or cut off"),
        (png(WIDTH, HEIGHT, depth=7), "a kind of PNG that Pillow cannot read"),
        (png(0, 3, b""), "is 3 x 0 pixels; expected 1 to"),
        (png(100_000, 100_000, b""), "is 100000 x 100000 pixels; expected 1 to 16,777,216"),
        (
            png(WIDTH, HEIGHT, extra=chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(1 << 24)))),
            "damaged or cut off .*too large",
        ),
        (png(5, HEIGHT), "3 x 5 .height x width. and '.*000.png' is 3 x 4; expected images of one size"),
    ],
)  # fmt: skip
def test_bad_png(tmp_path, content, message):
    png_folder(tmp_path, images(12))
    (tmp_path / "007.png").write_bytes(content)
    with pytest.raises(InputError, match=message):
        load_images(tmp_path)
    assert "007.png" in refusal(tmp_path)


def test_the_valid_png_of_these_cases_is_accepted(tmp_path):
    png_folder(tmp_path, images(12))
    (tmp_path / "007.png").write_bytes(PNG)
    assert len(load_images(tmp_path).train.pixels) == 10


def test_the_first_image_that_differs_is_named(tmp_path):
    png_folder(tmp_path, [*images(5), *images(2, 5, 6), *images(5)], [f"{n:02}/a.png" for n in range(12)])
    message = refusal(tmp_path)
    assert "05/a.png' is 5 x 6 (height x width) and" in message
    assert "00/a.png' is 3 x 4" in message


def test_too_few_png_images(tmp_path):
    assert "holds 9 images in all; expected at least 10" in refusal(png_folder(tmp_path, images(9)))


def test_without_pillow(tmp_path, monkeypatch):
    png_folder(tmp_path, images(12))
    monkeypatch.setitem(sys.modules, "PIL", None)
    assert "needs Pillow, which is not installed: pip install 'topicnet-neural[images]'" in refusal(tmp_path)


def test_heavy_libraries_are_not_imported_until_needed():
    code = "import sys, topicnet.images.data.load; print([n for n in ('torch', 'sklearn', 'PIL') if n in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_a_dangling_link(tmp_path):
    (png_folder(tmp_path, images(12)) / "x.png").symlink_to("gone")
    assert "x.png': No such file" in refusal(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file(tmp_path):
    path = npz(tmp_path / "a.npz", x=images(10))
    path.chmod(0)
    assert "cannot read" in refusal(path)


@pytest.mark.parametrize("name", ["idx\nfile", "bad\n.npz"])
def test_messages_are_one_line_for_any_file_name(tmp_path, name):
    (tmp_path / name).write_bytes(b"nothing")
    assert "\n" not in refusal(tmp_path / name)


@pytest.mark.data
class TestRealImages:
    @pytest.mark.parametrize(("name", "mean"), [("mnist", 0.1307), ("fashion_mnist", 0.2860)])
    def test_mnist_and_fashion(self, shared_data, name, mean):
        data = load_images(shared_data / name)
        assert (data.name, data.shape, data.binary) == (name, (28, 28), False)
        assert [len(split.pixels) for split in splits(data)] == [50_000, 10_000, 10_000]
        whole = np.concatenate([data.train.pixels, data.validation.pixels])
        assert whole.mean() / 255 == pytest.approx(mean, abs=5e-5)  # published
        expected = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949] if name == "mnist" else [6000] * 10
        assert np.bincount(np.concatenate([data.train.labels, data.validation.labels])).tolist() == expected

    def test_omniglot(self, shared_data):
        data = load_images(shared_data / "omniglot" / "omniglot28.npz")
        assert [len(split.pixels) for split in splits(data)] == [17_352, 1_928, 13_180]
        assert (data.name, data.shape, data.binary) == ("omniglot28.npz", (28, 28), False)
        both = np.bincount(np.concatenate([data.train.labels, data.validation.labels]))
        assert both.tolist() == [20] * 964
        assert len(np.unique(data.test.labels)) == 659

    def test_an_archive_with_unsupported_shapes(self, shared_data):
        assert "shape (964, 20, 105, 105)" in refusal(shared_data / "omniglot" / "images_background.npz")

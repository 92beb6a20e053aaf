"""Images in colour: folders of PNG and JPEG files, and arrays with three channels."""

import io
import warnings

import numpy as np
import pytest
from PIL import Image

from topicnet.errors import InputError
from topicnet.images.data.load import load_images

SIZE = (4, 3)  # width and height for Pillow
ORDER = np.random.default_rng(0).permutation(10)


def save(folder, pictures, ending="png", **options):
    folder.mkdir(parents=True, exist_ok=True)
    for number, picture in enumerate(pictures):
        picture.save(folder / f"{number:02}.{ending}", **options)
    return folder


def plain(colour, mode="RGB"):
    return Image.new(mode, SIZE, colour)


def first_pixels(data):
    """Values of the first pixel of every image, in the order of the paths."""
    pixels = np.concatenate([part.pixels for part in (data.train, data.validation, data.test)])
    back = np.empty_like(pixels)
    back[ORDER] = pixels
    return back[:, : data.channels].tolist()


def test_a_folder_in_colour_keeps_the_channels_of_a_pixel_together(tmp_path):
    data = load_images(save(tmp_path, [plain((number, 200, 7)) for number in range(10)]))
    assert (data.shape, data.channels, data.n_pixels, data.binary) == ((3, 4, 3), 3, 36, False)
    assert first_pixels(data) == [[number, 200, 7] for number in range(10)]
    assert data.summary().endswith("3 x 4 pixels in colour")
    pictures = data.pictures(data.test.pixels)
    assert pictures.shape == (1, 3, 4, 3)
    assert (pictures[0, :, :, 1] == 200).all()


def test_one_coloured_image_makes_a_folder_coloured(tmp_path):
    given = [plain(number, "L") for number in range(9)] + [plain((255, 0, 0))]
    data = load_images(save(tmp_path, given))
    assert first_pixels(data) == [[number] * 3 for number in range(9)] + [[255, 0, 0]]


def test_gray_images_stored_in_colour_are_gray(tmp_path):
    stored = load_images(save(tmp_path / "a", [plain((n, n, n)) for n in range(10)]))
    gray = load_images(save(tmp_path / "b", [plain(n, "L") for n in range(10)]))
    assert stored.shape == (3, 4)
    assert stored.checksum() == gray.checksum()


def test_transparent_pixels_become_white(tmp_path):
    data = load_images(save(tmp_path, [plain((255, 0, 0, 0), "RGBA")] * 5 + [plain((255, 0, 0, 51), "RGBA")] * 5))
    assert first_pixels(data) == [[255, 255, 255]] * 5 + [[255, 204, 204]] * 5


def test_jpeg_images_with_labels(tmp_path):
    for name, colour in (("blue", (0, 0, 250)), ("red", (250, 0, 0))):
        save(tmp_path / name, [plain(colour)] * 5, "JPG" if name == "red" else "jpeg", quality=95)
    data = load_images(tmp_path)
    expected = np.array([[0, 0, 250]] * 5 + [[250, 0, 0]] * 5)
    assert np.abs(np.array(first_pixels(data)).astype(int) - expected).max() < 8
    red = data.train.pixels.reshape(-1, 12, 3)[:, 0, 0] > 200
    assert red.tolist() == (data.train.labels == 1).tolist()


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_other_kinds_of_jpeg(tmp_path, mode):
    data = load_images(save(tmp_path, [plain("white", mode)] * 10, "jpg"))
    assert data.shape == (3, 4)
    assert (data.train.pixels >= 254).all() or data.binary


def jpeg(progressive=False, size=SIZE):
    stream = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (size[1], size[0], 3)).astype(np.uint8)
    Image.fromarray(noise).save(stream, "JPEG", progressive=progressive)
    return stream.getvalue()


def with_size(content, height, width, marker=b"\xff\xc0"):
    at = content.index(marker) + 5
    return content[:at] + height.to_bytes(2) + width.to_bytes(2) + content[at + 4 :]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (jpeg()[:100], "damaged or cut off"),
        (jpeg()[:-60], "damaged or cut off"),
        (b"\xff\xd8\xff", "it has no header with a size"),
        (b"\xff\xd8\xff" + bytes(40), "it has no header with a size"),
        (b"\xff\xd8" + b"\xff" * 400, "it has no header with a size"),
        (b"\xff\xd8\xff\xe0" + b"\x00\x00" * 40, "it has no header with a size"),
        (with_size(jpeg(), 60_000, 60_000), "is 60000 x 60000 pixels; expected 1 to 16,777,216"),
        (with_size(jpeg(progressive=True), 0, 4, b"\xff\xc2"), "is 0 x 4 pixels"),
        (jpeg(size=(5, 3)), "3 x 5 .height x width. and .* is 3 x 4; expected images of one size"),
        (b"GIF89a" + bytes(40), "is not a PNG image, nor a JPEG image"),
    ],
)
def test_bad_jpeg(tmp_path, content, message):
    save(tmp_path, [plain((1, 2, 3))] * 10, "jpg")
    (tmp_path / "07.jpg").write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(InputError, match=message) as caught:
            load_images(tmp_path)
    assert "07.jpg" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_arrays_with_three_channels(tmp_path, kind):
    x = np.random.default_rng(1).integers(0, 2, (20, 3, 4, 3)).astype(kind)
    np.savez(tmp_path / "a.npz", x_train=x[:15], x_test=x[15:])
    data = load_images(tmp_path / "a.npz")
    assert (data.shape, data.n_pixels, data.binary) == ((3, 4, 3), 36, False)
    assert np.array_equal(data.pictures(data.test.pixels), x[15:] * (255 if kind == np.uint8 else 1))


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((10, 3, 8, 8), np.uint8), r"shape \(10, 3, 8, 8\); .*Move the channels to the end"),
        (np.zeros((10, 8, 8, 4), np.uint8), r"colour as \(n, height, width, 3\). Reshape"),
        (np.full((10, 2, 2, 3), 2.0), "image 0, row 0, column 0, channel 0 .*Divide by 255"),
    ],
)
def test_bad_arrays(tmp_path, x, message):
    np.savez(tmp_path / "a.npz", x=x)
    with pytest.raises(InputError, match=message):
        load_images(tmp_path / "a.npz")

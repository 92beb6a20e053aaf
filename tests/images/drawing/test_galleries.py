"""Galleries and charts: layout, margins, reproducible bytes, and one-line errors for invalid input."""

import io
import sys

import numpy as np
import pytest
from PIL import Image

from tests.support.pages import BELOW, BLUE, EDGE, GREEN, ORANGE, PITCH, gray_levels, is_colour, pixels, tile
from topicnet.errors import InputError
from topicnet.images.drawing.charts import bands, bars, curves, heat_map, histograms
from topicnet.images.drawing.galleries import gallery, labelled_gallery, pairs_gallery

WIDE = "a name of many words that would not fit anywhere near the place it belongs to, W" * 3
RNG = np.random.default_rng(7)
DIGITS = RNG.random((23, 64))
BIMODAL = np.concatenate([RNG.normal(0.3, 0.05, 4000), RNG.normal(0.7, 0.05, 4000)])


def bimodal_density(x):
    return sum(np.exp(-0.5 * ((x - m) / 0.05) ** 2) / (0.1 * np.sqrt(2 * np.pi)) for m in (0.3, 0.7))


def ink(page):
    """A mask of all pixels that are not white."""
    return (page < 250).any(axis=-1) if page.ndim == 3 else page < 250


def assert_white_around(page, width=6):
    marked = ink(page)
    marked[width:-width, width:-width] = False
    assert not marked.any()


def n_runs(flags):
    """Number of stretches of true values."""
    return int((np.diff(np.concatenate([[0], flags.astype(int)])) == 1).sum())


# ---- galleries ----


def test_gallery_shows_each_image_at_its_position():
    page = pixels(gallery(DIGITS, (8, 8)))
    assert page.shape == (2 * EDGE + 3 * PITCH - 2, 2 * EDGE + 10 * PITCH - 2)
    for i, image in enumerate(DIGITS):
        assert (tile(page, EDGE + i % 10 * PITCH, EDGE + i // 10 * PITCH) == gray_levels(image)).all()
    assert (page[EDGE + 2 * PITCH :, EDGE + 3 * PITCH - 2 :] == 255).all()  # no tile beyond the last image


def test_gallery_with_columns():
    page = pixels(gallery(DIGITS[:5, :6], (2, 3), columns=2))
    assert page.shape[1] == 2 * EDGE + 2 * 59 + 2  # three pixels, enlarged 19 times
    for i, image in enumerate(DIGITS[:5]):
        top, left = EDGE + i // 2 * 42, EDGE + i % 2 * 61
        assert (page[top + 5 : top + 39 : 19, left + 5 : left + 59 : 19].ravel() == gray_levels(image[:6])).all()


def test_white_images_have_a_visible_frame():
    page = pixels(gallery(np.ones((2, 64)), (8, 8)))
    assert (page[EDGE, EDGE : EDGE + 58] < 200).all()
    assert (page[EDGE + 5, EDGE + 58 : EDGE + 60] == 255).all()


@pytest.mark.parametrize(("side", "scale"), [(8, 7), (28, 2), (64, 1), (105, 1)])
def test_small_images_are_enlarged_by_whole_factors(side, scale):
    assert pixels(gallery(np.zeros((1, side**2)), (side, side))).shape[0] == 2 * EDGE + side * scale + 2


@pytest.mark.parametrize("kind", [bool, np.float32, np.uint8])
def test_gallery_accepts_numpy_types(kind):
    black_and_white = (DIGITS[:3] > 0.5).astype(kind)
    assert gallery(black_and_white, (8, 8)) == gallery(black_and_white.astype(float), (8, 8))


def test_rounding_errors_outside_the_range_are_clipped():
    levels = np.array([[-1e-7, 1 + 1e-7]])
    assert set(pixels(gallery(levels, (1, 2)))[EDGE + 1, EDGE + 1 : -EDGE - 1].tolist()) == {0, 255}


def test_labelled_gallery_has_labels_to_the_left_of_their_rows():
    rows = [("category 3 (0.12)", DIGITS[:2]), ("", DIGITS[2:7]), (WIDE, DIGITS[7:8])]
    page = pixels(labelled_gallery(rows, (8, 8)))
    assert_white_around(page)
    indent = page.shape[1] - EDGE - 5 * PITCH + 2
    pitch = 58 + 6
    for i, images in enumerate([DIGITS[:2], DIGITS[2:7], DIGITS[7:8]]):
        for j, image in enumerate(images):
            assert (tile(page, indent + j * PITCH, EDGE + i * pitch) == gray_levels(image)).all()
    texts = ink(page[:, : indent - 4])
    assert not ink(page[:, indent - 4 : indent]).any()
    middle = [texts[EDGE + i * pitch + 15 : EDGE + i * pitch + 45] for i in range(3)]
    assert [bool(m.any()) for m in middle] == [True, False, True]
    assert texts.sum() == sum(m.sum() for m in middle)  # and nowhere else


def test_flat_images_leave_room_for_their_labels():
    page = pixels(labelled_gallery([("one", DIGITS[:1]), ("two", DIGITS[:1])], (1, 64)))
    left = ink(page)[:, :40]
    assert n_runs(left.any(axis=1)) == 2
    assert_white_around(page)


def test_originals_are_above_their_reconstructions():
    blurred = 1 - DIGITS
    page = pixels(pairs_gallery(DIGITS, blurred, (8, 8)))
    indent, group = page.shape[1] - EDGE - 10 * PITCH + 2, 2 * PITCH - 2 + 16
    for i in range(len(DIGITS)):
        left, top = indent + i % 10 * PITCH, EDGE + i // 10 * group
        assert (tile(page, left, top) == gray_levels(DIGITS[i])).all()
        assert (tile(page, left, top + PITCH) == gray_levels(blurred[i])).all()
    assert_white_around(page)


# ---- charts ----


def longest_run(flags):
    """First and last index of the longest stretch of true values."""
    turns = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(int), [0]]))).reshape(-1, 2)
    begin, end = turns[np.diff(turns).argmax()]
    return int(begin), int(end) - 1


def plot_of(page):
    """Left, top, right and bottom of the area inside the axes, found from the gray left axis and lines that meet it."""
    left = int(is_colour(page, (102, 102, 102)).sum(axis=0).argmax())
    marked = ink(page)
    top, bottom = longest_run(marked[:, left])
    right = max(left + int((~marked[row, left:]).argmax()) - 1 for row in range(top, bottom + 1))
    return left, top, right, bottom


def test_histogram_has_two_modes_and_follows_the_true_density():
    page = pixels(histograms([("samples", BIMODAL)], ("true density", bimodal_density), "The bimodal toy", "x"))
    assert_white_around(page)
    left, top, right, bottom = plot_of(page)
    inside = page[top:bottom, left + 1 : right]
    filled = (inside[..., 2] - inside[..., 0] > 20).sum(axis=0)  # blue pixels per column
    at = [int((m - BIMODAL.min()) / (BIMODAL.max() - BIMODAL.min()) * (right - left)) for m in (0.3, 0.5, 0.7)]
    first, valley, second = (filled[a - 10 : a + 10].max() for a in at)
    assert min(first, second) > 0.8 * (bottom - top)
    assert valley < 0.1 * (bottom - top)
    black = np.flatnonzero(is_colour(inside, (0, 0, 0)).any(axis=1))  # up to the density of 3.99
    tallest = np.histogram(BIMODAL, 80, density=True)[0].max()
    assert 1 - black[0] / (bottom - top) == pytest.approx(bimodal_density(0.3) / (1.05 * tallest), abs=0.02)


def test_a_true_density_as_points_is_drawn_like_the_function():
    x = np.linspace(-1, 2, 30_001)
    drawn = [
        pixels(histograms([("s", BIMODAL)], ("t", truth), "", "x"))
        for truth in (bimodal_density, np.stack([x, bimodal_density(x)]))
    ]
    assert (drawn[0] != drawn[1]).any(axis=-1).mean() < 0.001


def test_histograms_of_categories_have_their_colours_and_a_legend():
    series = [("all", BIMODAL), ("category 0", BIMODAL[:4000]), ("category 1", BIMODAL[4000:])]
    page = pixels(histograms(series, None, "t", "x"))
    left, top, right, _ = plot_of(page)
    legend = page[top:, right + 12 :]
    rows = [int(is_colour(legend, colour).any(axis=1).argmax()) for colour in (BLUE, ORANGE, GREEN)]
    gaps = np.diff(rows)
    assert gaps[0] == gaps[1] > 12  # a line of text each
    third = (right - left) // 3
    left_mode, right_mode = page[:, left : left + third], page[:, right - third : right]
    assert is_colour(left_mode, ORANGE).any()
    assert not is_colour(left_mode, GREEN).any()
    assert is_colour(right_mode, GREEN).any()
    assert not is_colour(right_mode, ORANGE).any()


@pytest.mark.parametrize("value", [0.0, 0.5, -1e12])
def test_a_histogram_of_a_single_value(value):
    assert_white_around(pixels(histograms([("s", np.full(3, value))], None, "t", "x")))


def bar_heights(page, n):
    left, top, right, bottom = plot_of(page)
    centres = np.linspace(left, right, 2 * n + 1)[1::2].round().astype(int)
    columns = page[top:bottom, centres]
    return (is_colour(columns, BLUE) | is_colour(columns, BELOW)).sum(axis=0), columns[-4], bottom - top


def test_bar_heights_are_proportional_to_values():
    values = np.array([0.4, 0.3, 0.2, 0.1, 0.05])
    heights, _, _ = bar_heights(pixels(bars(list("abcde"), values, "q(c)", "share")), 5)
    assert heights / heights[0] == pytest.approx(values / 0.4, abs=0.01)


def test_bars_above_the_threshold_are_blue():
    page = pixels(bars(list("abcde"), np.array([0.4, 0.3, 0.2, 0.07, 0.03]), "q(c)", "share", threshold=0.2))
    _, foot, _ = bar_heights(page, 5)
    assert foot.tolist() == [list(c) for c in (BLUE, BLUE, BELOW, BELOW, BELOW)]
    line = is_colour(page, ORANGE)
    _, top, right, bottom = plot_of(page)
    row = int(line.sum(axis=1).argmax())
    assert (bottom - row) / (bottom - top) == pytest.approx(0.2 / (0.4 * 1.05), abs=0.01)
    assert line[row - 8 : row + 8, right + 3 :].any()  # its value


def test_500_bars_are_separate():
    values = np.where(np.arange(500) % 2, 1.0, 0.1)
    page = pixels(bars([str(k) for k in range(500)], values, "q(c)", "share", threshold=1 / 500))
    left, top, _, bottom = plot_of(page)
    assert n_runs(is_colour(page, BLUE)[(top + bottom) // 2, left + 1 :]) == 250
    assert_white_around(page)


def test_names_that_do_not_fit_are_vertical_or_left_out():
    def below(n, name):
        page = pixels(bars([name] * n, np.ones(n), "", ""))
        assert_white_around(page)
        return page.shape[0] - plot_of(page)[3]

    assert below(10, "7") < 50
    assert 50 < below(20, "T-shirt/top") < 120
    assert below(200, "T-shirt/top") < 60


def test_negative_bars_hang_from_zero():
    page = pixels(bars(["a", "b"], np.array([1.0, -1.0]), "t", "y"))
    left, top, right, bottom = plot_of(page)
    blue = is_colour(page, BLUE)
    up = np.flatnonzero(blue[:, left + (right - left) // 4])
    down = np.flatnonzero(blue[top : bottom - 1, left + 3 * (right - left) // 4]) + top
    assert up.max() < down.min() + 2


def test_heat_map_is_darker_for_larger_values():
    matrix = np.array([[1.0, 0.5, 0.0], [0.0, 0.25, 0.75]])
    page = pixels(heat_map(matrix, ["sock", "shoe"], ["0", "1", "2"], "q(c | label)"))
    assert_white_around(page)
    dark = is_colour(page, (8, 48, 107))  # the cell of 1, and the top of the scale on the right
    top, left = (int(np.flatnonzero(dark.any(axis=axis)).min()) for axis in (1, 0))
    corners = page[[[top + 2], [top + 32]], [left + 3, left + 59, left + 115]].sum(axis=-1)  # clear of the numbers
    assert (np.argsort(corners.ravel(), kind="stable") == np.argsort(-matrix.ravel(), kind="stable")).all()
    assert corners[0, 2] == corners[1, 0] == 3 * 255
    assert corners[0, 1] == 107 + 174 + 214


@pytest.mark.parametrize(("n_columns", "numbered"), [(10, True), (150, False)])
def test_cells_are_numbered_if_the_numbers_fit(n_columns, numbered):
    empty = np.zeros((3, n_columns))
    page = pixels(heat_map(empty, list("abc"), [str(k) for k in range(n_columns)], "t"))
    left, top, right, bottom = plot_of(page)
    assert ink(page[top + 3 : bottom - 2, left + 3 : right - 2]).any() == numbered
    assert_white_around(page)


def test_curves_have_markers_at_their_points():
    x, y = np.array([0.0, 1.0, 5.0]), np.array([0.0, 2.0, 1.0])
    page = pixels(curves([("one", x, y), ("two", x, y + 1)], "lambda", "nats", "A sweep"))
    assert_white_around(page)
    left, top, right, bottom = plot_of(page)
    for values, colour in ((y, BLUE), (y + 1, ORANGE)):
        for a, b in zip(x, values, strict=True):
            across = left + (a + 0.2) / 5.4 * (right - left)
            down = bottom - (b + 0.12) / 3.24 * (bottom - top)
            around = page[round(down) - 2 : round(down) + 3, round(across) - 2 : round(across) + 3]
            assert is_colour(around, colour).mean() > 0.8


def test_bands_are_drawn_around_their_lines_and_below_a_limit():
    x, y = np.array([0.0, 1.0]), np.array([1.0, 1.0])
    page = pixels(bands([("one", x, y, y - 0.5, y + 0.5)], ("most", 2.0), "epoch", "nats", "t"))
    assert_white_around(page)
    left, top, right, bottom = plot_of(page)
    middle = (left + right) // 2

    def at(value):  # the axis ends 8 % above the limit
        down = round(bottom - value / 2.16 * (bottom - top))
        return page[down - 1 : down + 2, middle - 30 : middle + 30]

    assert is_colour(at(1.0), BLUE).any()
    assert (at(2.0) < 60).all(axis=-1).any()  # black
    for inside, outside in ((1.4, 1.6), (0.6, 0.4)):
        assert (at(inside)[..., 0] < 240).all()
        assert (at(outside)[..., 0] >= 228).all()  # white, or a line of the grid


LEVELS = np.array([1.0, 2.0])


@pytest.mark.parametrize(
    "draw",
    [
        lambda: histograms([(WIDE, BIMODAL)] * 18, (WIDE, bimodal_density), WIDE, WIDE),
        lambda: histograms([("wide axis", np.array([-1e30, 1e30]))], None, "", ""),
        lambda: bars([WIDE] * 3, np.array([1e-9, 2e-9, 3e-9]), WIDE, WIDE, threshold=1.23456e-9),
        lambda: bars([WIDE] * 30, np.arange(30.0), "", "", threshold=100.0),
        lambda: bars([WIDE] * 100, np.zeros(100), WIDE, ""),
        lambda: bars(["one"], np.array([5]), "", "count"),
        lambda: heat_map(np.eye(30), [WIDE] * 30, [WIDE] * 30, WIDE),
        lambda: heat_map(np.full((1, 1), -123456.0), ["r"], ["c"], WIDE),
        lambda: heat_map(np.zeros((50, 200)), ["r"] * 50, [WIDE] * 200, "t"),
        lambda: curves([(WIDE, LEVELS, LEVELS)] * 18, WIDE, WIDE, WIDE),
        lambda: curves([("x", 1e9 + LEVELS, 1e-9 * LEVELS)], "x", "y", "t"),
        lambda: curves([("x", LEVELS, np.full(2, 1 / 3))], "x", "y", "t"),
        lambda: bands([(WIDE, LEVELS, LEVELS, LEVELS, LEVELS)] * 18, (WIDE, 9.0), WIDE, WIDE, WIDE),
        lambda: bands([("zero", LEVELS, *[0 * LEVELS] * 3)], None, "x", "y", "t"),
        lambda: labelled_gallery([(WIDE, DIGITS)], (8, 8)),
    ],
)
def test_nothing_is_clipped(draw):
    assert_white_around(pixels(draw()))


def test_letters_outside_ascii_are_converted():
    def titled(title):
        return pixels(curves([("s", LEVELS, LEVELS)], "x", "y", title))

    assert (titled("café") == titled("cafe")).all()
    assert (titled("λ\x00\n= 1") == titled(r"\u03bb? = 1")).all()


def test_names_are_drawn_literally():
    """Dollar signs are drawn, and a leading underscore does not hide a name from the legend."""

    def titled(name):
        return pixels(curves([(name, LEVELS, LEVELS)], name, name, name))

    assert titled(r"$\nonsense$").shape[1] > titled(r"\nonsense").shape[1]
    assert titled("_x").shape[1] > titled("x").shape[1]


def test_charts_without_matplotlib_are_refused_in_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    for draw in (
        lambda: histograms([("a", LEVELS)], None, "t", "x"),
        lambda: bars(list("ab"), LEVELS, "t", "y"),
        lambda: heat_map(np.eye(2), list("ab"), list("cd"), "t"),
        lambda: curves([("a", LEVELS, LEVELS)], "x", "y", "t"),
        lambda: bands([("a", LEVELS, LEVELS, LEVELS, LEVELS)], None, "x", "y", "t"),
    ):
        with pytest.raises(InputError, match=r"needs matplotlib, .*: pip install 'topicnet-neural\[plots\]'$"):
            draw()
    assert gallery(DIGITS, (8, 8))


def test_the_same_input_gives_the_same_bytes():
    def all_of_them():
        return [
            gallery(DIGITS, (8, 8)),
            labelled_gallery([("a", DIGITS)], (8, 8)),
            pairs_gallery(DIGITS, DIGITS, (8, 8)),
            histograms([("a", BIMODAL)], ("t", bimodal_density), "t", "x"),
            bars(list("ab"), LEVELS, "t", "y", 1.5),
            heat_map(np.eye(2), list("ab"), list("cd"), "t"),
            curves([("a", LEVELS, LEVELS)], "x", "y", "t"),
            bands([("a", LEVELS, LEVELS, LEVELS, LEVELS)], ("b", 3.0), "x", "y", "t"),
        ]

    assert all_of_them() == all_of_them()


# ---- bad input ----

NAN = np.array([1.0, np.nan])
BAD = {
    "no images": (lambda: gallery(np.zeros((0, 64)), (8, 8)), r"images: given .*\(0, 64\); expected .* at least one"),
    "no shape": (lambda: gallery(DIGITS, None), "images have no height and width; expected pictures"),
    "another shape": (lambda: gallery(DIGITS, (8, 9)), "64 values each; expected 8 x 9"),
    "negative shape": (lambda: gallery(DIGITS, (-8, -8)), "expected -8 x -8"),
    "one image flat": (lambda: gallery(DIGITS[0], (8, 8)), r"\(64,\); expected numbers in 2 dimensions"),
    "8 bits": (lambda: gallery(DIGITS * 255, (8, 8)), r"expected \[0, 1\]: divide 8-bit levels by 255"),
    "below 0": (lambda: gallery(DIGITS - 0.1, (8, 8)), r"images reach from -0\.\d+"),
    "nan": (lambda: gallery(np.full((2, 4), np.nan), (2, 2)), r"images: the value at \(0, 0\) is nan"),
    "text": (lambda: gallery(np.array([["a"]]), (1, 1)), "given an array of <U1"),
    "objects": (lambda: gallery(np.array([[None]]), (1, 1)), "given an array of object"),
    "columns": (lambda: gallery(DIGITS, (8, 8), columns=0), "columns is 0; expected a whole number of at least 1"),
    "huge": (lambda: gallery(np.zeros((21_000, 64)), (8, 8)), "expected at most 64000000 in all"),
    "no rows": (lambda: labelled_gallery([], (8, 8)), "no rows; expected at least one label"),
    "empty row": (lambda: labelled_gallery([("c 1", DIGITS[:0])], (8, 8)), "the images of 'c 1': given"),
    "vectors": (lambda: labelled_gallery([("c 1", DIGITS)], None), "the images of 'c 1' have no height"),
    "pairs": (lambda: pairs_gallery(DIGITS, DIGITS[1:], (8, 8)), "23 originals and 22 reconstructions"),
    "no series": (lambda: histograms([], None, "t", "x"), "0 series were given; expected 1 to 18"),
    "19 series": (lambda: histograms([("a", LEVELS)] * 19, None, "t", "x"), "19 series"),
    "no samples": (lambda: histograms([("a", LEVELS[:0])], None, "t", "x"), r"'a': given .*\(0,\)"),
    "nan sample": (lambda: histograms([("a", NAN)], None, "t", "x"), r"'a': the value at \(1,\) is nan"),
    "negative truth": (lambda: histograms([("a", LEVELS)], ("t", lambda x: -x), "t", "x"), "'t' is not a density"),
    "short truth": (lambda: histograms([("a", LEVELS)], ("t", lambda x: x[1:]), "t", "x"), "'t' gave 1280 densities"),
    "samples as truth": (lambda: histograms([("a", LEVELS)], ("t", LEVELS), "t", "x"), "expected numbers in 2 dim"),
    "unordered": (lambda: histograms([("a", LEVELS)], ("t", np.array([[2, 1], [1, 1]])), "t", "x"), "ascending"),
    "bar labels": (lambda: bars(["a"], LEVELS, "t", "y"), "1 labels were given for 2 values"),
    "no bars": (lambda: bars([], LEVELS[:0], "t", "y"), "values: given"),
    "nan bar": (lambda: bars(["a", "b"], NAN, "t", "y"), r"values: the value at \(1,\) is nan"),
    "threshold": (lambda: bars(["a", "b"], LEVELS, "t", "y", float("inf")), "threshold: the value"),
    "huge bars": (lambda: bars(["a"] * 20_000, np.ones(20_000), "t", "y"), "expected at most 8000000 in all"),
    "row names": (lambda: heat_map(np.eye(2), ["a"], ["b", "c"], "t"), "1 row names were given for 2 rows"),
    "column names": (lambda: heat_map(np.eye(2), ["a", "b"], ["c"], "t"), "1 column names were given for 2 columns"),
    "no cells": (lambda: heat_map(np.zeros((2, 0)), ["a", "b"], [], "t"), "matrix: given"),
    "huge map": (lambda: heat_map(np.zeros((5000, 9)), ["a"] * 5000, ["b"] * 9, "t"), "show less"),
    "no curves": (lambda: curves([], "x", "y", "t"), "0 series"),
    "lengths": (lambda: curves([("a", LEVELS, LEVELS[1:])], "x", "y", "t"), "'a' has 2 x and 1 y"),
    "no bands": (lambda: bands([], None, "x", "y", "t"), "0 series"),
    "lengths of bands": (
        lambda: bands([("a", LEVELS, LEVELS, LEVELS[1:], LEVELS)], None, "x", "y", "t"),
        r"'a' has x, y, low and high of lengths \[2, 2, 1, 2\]; expected as many of each",
    ),
    "nan curve": (lambda: curves([("a", LEVELS, NAN)], "x", "y", "t"), r"y of 'a': the value at \(1,\) is nan"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused_in_one_line(name):
    draw, message = BAD[name]
    with pytest.raises(InputError, match=message) as raised:
        draw()
    assert "\n" not in str(raised.value)


def test_galleries_show_colour():
    tile = np.zeros((8, 8, 3))
    tile[:, :4, 0] = tile[:, 4:, 2] = 1.0  # red on the left, blue on the right
    with Image.open(io.BytesIO(pairs_gallery(tile.reshape(1, -1), tile.reshape(1, -1), (8, 8, 3)))) as image:
        page = np.asarray(image)
    red, blue = (is_colour(page, colour) for colour in ((255, 0, 0), (0, 0, 255)))
    assert red.sum() == blue.sum() == 2 * 28 * 56
    assert np.flatnonzero(red.any(axis=0)).max() + 1 == np.flatnonzero(blue.any(axis=0)).min()
    assert is_colour(page, (0, 0, 0)).any()  # letters of the labels
    with pytest.raises(InputError, match="8 x 8 x 2"):
        gallery(np.zeros((1, 128)), (8, 8, 2))

"""Blocks and tables of images, and charts of several panels: layout, colours, and errors for invalid input."""

import io

import numpy as np
import pytest
from PIL import Image

from tests.support.pages import BELOW, BLUE, EDGE, ORANGE, PITCH, gray_levels, is_colour, pixels, tile
from topicnet.errors import InputError
from topicnet.images.data.load import bimodal_density, load_images
from topicnet.images.drawing.blocks import BETWEEN, LINE, MARK, blocks, table
from topicnet.images.drawing.panels import BarPanel, HistogramPanel, bar_panels, density_panels, fraction_panels

RNG = np.random.default_rng(3)
DIGITS = RNG.random((6, 64))


def test_blocks_are_next_to_each_other():
    page = pixels(blocks([("a", DIGITS[:4]), ("b", DIGITS[4:]), ("c", DIGITS[:1])], (8, 8), per_row=2, columns=2))
    top, second = EDGE + LINE, EDGE + 2 * PITCH - 2 + BETWEEN
    for i, image in enumerate(DIGITS[:4]):
        assert (tile(page, EDGE + i % 2 * PITCH, top + i // 2 * PITCH) == gray_levels(image)).all()
    assert (tile(page, second + PITCH, top) == gray_levels(DIGITS[5])).all()
    below = top + 2 * PITCH - 2 + BETWEEN + LINE
    assert (tile(page, EDGE, below) == gray_levels(DIGITS[0])).all()
    assert (page[below:, second:] == 255).all()
    assert page.shape == (below + PITCH - 2 + EDGE, second + 2 * PITCH - 2 + EDGE)


def test_a_title_wider_than_its_block_is_not_cut():
    narrow, wide = (pixels(blocks([(title, DIGITS[:1])], (8, 8), 1, 1)) for title in ("a", "vampprior, K = 150"))
    assert wide.shape[1] > narrow.shape[1]
    assert (wide[:, -EDGE:] == 255).all()


def test_a_table_frames_the_marked_tiles():
    rows = [("first", DIGITS[:3]), ("second", DIGITS[3:])]
    plain, marked = (pixels(table(rows, ["original", "c = 0", "c = 1"], (8, 8), which)) for which in (None, [2, None]))
    assert plain.shape == marked.shape
    changed = np.argwhere(plain != marked)
    assert (changed.max(0) - changed.min(0) + 1 == PITCH - 2 + 2 * MARK).all()
    assert (marked[tuple(changed.T)] == 0).all()
    top, left = changed.min(0) + MARK
    assert (tile(marked, left, top) == gray_levels(DIGITS[2])).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: blocks([], (8, 8), 8, 4), "0 blocks"),
        (lambda: blocks([("a", DIGITS)], None, 8, 4), "have no height and width"),
        (lambda: table([], [], (8, 8)), "no rows"),
        (lambda: table([("a", DIGITS)], ["one"], (8, 8)), "1 column names were given for 6 images"),
        (lambda: density_panels([], ("t", bimodal_density), "", "", 2), "0 panels"),
        (lambda: density_panels([HistogramPanel("a", [])], ("t", bimodal_density), "", "", 2), "0 series"),
        (lambda: fraction_panels([HistogramPanel("a", [("b", [2.0])])], "", "", logarithmic=[False]), "outside"),
        (lambda: bar_panels([BarPanel("a", ["x"], [np.nan], [0])], ["k"], "", "", 1), "expected finite numbers"),
    ],
)
def test_invalid_input(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_the_true_density_is_that_of_the_data():
    values = load_images("bimodal").train.pixels.ravel()
    edges = np.linspace(0, 1, 41)
    middles = (edges[1:] + edges[:-1]) / 2
    np.testing.assert_allclose(np.histogram(values, edges, density=True)[0], bimodal_density(middles), atol=0.25)
    points = np.linspace(-1, 2, 3001)
    assert np.trapezoid(bimodal_density(points), points) == pytest.approx(1.0, abs=1e-9)


def test_panels_of_densities_share_their_axes():
    samples = [RNG.normal(mean, 0.05, 500) for mean in (0.3, 0.7)]
    panels = [HistogramPanel(f"run {i}", [("samples", one)]) for i, one in enumerate(samples)]
    png = density_panels(panels, ("true density", bimodal_density), "densities", "value", 2)
    page = pixels(png)
    half = page.shape[1] // 2
    left, right = (np.argwhere(is_colour(side, BLUE))[:, 1].mean() for side in (page[:, :half], page[:, half:]))
    assert left < half / 2 < right
    assert png == density_panels(panels, ("true density", bimodal_density), "densities", "value", 2)
    stacked = pixels(density_panels(panels, ("test data", samples[0]), "densities", "value", 1))
    assert stacked.shape[0] > page.shape[0]


def test_probabilities_are_drawn_on_both_scales():
    series = [("one", np.full(50, 0.95)), ("two", np.full(50, 0.15))]
    page = pixels(fraction_panels([HistogramPanel("a", series)] * 2, "", "q", logarithmic=[False, True]))
    blue, orange = (np.argwhere(is_colour(page, colour))[:, 1] for colour in (BLUE, ORANGE))
    assert blue.max() > orange.max()
    assert blue.min() > page.shape[1] // 100


def test_bars_have_the_colours_of_their_kinds():
    panels = [BarPanel("label 0", ["3", "1", "2"], [0.5, 0.4, 0.1], [0, 1, 2]), BarPanel("label 1", ["1"], [1.0], [1])]
    page = pixels(bar_panels(panels, ["alone", "shared", "rest"], "title", "q", 2))
    half = page.shape[1] // 2
    counts = [
        [int(is_colour(side, c).sum()) for c in (BLUE, ORANGE, BELOW)] for side in (page[:, :half], page[:, half:])
    ]
    assert all(count > 500 for count in counts[0])
    assert counts[1][1] > counts[0][1]
    assert Image.open(io.BytesIO(bar_panels(panels, ["a", "b", "c"], "", "q", 1))).format == "PNG"

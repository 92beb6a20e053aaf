"""Reading of drawn pages: their pixels, tiles and colours."""

import io

import numpy as np
from PIL import Image

EDGE, PITCH = 12, 7 * 8 + 2 + 2  # white margin; distance of 8 x 8 tiles: enlarged, framed and spaced
BLUE, ORANGE, GREEN, BELOW = (0, 114, 178), (213, 94, 0), (0, 158, 115), (168, 180, 191)


def pixels(png):
    """(height, width) of a gallery, (height, width, 3) of a chart."""
    with Image.open(io.BytesIO(png)) as image:
        assert image.format == "PNG"
        levels = np.asarray(image).astype(int)
    if levels.ndim == 3 and levels.shape[2] == 4:  # opaque
        assert (levels[..., 3] == 255).all()
        return levels[..., :3]
    return levels


def gray_levels(images):
    return np.rint(np.asarray(images) * 255).astype(int)


def tile(page, left, top, side=8, scale=7):
    """The levels of the tile at a position, checked to be flat within each enlarged pixel."""
    inside = page[top + 1 : top + 1 + side * scale, left + 1 : left + 1 + side * scale]
    blocks = inside.reshape(side, scale, side, scale)
    assert (blocks == blocks[:, :1, :, :1]).all()
    return blocks[:, 0, :, 0].ravel()


def is_colour(page, colour):
    return (page == colour).all(axis=-1)

"""What all pictures of models share: opening the model of a finished run, laying out a page."""

import pathlib

import numpy as np
from matplotlib.figure import Figure

from zoo import data, hub
from zoo.errors import UserError

# Pixels of a picture per inch of the page.
_DENSITY = 150


def opened(folder: pathlib.Path):
    """The exported model of a finished run and the data set that it is scored on.

    Raises:
        UserError: the data set is not available here.
    """
    model = hub.load(folder)
    name = model.card.get("test_dataset") or model.card["dataset"]
    try:
        return model, data.load(name)
    except UserError as error:
        raise UserError(f"the figure of {folder} needs its data: {error}") from error


def page(rows: list[list[tuple[str, np.ndarray]]]) -> Figure:
    """Titled pictures in rows, each at its own size."""
    heights = [max(picture.shape[0] for _, picture in row) for row in rows]
    width = max(sum(picture.shape[1] for _, picture in row) for row in rows)
    lines = max(text.count("\n") + 1 for row in rows for text, _ in row)
    title = (0.15 + 0.17 * lines) * _DENSITY
    size = (width + 20, sum(heights) + title * len(rows))
    figure = Figure(figsize=(size[0] / _DENSITY, size[1] / _DENSITY))
    top = size[1]
    for row, height in zip(rows, heights, strict=True):
        left = 10
        for text, picture in row:
            tall, wide = picture.shape[:2]
            corner = (left / size[0], (top - title - tall) / size[1])
            axis = figure.add_axes((*corner, wide / size[0], tall / size[1]))
            axis.imshow(picture, interpolation="nearest", aspect="auto")
            axis.set_axis_off()
            axis.set_title(text, fontsize=9)
            left += wide
        top -= title + height
    return figure

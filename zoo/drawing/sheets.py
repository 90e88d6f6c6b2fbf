"""Sheets of images: arrays and callables in, pictures out, `[height, width, 3]` uint8.

Every picture is a sheet of equally large cells on a dark ground with labels at its edges. Images
are enlarged by whole factors without interpolation, so each of their pixels stays what it is.
"""

import io
import pathlib
from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from zoo.drawing.palette import FAINT, GROUND, INK
from zoo.files import atomic

GAP = 3
# Cells are enlarged to at least this many pixels, so that labels of a readable size fit beside.
CELL = 64


def sheet(
    cells: np.ndarray,
    rows: Sequence[str] = (),
    columns: Sequence[str] = (),
    *,
    captions: Sequence[Sequence[str]] = (),
    faint: Sequence[bool] = (),
    group: int = 0,
    scale: int | None = None,
) -> np.ndarray:
    """Lays images out as a labelled grid.

    Args:
        cells: `[R, C, H, W]`, `[R, C, H, W, 1]` or `[R, C, H, W, 3]` images, floats in [0, 1]
            (others are clipped) or uint8.
        rows: a label for each row, at its left; a second line of it is set smaller.
        columns: a label for each column, above it.
        captions: a label for each cell, above it: `R` rows of them, which may be shorter than `C`.
        faint: which rows' labels are set back, `R` booleans.
        group: after how many rows a wider gap follows; 0 for none.
        scale: the whole factor of enlargement; by default what brings the longer side of an image
            to 64 pixels or more.

    Returns:
        `[height, width, 3]` uint8.

    Raises:
        ValueError: the cells are no images.
    """
    cells = pixels(cells)
    count_rows, count_columns, height, width = cells.shape[:4]
    scale = scale or -(-CELL // max(height, width))
    cells = cells.repeat(scale, axis=2).repeat(scale, axis=3)
    height, width = height * scale, width * scale

    size = int(np.clip(0.34 * height, 14, 26))
    fonts = [ImageFont.load_default(size), ImageFont.load_default(max(12, int(0.85 * size)))]
    lines = [label.split("\n")[:2] for label in rows]
    gutter = max((f.getlength(t) for label in lines for f, t in zip(fonts, label, strict=False)),
                 default=-2 * GAP)  # fmt: skip
    left = int(np.ceil(gutter)) + 4 * GAP
    heading = _fitting(columns, width - 4, fonts[1].size)
    top = 2 * GAP + (int(1.2 * heading.size) if columns else 0)
    label_height = int(1.1 * size) * max(map(len, lines), default=0)
    named = [caption for row in captions for caption in row]
    naming = _fitting(named, width - 4, max(12, 0.65 * size))
    caption_height = int(1.2 * naming.size) + GAP if named else 0
    pitch = max(height + caption_height, label_height) + GAP

    wider = [(r // group if group else 0) * 4 * GAP for r in range(count_rows)]
    tops = [top + caption_height + r * pitch + wider[r] for r in range(count_rows)]
    lefts = [left + c * (width + GAP) for c in range(count_columns)]
    canvas = Image.new(
        "RGB", (lefts[-1] + width + 2 * GAP, tops[-1] - caption_height + pitch + GAP), GROUND
    )
    draw = ImageDraw.Draw(canvas)
    for c, label in enumerate(columns):
        draw.text((lefts[c] + width / 2, top - 2 * GAP), label, FAINT, heading, anchor="ms")
    for r, row in enumerate(captions):
        for c, caption in enumerate(row):
            place = (lefts[c] + width / 2, tops[r] - GAP)
            draw.text(place, caption, FAINT, naming, anchor="ms")
    for r, label in enumerate(lines):
        colour = FAINT if r < len(faint) and faint[r] else INK
        for k, text in enumerate(label):
            middle = tops[r] + height / 2 + (k - (len(label) - 1) / 2) * 1.1 * size
            fill = colour if k == 0 else FAINT
            draw.text((left - 2 * GAP, middle), text, fill, fonts[k], anchor="rm")
    picture = np.array(canvas)
    for r, c in np.ndindex(count_rows, count_columns):
        picture[tops[r] : tops[r] + height, lefts[c] : lefts[c] + width] = cells[r, c]
    return picture


def reconstructions(
    images: np.ndarray,
    reconstructions: np.ndarray,
    *,
    columns: int = 8,
    scale: int | None = None,
) -> np.ndarray:
    """Images above their reconstructions, in pairs of rows.

    Args:
        images: `[N, H, W]`, `[N, H, W, 1]` or `[N, H, W, 3]`, floats in [0, 1] or uint8.
        reconstructions: the same shape.
        columns: how many pairs stand side by side.
        scale: see `sheet`.

    Returns:
        `[height, width, 3]` uint8.

    Raises:
        ValueError: the shapes differ, or they are no images.
    """
    images, outputs = pixels(images), pixels(reconstructions)
    if images.shape != outputs.shape or not len(images):
        raise ValueError(
            f"images {images.shape} and reconstructions {outputs.shape} must have one shape and "
            "at least one image"
        )
    columns = min(columns, len(images))
    blocks = -(-len(images) // columns)
    cells = np.empty((blocks, 2, columns, *images.shape[1:]), np.uint8)
    cells[:] = GROUND
    for i, pair in enumerate(zip(images, outputs, strict=True)):
        cells[i // columns, :, i % columns] = pair
    return sheet(
        cells.reshape(2 * blocks, columns, *images.shape[1:]),
        ["input", "output"] * blocks,
        group=2,
        scale=scale,
    )


def traversals(
    decode: Callable,
    codes: np.ndarray,
    order: Sequence[float] | None = None,
    *,
    by: str = "kl",
    dead: Sequence[bool] | None = None,
    span: tuple[float, float] | str = (-2.0, 2.0),
    steps: int = 9,
    limit: int = 32,
    scale: int | None = None,
) -> np.ndarray:
    """One code with each of its latents varied in turn: one row per latent, most informative first.

    Args:
        decode: `[B, D]` float32 codes to `[B, H, W]` or `[B, H, W, 1 or 3]` images in [0, 1],
            anything that numpy can read.
        codes: `[D]`, or `[N, D]` of which the first is varied.
        order: `[D]`, what the rows are ordered by; None keeps the order of the latents.
        by: what `order` holds: `kl` (KL divergences in nats, largest first) or `variance` (mean
            posterior variances, smallest first).
        dead: `[D]` booleans, which latents are marked as dead; none without it. See
            `zoo.evaluation.regime.dead_latents`.
        span: the first and the last value of each latent, or `quantiles`: from the 5 % to the 95 %
            quantile of each latent over `codes`.
        steps: how many values.
        limit: how many latents are shown.
        scale: see `sheet`.

    Returns:
        `[height, width, 3]` uint8.

    Raises:
        ValueError: shapes that do not fit, or an unknown `by` or `span`.
    """
    codes = np.atleast_2d(np.asarray(codes, np.float32))
    size = codes.shape[1]
    if codes.ndim != 2 or (order is not None and np.shape(order) != (size,)):
        raise ValueError(
            f"codes must be [N, D] and order [D], not {codes.shape} and {np.shape(order)}"
        )
    if by not in ("kl", "variance"):
        raise ValueError(f"by must be 'kl' or 'variance', not {by!r}")
    names, ranks = [f"z{i}" for i in range(size)], np.arange(size)
    if order is not None:
        order = np.asarray(order, float)
        ranks = np.argsort(-order if by == "kl" else order, kind="stable")
        unit = "KL" if by == "kl" else "var"
        names = [f"{n}\n{unit} {v:.2f}" for n, v in zip(names, order, strict=True)]
    dead = np.zeros(size, bool) if dead is None else np.asarray(dead, bool)
    names = [n.replace("\n", " dead\n") if d and "\n" in n else n + " dead" * bool(d)
             for n, d in zip(names, dead, strict=True)]  # fmt: skip
    values, columns = _values(codes, span, steps)

    ranks = ranks[:limit]
    varied = np.repeat(codes[:1], len(ranks) * steps, axis=0).reshape(len(ranks), steps, size)
    for row, latent in enumerate(ranks):
        varied[row, :, latent] = values[latent]
    return sheet(
        _decoded(decode, varied), [names[i] for i in ranks], columns, faint=dead[ranks], scale=scale
    )


def plane(
    decode: Callable,
    code: np.ndarray,
    latents: tuple[int, int],
    *,
    span: tuple[float, float] = (-2.0, 2.0),
    steps: int = 9,
    scale: int | None = None,
) -> np.ndarray:
    """One code with two of its latents varied together.

    Args:
        decode: see `traversals`.
        code: `[D]`.
        latents: the latent that grows to the right and the one that grows upwards.
        span: the first and the last value of both.
        steps: how many values.
        scale: see `sheet`.

    Returns:
        `[height, width, 3]` uint8.

    Raises:
        ValueError: the code has no such latents.
    """
    code = np.asarray(code, np.float32)
    right, up = latents
    if code.ndim != 1 or not (0 <= min(latents) and max(latents) < len(code)) or right == up:
        raise ValueError(f"a code of shape {code.shape} has no two latents {latents}")
    values = np.linspace(*span, steps, dtype=np.float32)
    varied = np.tile(code, (steps, steps, 1))
    varied[:, :, right] = values
    varied[:, :, up] = values[::-1, None]
    rows = [f"z{up}\n{v:.1f}" for v in values[::-1]]
    return sheet(_decoded(decode, varied), rows, [f"z{right} {v:.1f}" for v in values], scale=scale)


def png(picture: np.ndarray) -> bytes:
    """A picture as a small PNG file: `[H, W, 3]` uint8 to bytes."""
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(picture)).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def write(path: pathlib.Path, picture: np.ndarray) -> None:
    """Writes a picture, `[H, W, 3]` uint8, as a PNG file, at once or not at all."""
    with atomic(path) as temporary:
        temporary.write_bytes(png(picture))


def pixels(images: np.ndarray) -> np.ndarray:
    """Images `[N, H, W]` or `[N, H, W, 1 or 3]`, or of more axes before, as `[..., H, W, 3]` uint8.

    Raises:
        ValueError: they have another shape, or a value that is not finite.
    """
    images = np.asarray(images)
    given = images.shape
    if images.ndim < 3 or images.shape[-1] not in (1, 3):
        images = images[..., None]
    if images.ndim < 4 or 0 in given:
        raise ValueError(f"images of shape {given} must be [N, H, W] or [N, H, W, 1 or 3]")
    if images.dtype != np.uint8:
        images = images.astype(np.float64)
        if not np.isfinite(images).all():
            raise ValueError("images hold NaN or infinite values")
        images = np.rint(255 * images.clip(0, 1)).astype(np.uint8)
    return np.broadcast_to(images, (*images.shape[:-1], 3))


def coloured(images: np.ndarray) -> np.ndarray:
    """`[..., C]` to `[..., 3]`: grey of one channel, red and green of two, of more the first 3."""
    images = np.asarray(images)
    channels = images.shape[-1]
    if channels == 1:
        return np.broadcast_to(images, (*images.shape[:-1], 3))
    lacking = [(0, 0)] * (images.ndim - 1) + [(0, max(3 - channels, 0))]
    return np.pad(images[..., :3], lacking)


def _decoded(decode: Callable, codes: np.ndarray, batch: int = 256) -> np.ndarray:
    """`[R, C, D]` codes to `[R, C, H, W, 3]` uint8, decoded in batches."""
    flat = codes.reshape(-1, codes.shape[-1])
    parts = [pixels(decode(flat[i : i + batch])) for i in range(0, len(flat), batch)]
    images = np.concatenate(parts)
    return images.reshape(*codes.shape[:2], *images.shape[1:])


def _values(codes: np.ndarray, span, steps: int) -> tuple[np.ndarray, list[str]]:
    """The values of every latent, `[D, steps]`, and the labels of the columns."""
    if span == "quantiles":
        levels = np.linspace(0.05, 0.95, steps)
        return np.quantile(codes, levels, axis=0).T, [f"{100 * q:.0f} %" for q in levels]
    if isinstance(span, str) or len(span) != 2:
        raise ValueError(f"span must be two numbers or 'quantiles', not {span!r}")
    values = np.linspace(*span, steps)
    return np.tile(values, (codes.shape[1], 1)), [f"{v:.1f}" for v in values]


def _fitting(labels: Sequence[str], width: float, size: float) -> ImageFont.FreeTypeFont:
    """The largest font up to `size` in which every label is at most `width` wide."""
    font = ImageFont.load_default(size)
    widest = max((font.getlength(label) for label in labels), default=0)
    return font if widest <= width else ImageFont.load_default(max(8, size * width / widest))

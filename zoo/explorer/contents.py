"""What the page holds of one model: its programs, its latents, and images to begin with."""

import base64
import io
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from absl import logging
from PIL import Image

from zoo import data
from zoo.data.dataset import Dataset
from zoo.errors import UserError
from zoo.evaluation.regime import dead_latents, kl_per_latent
from zoo.explorer import lowering, program
from zoo.hub import Pretrained

# Images whose codes the ranges of the latents are taken from.
_CODES = 512
# At most so many images go into the page, in at most so many bytes.
_IMAGES, _IMAGE_BYTES = 2_400, 500_000
# Without a grid of factors a few images are enough.
_EXAMPLES = 48
# Codes at which the effect of a latent on images is measured.
_BESIDE = 32


class ExplorerError(UserError):
    """A model that the explorer cannot show."""


def of_model(model: Pretrained, megabytes: float) -> dict[str, Any]:
    """What the page holds of a model, JSON values.

    Args:
        model: as `zoo.hub.load` returns it.
        megabytes: the most that it may take in the page, in millions of bytes.

    Raises:
        ExplorerError: it makes no images, or it is too large.
        lowering.OperationError: its decoder has an operation that the explorer cannot run.
    """
    name = str(model.card.get("name") or model.path)
    generates = hasattr(model.model, "generate")
    if not generates and not hasattr(model.model, "decode"):
        raise ExplorerError(f"{name} has no decoder, and so nothing to explore")
    if len(model.image_shape) != 3 or model.image_shape[-1] not in (1, 3):
        shape = ", ".join(map(str, model.image_shape))
        raise ExplorerError(
            f"{name} observes arrays of shape ({shape}); the explorer shows images (H, W, 1 or 3)"
        )
    constants = program.Constants()
    programs = {"decode": _decoder(model, constants, name)}
    _require(_size(_packed(programs, constants)), megabytes, name)
    made = {"name": name, "kind": model.card.get("model", ""), "shape": model.image_shape}
    if generates:
        made |= _generator(model)
    else:
        images, space, source = _images(model)
        made |= {"source": source, **_sheet(images, space)}
        made |= _latents(model, images[_spread(len(images), _CODES)])
        room = megabytes - len(made["sheet"]["url"]) / 1e6
        made |= _encoded(model, programs, constants, name, room)
    made |= _packed(programs, constants)
    _require(_size(made), megabytes, name)
    return made


def _spread(count: int, most: int) -> np.ndarray:
    """At most so many numbers below `count`, evenly spaced: images of a grid stand in order."""
    return np.rint(np.linspace(0, count - 1, min(count, most))).astype(int)


def _require(size: float, megabytes: float, name: str) -> None:
    if size > megabytes:
        raise ExplorerError(
            f"{name} would take {size:.1f} MB in the page, of which {megabytes:g} are allowed; "
            f"allow more by --megabytes={math.ceil(size + _IMAGE_BYTES / 1e6)}, or explore a "
            "smaller model"
        )


def _decoder(model: Pretrained, constants: program.Constants, name: str) -> dict:
    """From latents (and a domain) to the image, and masks and parts of slots."""
    loaded = model.model
    if hasattr(loaded, "generate"):
        arguments = {
            "latents": tf.TensorSpec([1, model.latent_size], tf.float32),
            "domain": tf.TensorSpec([1], tf.int32),
        }

        def generate(latents, domain):
            return {"image": loaded.generate(latents, domain)}

        return lowering.program(generate, arguments, constants, name)

    def decode(latents):
        made = {"image": loaded.decode(latents)}
        if hasattr(loaded, "slot_images"):
            made["masks"] = loaded.attention(latents)
            made["parts"] = loaded.slot_images(latents)
        return made

    arguments = {"latents": tf.TensorSpec([1, *_latent_shape(model)], tf.float32)}
    return lowering.program(decode, arguments, constants, name)


def _latent_shape(model: Pretrained) -> tuple[int, ...]:
    arguments, _ = model.model.decode.concrete_functions[0].structured_input_signature
    return tuple(arguments[0].shape[1:])


def _encoded(model, programs, constants, name, megabytes) -> dict:
    """Adds the encoder, unless it cannot run in the page or takes programs beyond the megabytes."""
    loaded = model.model

    ways = [lambda images: {"mean": loaded.encode(images)}]
    if hasattr(loaded, "posterior"):
        # Its deviations may have an operation that cannot run where the codes have none.
        ways.insert(0, lambda images: loaded.posterior(images))
    arguments = {"images": tf.TensorSpec([1, *model.image_shape], tf.float32)}
    for way in ways:
        try:
            programs["encode"] = lowering.program(way, arguments, constants, name)
            break
        except lowering.OperationError as error:
            failed = error
    else:
        logging.warning("%s: the page has no encoder", failed)
        return {"encoder": "its encoder has an operation that the explorer cannot run"}
    size = _size(_packed(programs, constants))
    if size > megabytes:
        del programs["encode"]
        logging.warning(
            "%s: the page has no encoder, with which it would be %.1f MB too large; --megabytes "
            "allows more",
            *(name, size - megabytes),
        )
        return {"encoder": "its encoder is too large for a page"}
    return {}


def _packed(programs: Mapping[str, dict], constants: program.Constants) -> dict:
    stored, numbers = program.stored(programs, constants)
    return {"stored": stored, "numbers": numbers}


def _size(values: Mapping) -> float:
    """About how much they take in the page, in millions of bytes."""
    texts = [values["numbers"], values.get("sheet", {}).get("url", "")]
    return (sum(map(len, texts)) + len(str(values["stored"]))) / 1e6


def _generator(model: Pretrained) -> dict:
    """What is known of the latents of a generator: they are N(0, 1), the style first."""
    loaded, size = model.model, model.latent_size
    style = 0
    if hasattr(loaded, "style"):
        style = int(loaded.style.concrete_functions[0].structured_outputs.shape[1])
    domains = int((model.card.get("input") or {}).get("domains", 1))

    def generate(latents):
        return model.generate(latents, np.zeros(len(latents), np.int32))

    codes = np.random.default_rng(0).normal(size=(_BESIDE, size)).astype(np.float32)
    effects = _effects(generate, codes, np.ones(size))
    return {
        "domains": domains,
        "style": style,
        "source": "the model has no encoder",
        "latents": _described(np.zeros(size), np.ones(size), [-2] * size, [2] * size, effects),
        "measure": "effect",
        "latent_shape": [size],
        "begin": codes[0].tolist(),
        "prior": True,
    }


def _latents(model: Pretrained, images: np.ndarray) -> dict:
    """The latents, those that carry most first, with the ranges of their codes on images."""
    shape = _latent_shape(model)
    means, stddevs = _codes(model, images)
    flat = means.reshape(-1, shape[-1])
    low, high = np.quantile(flat, [0.025, 0.975], axis=0)
    if stddevs is None:
        effects = _effects(model.decode, means[_spread(len(means), _BESIDE)], flat.std(0))
        dead, measure, typical = effects <= 1e-3 * effects.max(initial=0), "effect", None
    else:
        variances = stddevs.reshape(-1, shape[-1]) ** 2
        effects = kl_per_latent(flat, variances)
        dead, measure = dead_latents(variances.mean(0), effects), "kl"
        typical = np.sqrt(variances.mean(0))
    latents = _described(flat.mean(0), typical, low, high, effects, dead)
    # Where the page begins: the code of an image, as a mean code of slots would show nothing.
    return {
        "latents": latents,
        "measure": measure,
        "latent_shape": list(shape),
        "begin": [round(float(x), 4) for x in means[0].ravel()],
        "prior": stddevs is not None,
    }


def _described(means, typical, low, high, effects, dead=None) -> list[dict]:
    """Latents as the page takes them, in their order there."""
    dead = np.zeros(len(means), bool) if dead is None else dead
    order = np.lexsort((-np.asarray(effects), dead))
    return [
        {
            "index": int(j),
            "mean": round(float(means[j]), 4),
            "stddev": None if typical is None else round(float(typical[j]), 4),
            "low": round(float(low[j]), 4),
            "high": round(float(high[j]), 4),
            "effect": float(f"{effects[j]:.4g}"),
            "active": not dead[j],
        }
        for j in order
    ]


def _codes(model: Pretrained, images: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Posterior means and, where there is a posterior, standard deviations of images."""
    means, stddevs = [], []
    for start in range(0, len(images), 64):
        batch = images[start : start + 64] / np.float32(255)
        if hasattr(model.model, "posterior"):
            posterior = model.posterior(batch)
            means.append(np.asarray(posterior.mean()))
            stddevs.append(np.asarray(posterior.stddev()))
        else:
            means.append(np.asarray(model.encode(batch)))
    return np.concatenate(means), np.concatenate(stddevs) if stddevs else None


def _effects(decode: Callable, codes: np.ndarray, deviations: np.ndarray) -> np.ndarray:
    """By how much each latent changes images: the root of the mean squared change of a pixel.

    Every latent in turn is moved by one of its standard deviations; latents of slots are moved in
    all slots together.
    """
    images = np.asarray(decode(codes))
    effects = []
    for latent, deviation in enumerate(deviations):
        moved = codes.copy()
        moved[..., latent] += deviation
        effects.append(math.sqrt(np.mean((np.asarray(decode(moved)) - images) ** 2)))
    return np.asarray(effects)


def _images(model: Pretrained) -> tuple[np.ndarray, Any, str]:
    """Images to begin with, `[N, H, W, C]` uint8, the factors of their grid, and their source."""
    card = model.card
    name = card.get("test_dataset") or card.get("dataset")
    try:
        dataset = data.load(name) if name else None
    except UserError as error:
        logging.warning("%s; the page has the model's own samples instead", error)
        dataset = None
    if dataset is not None and dataset.images.shape[1:] == tuple(model.image_shape):
        return *_of_dataset(dataset), dataset.name
    drawn = np.asarray(model.sample(_EXAMPLES, 0))
    return np.rint(255 * drawn.clip(0, 1)).astype(np.uint8), None, "samples of the model itself"


def _of_dataset(dataset: Dataset) -> tuple[np.ndarray, Any]:
    """A grid over all factors where the data set is one, or else some images."""
    space, maximum = dataset.space, dataset.images.maximum
    factors = None
    ids = dataset.some(_EXAMPLES)
    if space is not None and space.is_grid:
        levels = _levels(space.sizes, space.circular)
        mesh = np.meshgrid(*levels, indexing="ij")
        ids = space.index(np.stack(mesh, -1).reshape(-1, len(levels)))
        factors = [
            {
                "name": axis.name.replace("_", " "),
                "values": [float(f"{axis.values[i]:.4g}") for i in chosen],
                "places": [int(i) for i in chosen],
                "size": axis.size,
                "categorical": axis.categorical,
            }
            for axis, chosen in zip(space.axes, levels, strict=True)
        ]
    images = dataset.whole.images[ids]
    if images.dtype != np.uint8 or maximum != 255:
        images = np.rint(images * (255 / maximum)).astype(np.uint8)
    return images, factors


def _levels(sizes: Sequence[int], circular: Sequence[bool]) -> list[np.ndarray]:
    """Which values of each factor are kept, so that all combinations are not too many."""
    counts = list(sizes)
    while math.prod(counts) > _IMAGES:
        most = max(range(len(counts)), key=lambda i: counts[i])
        counts[most] -= 1
    return [
        np.arange(count) * size // count
        if around and count < size
        else np.rint(np.linspace(0, size - 1, count)).astype(int)
        for count, size, around in zip(counts, sizes, circular, strict=True)
    ]


def _sheet(images: np.ndarray, factors) -> dict:
    """All images as one PNG in rows, and the factors of their grid, if they are one."""
    content = _png(images)
    # A single image is kept, however large.
    while len(content) > _IMAGE_BYTES and len(images) > 1 and factors is not None:
        # Every other value of the factor with most of them, until the file is small enough.
        sizes = [len(factor["values"]) for factor in factors]
        axis = max(range(len(sizes)), key=lambda i: sizes[i])
        kept = np.arange(0, sizes[axis], 2)
        grid = images.reshape(*sizes, *images.shape[1:])
        images = np.take(grid, kept, axis).reshape(-1, *images.shape[1:])
        factors[axis] |= {
            key: [factors[axis][key][i] for i in kept] for key in ("values", "places")
        }
        content = _png(images)
    while len(content) > _IMAGE_BYTES and len(images) > 1:
        images = images[::2]
        content = _png(images)
    sheet = {
        "url": "data:image/png;base64," + base64.b64encode(content).decode(),
        "count": len(images),
        "columns": _columns(len(images)),
    }
    return {"sheet": sheet, "factors": [f for f in factors or ()]}


def _columns(count: int) -> int:
    return math.ceil(math.sqrt(count))


def _png(images: np.ndarray) -> bytes:
    count, height, width, channels = images.shape
    columns = _columns(count)
    rows = -(-count // columns)
    full = np.zeros((rows * columns, height, width, channels), np.uint8)
    full[:count] = images
    picture = full.reshape(rows, columns, height, width, channels).swapaxes(1, 2)
    picture = picture.reshape(rows * height, columns * width, channels)
    file = Image.fromarray(picture if channels == 3 else picture[..., 0])
    if channels == 1 and np.isin(picture, (0, 255)).all():
        file = file.convert("1", dither=Image.Dither.NONE)
    buffer = io.BytesIO()
    file.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()

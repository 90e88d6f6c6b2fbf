"""Pretrained models in use: a loaded SavedModel that takes any image array."""

import os
import pathlib
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.errors import UserError
from zoo.hub import fetch, package, registry

if TYPE_CHECKING:
    import tensorflow as tf

# How far float images may overstep [0, 1]: noise does, images in 0..255 are a mistake.
_OVERSHOOT = 0.5


class InputError(UserError):
    """What a pretrained model was given is not what it takes."""


class Pretrained:
    """An exported model, loaded.

    Images are `[B, H, W, C]`: integers, which are divided by the data's maximum
    (`card["input"]["maximum"]`, 255 if it is not there), or floats in [0, 1]. A model of other
    observations, `[B, N]` say, takes them as they are. Arrays and tensors are taken alike, results
    are float32 tensors, and gradients pass through.

    Attributes:
        path: the directory it was loaded from.
        card: its config, scores, versions and files.
        model: what `tf.saved_model.load` gave.
    """

    # See `zoo.evaluation.traces`: a method does the same at every call.
    keeps_traces = True

    def __init__(self, path: pathlib.Path, card: dict[str, Any], model: Any):
        """Wraps a loaded SavedModel; use `load` instead."""
        self.path, self.card, self.model = path, card, model

    def __repr__(self) -> str:
        """The name, or the path."""
        return f"Pretrained({self.card.get('name') or str(self.path)!r})"

    @property
    def image_shape(self) -> tuple[int, ...]:
        """`(H, W, C)`, or the shape of another observation."""
        return self._argument_shape("encode")

    @property
    def latent_size(self) -> int:
        """`D`, the number of latents."""
        codes = self._endpoint("encode").concrete_functions[0].structured_outputs
        return codes.shape[1:].num_elements()

    def encode(self, images: Any) -> "tf.Tensor":
        """Posterior means: images `[B, H, W, C]` to codes `[B, D]`."""
        return self._endpoint("encode")(self._images("encode", images))

    def posterior(self, images: Any) -> dict[str, "tf.Tensor"]:
        """The posterior of images `[B, H, W, C]`: `{"mean", "stddev"}`, each `[B, D]`."""
        return self._endpoint("posterior")(self._images("posterior", images))

    def decode(self, latents: Any) -> "tf.Tensor":
        """Mean images: latents `[B, D]` to `[B, H, W, C]` in [0, 1]."""
        return self._endpoint("decode")(self._latents("decode", latents))

    def reconstruct(self, images: Any) -> "tf.Tensor":
        """Images `[B, H, W, C]` encoded and decoded, in [0, 1]."""
        return self._endpoint("reconstruct")(self._images("reconstruct", images))

    def sample(self, count: int, seed: int | tuple[int, int] = 0) -> "tf.Tensor":
        """Images of `count` draws from the prior, `[count, H, W, C]` in [0, 1].

        Args:
            count: how many, at least 1.
            seed: one integer or two; the same seed gives the same images.
        """
        import tensorflow as tf

        if np.ndim(count) or int(count) != count or count < 1:
            raise InputError(f"sample: count is {count!r}; it must be a positive integer")
        pair = np.asarray((0, seed) if np.ndim(seed) == 0 else seed)
        if pair.shape != (2,) or pair.dtype.kind not in "iu":
            raise InputError(f"sample: seed is {seed!r}; it must be one integer or two")
        # Any integer is a seed: the endpoint takes its low 32 bits.
        pair = pair.astype(np.uint32).view(np.int32)
        return self._endpoint("sample")(tf.constant(int(count), tf.int32), tf.constant(pair))

    def jacobian(self, latents: Any) -> "tf.Tensor":
        """Derivatives of `decode` at latents `[B, D]`: `[B, H, W, C, D]`."""
        return self._endpoint("jacobian")(self._latents("jacobian", latents))

    def attention(self, latents: Any) -> "tf.Tensor":
        """Which slot each pixel is made of: latents `[B, slots, D]` to `[B, H, W, slots]`."""
        return self._endpoint("attention")(self._latents("attention", latents))

    def slot_images(self, latents: Any) -> "tf.Tensor":
        """Each slot's part of the image: `[B, slots, D]` to `[B, slots, H, W, C]`."""
        return self._endpoint("slot_images")(self._latents("slot_images", latents))

    def block_images(self, latents: Any) -> "tf.Tensor":
        """What each block of an additive decoder adds: `[B, D]` to `[B, blocks, H, W, C]`."""
        return self._endpoint("block_images")(self._latents("block_images", latents))

    def perturb(self, values: Any) -> "tf.Tensor":
        """What a perturbation adds: values of factors `[B, F]` to `[B, H, W, C]` in [-1, 1]."""
        import tensorflow as tf

        values = self._checked("perturb", values, "values")
        return self._endpoint("perturb")(tf.cast(values, tf.float32))

    def _endpoint(self, name: str) -> Any:
        endpoint = getattr(self.model, name, None)
        if not callable(endpoint):
            raise InputError(f"{self!r} has no endpoint {name!r}")
        return endpoint

    def _argument_shape(self, name: str) -> tuple[int, ...]:
        arguments, _ = self._endpoint(name).concrete_functions[0].structured_input_signature
        return tuple(arguments[0].shape[1:])

    def _checked(self, name: str, array: Any, what: str) -> "tf.Tensor":
        import tensorflow as tf

        try:
            tensor = tf.convert_to_tensor(array)
        except (TypeError, ValueError) as error:
            raise InputError(f"{name}: the {what} are not one array: {error}") from error
        expected = self._argument_shape(name)
        if not tensor.shape[1:].is_compatible_with(expected) or tensor.shape.rank == 0:
            axes = ", ".join(str(size) for size in expected)
            hint = ""
            if tensor.shape.is_compatible_with(expected):
                hint = "; add the batch axis: x[None]"
            elif expected[-1] == 1 and tensor.shape[1:].is_compatible_with(expected[:-1]):
                hint = "; add the channel axis: x[..., None]"
            given = tuple(tensor.shape)
            raise InputError(f"{name}: {what} of shape {given}, wanted [B, {axes}]{hint}")
        if not (tensor.dtype.is_floating or tensor.dtype.is_integer or tensor.dtype.is_bool):
            raise InputError(f"{name}: {what} of type {tensor.dtype.name}, wanted numbers")
        return tensor

    def _images(self, name: str, images: Any) -> "tf.Tensor":
        import tensorflow as tf

        images = self._checked(name, images, "images")
        if images.shape.rank != 4:
            return tf.cast(images, tf.float32)
        maximum = float((self.card.get("input") or {}).get("maximum", 255))
        if images.dtype.is_integer:
            low, high, limits = 0.0, maximum, f"0..{maximum:g}, the maximum of its card"
        else:
            low, high, limits = -_OVERSHOOT, 1 + _OVERSHOOT, "[0, 1]"
        scaled = tf.cast(images, tf.float32)
        # Inside another tf.function the values are not there to be looked at.
        if tf.executing_eagerly() and tf.size(scaled) > 0:
            least, most = float(tf.reduce_min(scaled)), float(tf.reduce_max(scaled))
            if not low <= least <= most <= high:
                kind = images.dtype.name
                raise InputError(
                    f"{name}: {kind} images in {least:g}..{most:g}; {kind} images of this model "
                    f"are in {limits}"
                )
        return scaled / maximum if images.dtype.is_integer else scaled

    def _latents(self, name: str, latents: Any) -> "tf.Tensor":
        import tensorflow as tf

        return tf.cast(self._checked(name, latents, "latents"), tf.float32)


def load(name_or_path: str | os.PathLike, version: str | None = None) -> Pretrained:
    """Loads a pretrained model by name, or an exported one by path.

    A name of the registry wins over a directory of the same name; write `./` before the latter.
    Every file is checked against its recorded sha256 before TensorFlow sees it.

    Args:
        name_or_path: a name of `names()`, an exported model's directory, or a run folder.
        version: of a named model; the newest if None.

    Raises:
        RegistryError: there is no such name or path; the message names the nearest.
        FetchError: no mirror has the model intact.
        PackageError: the directory is not a whole, unaltered model.
    """
    path = _resolve(name_or_path, version)
    card = package.verify(path)
    import tensorflow as tf

    try:
        model = tf.saved_model.load(str(path))
    except Exception as error:  # TensorFlow's own, of many kinds
        line = " ".join(str(error).split())
        raise package.PackageError(f"TensorFlow cannot load {path}: {line}") from error
    return Pretrained(path, card, model)


def _resolve(name_or_path: str | os.PathLike, version: str | None) -> pathlib.Path:
    if isinstance(name_or_path, str) and name_or_path in registry.names():
        return fetch.fetch(name_or_path, version)
    path = pathlib.Path(name_or_path).expanduser()
    if not path.is_dir():
        given = os.fspath(name_or_path)
        raise registry.RegistryError(
            f"{given!r} is no directory and no pretrained model; {registry.nearest(given)}"
        )
    if version is not None:
        raise InputError(f"{path} is a directory: a version ({version}) goes with a name only")
    exported = path / "saved_model"
    return exported if exported.is_dir() else path

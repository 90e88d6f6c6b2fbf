"""Pretrained models in use: a loaded SavedModel that takes any image array."""

import operator
import os
import pathlib
import reprlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo import config
from zoo.errors import UserError
from zoo.files import literal
from zoo.hub import download, package, registry
from zoo.hub.endpoints import DECLARED, Endpoints

if TYPE_CHECKING:
    import tensorflow as tf
    import tensorflow_probability as tfp

# How far float images may overstep [0, 1]: noise does, images in 0..255 are a mistake.
OVERSHOOT = 0.5
# Images of one call.
_MOST = np.iinfo(np.int32).max


class InputError(UserError):
    """What a pretrained model was given is not what it takes."""


class Pretrained(Endpoints):
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

    def _repr_html_(self) -> str:
        """The card, a picture of traversals and the scores, for notebooks."""
        from zoo.hub import notebook

        return notebook.html(self)

    @property
    def endpoints(self) -> tuple[str, ...]:
        """The names of those that this model has."""
        return tuple(name for name in DECLARED if callable(getattr(self.model, name, None)))

    @property
    def image_shape(self) -> tuple[int, ...]:
        """`(H, W, C)`, or the shape of another observation."""
        if self._generates:
            return tuple(self._answer("generate").shape[1:])
        return self._argument_shape("encode")

    @property
    def latent_size(self) -> int:
        """`D`, the number of latents."""
        if self._generates:
            return self._argument_shape("generate")[0]
        return self._answer("encode").shape[1:].num_elements()

    @property
    def blocks(self) -> list[list[int]] | None:
        """The latents of each block of an additive decoder; None where the card names none."""
        config_text = self.card.get("config") or ""
        return self.card.get("blocks") or config.recorded(config_text, "AdditiveAutoencoder.blocks")

    def posterior(self, images: Any) -> "tfp.distributions.Distribution":
        """The posterior of images `[B, H, W, C]` over latents `[B, D]`.

        Independent normal distributions, unless the SavedModel says that they are truncated, or
        have a full covariance; a posterior of any other family is taken for normal with its mean
        and standard deviation.
        """
        import tensorflow_probability as tfp

        found = super().posterior(images)
        if "scale_tril" in found:
            return tfp.distributions.MultivariateNormalTriL(found["mean"], found["scale_tril"])
        if "low" in found:
            names = ("loc", "scale", "low", "high")
            return tfp.distributions.TruncatedNormal(**{name: found[name] for name in names})
        return tfp.distributions.Normal(found["mean"], found["stddev"])

    def traversals(self, images: Any = None, **how: Any) -> np.ndarray:
        """A picture of each latent varied in turn, one row per latent.

        Args:
            images: `[B, H, W, C]`: the code of the first is varied, and rows are ordered by the
                mean variance of the posteriors, dead latents marked, where the model has
                posteriors. Without them the prior's mean is varied, in the order of the latents.
            **how: `span`, `steps`, `limit`, `scale` of `zoo.drawing.sheets.traversals`.

        Returns:
            `[height, width, 3]` uint8.

        Raises:
            InputError: the model decodes no images, there is no image, or nothing to be drawn.
        """
        from zoo.drawing import sheets

        for key in {"steps", "limit"} & set(how):
            if how[key] < 1:
                raise InputError(f"traversals: {key} is {how[key]!r}; it must be at least 1")
        if np.shape(images)[:1] == (0,):
            raise InputError("traversals: there is no image; leave images out to vary the prior")
        if len(self.image_shape) != 3:
            raise InputError(f"{self!r} has no images: its observations are {self.image_shape}")
        shape = self._argument_shape("decode")
        codes = np.zeros((1, self.latent_size), np.float32)
        if images is not None and "posterior" in self.endpoints:
            found = super().posterior(images)
            codes, deviations = (_rows(found[key]) for key in ("mean", "stddev"))
            how |= _ranked(codes, deviations**2)
        elif images is not None:
            codes = _rows(self.encode(images))

        def decode(flat: np.ndarray) -> np.ndarray:
            return sheets.coloured(self.decode(flat.reshape(-1, *shape)))

        return sheets.traversals(decode, codes, **how)

    def call_endpoint(self, name: str, arguments: Mapping[str, Any]) -> Any:
        """The SavedModel's answer to arguments that are checked and converted first."""
        import tensorflow as tf

        endpoint = self._endpoint(name)
        taken = {key: self._taken(name, key, value) for key, value in arguments.items()}
        if {"latents", "domain"} <= set(taken):
            counts = [taken[key].shape[0] for key in ("latents", "domain")]
            if None not in counts and counts[0] != counts[1]:
                raise InputError(f"{name}: {counts[0]} latents, but {counts[1]} domains")
        # oneDNN's convolutions refuse an empty batch.
        if any(map(_is_empty, taken.values())):
            one = [
                tf.zeros([1, *a.shape[1:]], a.dtype) if _is_empty(a) else a for a in taken.values()
            ]
            return tf.nest.map_structure(lambda answer: answer[:0], endpoint(*one))
        return endpoint(*taken.values())

    def _taken(self, name: str, argument: str, value: Any) -> "tf.Tensor":
        """One argument as the SavedModel takes it."""
        import tensorflow as tf

        if argument == "images":
            return self._images(name, value)
        if argument == "domain":
            return self._domains(name, value)
        if argument == "count":
            # No := here: AutoGraph, which converts this in a user's graph, does not know it.
            count = _count(value)
            if not count:
                raise InputError(
                    f"{name}: count is {_brief(value)}; it must be a positive integer, {_MOST} at "
                    "most"
                )
            return tf.constant(count, tf.int32)
        if argument == "seed":
            pair = _pair(value)
            if not pair:
                raise InputError(f"{name}: seed is {_brief(value)}; it must be one integer or two")
            # Any integer is a seed: the endpoint takes its low 32 bits.
            low = np.array([seed % 2**32 for seed in pair], np.uint32)
            return tf.constant(low.view(np.int32))
        numbers = tf.cast(self._checked(name, value, argument), tf.float32)
        # Inside another tf.function the values are not there to be looked at.
        if tf.executing_eagerly() and not bool(tf.reduce_all(tf.math.is_finite(numbers))):
            raise InputError(f"{name}: {argument} hold NaN or infinity")
        return numbers

    def _domains(self, name: str, value: Any) -> "tf.Tensor":
        """The domains of a batch, `[B]` int32."""
        import tensorflow as tf

        domains = _tensor(name, value, "domains")
        if domains.shape.rank != 1 or not domains.dtype.is_integer:
            raise InputError(
                f"{name}: domain of shape {tuple(domains.shape)} and type {domains.dtype.name}, "
                "wanted an integer for each of the latents, [B]"
            )
        count = (self.card.get("input") or {}).get("domains")
        if count and tf.executing_eagerly() and tf.size(domains) > 0:
            least, most = int(tf.reduce_min(domains)), int(tf.reduce_max(domains))
            if not 0 <= least <= most < count:
                raise InputError(
                    f"{name}: domains in {least}..{most}; this model has 0..{count - 1}"
                )
        return tf.cast(domains, tf.int32)

    @property
    def _generates(self) -> bool:
        """Whether it makes images of latents and domains, and has no codes."""
        return callable(getattr(self.model, "generate", None))

    def _answer(self, name: str) -> "tf.TensorSpec":
        return self._endpoint(name).concrete_functions[0].structured_outputs

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

        tensor = _tensor(name, array, what)
        expected = self._argument_shape(name)
        if not tensor.shape[1:].is_compatible_with(expected) or tensor.shape.rank == 0:
            axes = ", ".join(str(size) for size in expected)
            hint = ""
            if tensor.shape.is_compatible_with(expected):
                hint = "; add the batch axis: x[None]"
            elif expected[-1] == 1 and tensor.shape[1:].is_compatible_with(expected[:-1]):
                hint = "; add the channel axis: x[..., None]"
            if what == "images":
                hint += f"{' or' if hint else ';'} zoo.prepare(images, model)"
            given = tuple(tensor.shape)
            raise InputError(f"{name}: {what} of shape {given}, wanted [B, {axes}]{hint}")
        if not (tensor.dtype.is_floating or tensor.dtype.is_integer or tensor.dtype.is_bool):
            raise InputError(f"{name}: {what} of type {tensor.dtype.name}, wanted numbers")
        # In a graph the rank may be unknown until now.
        return tf.ensure_shape(tensor, [None, *expected])

    def _images(self, name: str, images: Any) -> "tf.Tensor":
        import tensorflow as tf

        images = self._checked(name, images, "images")
        if images.shape.rank != 4:
            return tf.cast(images, tf.float32)
        maximum = float((self.card.get("input") or {}).get("maximum", 255))
        if images.dtype.is_integer:
            low, high, limits = 0.0, maximum, f"0..{maximum:g}, the maximum of its card"
        else:
            low, high, limits = -OVERSHOOT, 1 + OVERSHOOT, "[0, 1]"
        scaled = tf.cast(images, tf.float32)
        # Inside another tf.function the values are not there to be looked at.
        if tf.executing_eagerly() and tf.size(scaled) > 0:
            least, most = float(tf.reduce_min(scaled)), float(tf.reduce_max(scaled))
            if not low <= least <= most <= high:
                kind = images.dtype.name
                raise InputError(
                    f"{name}: {kind} images in {least:g}..{most:g}; {kind} images of this model "
                    f"are in {limits}; zoo.prepare(images, model) converts others"
                )
        return scaled / maximum if images.dtype.is_integer else scaled


def _is_empty(batch: "tf.Tensor") -> bool:
    return batch.shape.rank > 0 and batch.shape[0] == 0


def _tensor(name: str, array: Any, what: str) -> "tf.Tensor":
    """A tensor of an array of any library."""
    import tensorflow as tf

    try:
        return tf.convert_to_tensor(array)
    # A RuntimeError is that of a tensor of PyTorch that requires gradients.
    except (TypeError, ValueError, RuntimeError) as error:
        line = " ".join(str(error).split())
        raise InputError(f"{name}: the {what} are not one array: {line}") from error


def _count(value: Any) -> int:
    """A number of images; 0 where it is none."""
    try:
        count = int(value)
        return count if np.ndim(value) == 0 and count == value and 0 < count <= _MOST else 0
    except (TypeError, ValueError, OverflowError):
        return 0


def _pair(value: Any) -> list[int]:
    """The two integers of a seed; nothing where it is none."""
    try:
        pair = [operator.index(seed) for seed in ((0, value) if np.ndim(value) == 0 else value)]
    except (TypeError, ValueError):
        return []
    return pair if len(pair) == 2 else []


def _brief(value: Any) -> str:
    """A wrong argument in a line: an array is its shape."""
    shape = getattr(value, "shape", ())
    return f"an array of shape {tuple(shape)}" if shape else reprlib.repr(value)


def _rows(latents: "tf.Tensor") -> np.ndarray:
    """Latents of a batch as `[B, D]`, those of its slots one after the other."""
    return np.asarray(latents).reshape(len(latents), -1)


def _ranked(means: np.ndarray, variances: np.ndarray) -> dict[str, Any]:
    """How `sheets.traversals` orders latents by the mean variance of their posteriors."""
    from zoo import evaluation
    from zoo.evaluation.regime import dead_latents

    regime = evaluation.polarized_regime(means, variances)
    order = regime["mean_variance"]
    return {"order": order, "by": "variance", "dead": dead_latents(order, regime["kl_per_latent"])}


def load(
    name_or_path: str | os.PathLike,
    version: str | None = None,
    kind: type[Pretrained] = Pretrained,
    hub: str | None = None,
) -> Pretrained:
    """Loads a pretrained model by name, or an exported one by path.

    A name of this package's own hubs wins over a directory of the same name (write `./` before the
    latter), and a directory over a name of the hubs in `ZOO_HUB`. Every file is checked against its
    recorded sha256 before TensorFlow sees it.

    Args:
        name_or_path: a name of `names()`, an exported model's directory, or a run folder.
        version: of a named model; the newest if None.
        kind: what it becomes.
        hub: the address of the hub whose model is meant: a folder, https or `hf://owner/repo`; by
            default the first that has the name.

    Raises:
        RegistryError: there is no such name, path or hub; the message names the nearest.
        FetchError: neither the hub nor a mirror has the model intact.
        PackageError: the directory is not a whole, unaltered model.
    """
    path = _resolve(name_or_path, version, hub)
    card = package.verify(path)
    import tensorflow as tf

    try:
        with literal(path) as folder:
            model = tf.saved_model.load(folder)
    except Exception as error:  # TensorFlow's own, of many kinds
        line = " ".join(str(error).split())
        raise package.PackageError(f"TensorFlow cannot load {path}: {line}") from error
    return kind(path, card, model)


def _resolve(name_or_path: str | os.PathLike, version: str | None, hub: str | None) -> pathlib.Path:
    if not isinstance(name_or_path, str | os.PathLike) or not os.fspath(name_or_path):
        raise InputError(
            f"{name_or_path!r} is no name and no path of a model; give a str or a Path"
        )
    if not isinstance(hub, str | os.PathLike | None):
        raise InputError(f"hub is {hub!r}; give the address of a hub")
    named = registry.is_name(name_or_path)
    if hub is not None or (named and registry.is_own(name_or_path)):
        return download.fetch(os.fspath(name_or_path), version, hub)
    given = os.fspath(name_or_path)[:200]
    if "://" in given:
        raise InputError(
            f"{given} is an address; a model is loaded by zoo.load(name, hub=address), and "
            "python -m zoo.hub list --hub=address lists the names"
        )
    path = pathlib.Path(name_or_path)
    try:
        path = path.expanduser()
        there = path.is_dir()
        other = "" if there else package.of_others(path)
    except (OSError, RuntimeError, ValueError):
        # The name is too long, or names a user whom this machine does not know.
        there, other = False, ""
    if other:
        raise registry.RegistryError(f"{given!r} is no exported model{other}")
    if not there and named:
        try:
            return download.fetch(os.fspath(name_or_path), version)
        except registry.UnknownModel as error:
            raise registry.UnknownModel(f"{given!r} is no directory, and {error}") from None
    if not there:
        known, name = registry.names(), given.rstrip("/")
        if name in known:
            raise registry.RegistryError(
                f"{given!r} is no directory; the pretrained model is zoo.load({name!r})"
            )
        raise registry.RegistryError(
            f"{given!r} is no directory and no pretrained model; {registry.nearest(given, known)}"
        )
    if version is not None:
        raise InputError(f"{path} is a directory: a version ({version}) goes with a name only")
    return package.of_run(path) or path

"""The endpoints of a SavedModel, each declared here and nowhere else.

A declaration is a method of `Endpoints`: its name and the names of its arguments are those of the
SavedModel's function, and the decorator says which function of a model it is. `zoo.hub.export`
writes the endpoints that a model has; `zoo.hub.Pretrained` calls those that a SavedModel has.
"""

import dataclasses
import functools
import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import tensorflow as tf

# The shape, for a model, and the type of every argument that an endpoint can have. None is the
# size of a batch.
ARGUMENTS: Mapping[str, tuple[Callable[[Any], list], str]] = {
    "images": (lambda model: [None, *model.observation_shape], "float32"),
    "latents": (lambda model: [None, *model.latent_shape], "float32"),
    "values": (lambda model: [None, *model.values_shape], "float32"),
    "domain": (lambda model: [None], "int32"),
    "count": (lambda model: [], "int32"),
    "seed": (lambda model: [2], "int32"),
}


@dataclasses.dataclass(frozen=True)
class Endpoint:
    """One declared endpoint.

    Attributes:
        name: of the SavedModel's function.
        arguments: their names, keys of `ARGUMENTS`.
        of: a model to its function of these arguments, or None where the model has none.
    """

    name: str
    arguments: tuple[str, ...]
    of: Callable[[Any], Callable | None]


DECLARED: dict[str, Endpoint] = {}


def _endpoint(of: Callable[[Any], Callable | None] | None = None) -> Callable:
    """Declares a method as an endpoint, of a model's method of the same name if `of` is None."""

    def declare(method: Callable) -> Callable:
        name, signature = method.__name__, inspect.signature(method)
        arguments = tuple(signature.parameters)[1:]
        same = functools.partial(_attribute, name=name)
        DECLARED[name] = Endpoint(name, arguments, of or same)

        @functools.wraps(method)
        def call(self, *args, **kwargs):
            bound = signature.bind(self, *args, **kwargs)
            bound.apply_defaults()
            return self.call_endpoint(name, {key: bound.arguments[key] for key in arguments})

        return call

    return declare


def _attribute(model: Any, name: str) -> Callable | None:
    return getattr(model, name, None)


def _posterior(model: Any) -> Callable | None:
    import tensorflow as tf
    import tensorflow_probability as tfp

    if not hasattr(model, "posterior"):
        return None
    if model.posterior(tf.zeros([1, *model.observation_shape])) is None:
        return None

    def posterior(images):
        distribution = model.posterior(images)
        answer = {"mean": distribution.mean(), "stddev": distribution.stddev()}
        # What tells the family, by its names.
        if isinstance(distribution, tfp.distributions.MultivariateNormalTriL):
            answer["scale_tril"] = distribution.scale.to_dense()
        if isinstance(distribution, tfp.distributions.TruncatedNormal):
            answer |= {key: getattr(distribution, key) for key in ("loc", "scale", "low", "high")}
        return answer

    return posterior


def _of_decoder(compute: Callable) -> Callable[[Any], Callable | None]:
    """An endpoint that every model with a decoder has: (model, its arguments) -> result."""
    return lambda model: functools.partial(compute, model) if hasattr(model, "decode") else None


def _reconstruct(model: Any, images: "tf.Tensor") -> "tf.Tensor":
    return model.decode(model.encode(images))


def _sample(model: Any) -> Callable | None:
    def sample(count, seed):
        return model.decode(model.draw_prior(count, seed))

    return sample if hasattr(model, "decode") else _attribute(model, "sample")


def _jacobian(model: Any, latents: "tf.Tensor") -> "tf.Tensor":
    from zoo.evaluation import jacobians

    return jacobians.graph_jacobian(model.decode, latents)


class Endpoints:
    """What exported models compute. Batches are `[B, ...]`, results float32 tensors.

    Images are `[B, H, W, C]`, or what else the model observes, in [0, 1] for pixels; latents are
    `[B, D]`, and `[B, slots, D]` for models with slots. Images that are made are in [0, 1] where
    the decoder ends in a sigmoid, as with a Bernoulli likelihood; others may leave it by a little:
    clip them before they become integers.
    """

    def call_endpoint(self, name: str, arguments: Mapping[str, Any]) -> Any:
        """Calls the endpoint `name` with arguments by name, in the order of its declaration."""
        raise NotImplementedError

    @_endpoint()
    def encode(self, images: Any) -> "tf.Tensor":
        """Posterior means: images `[B, H, W, C]` to codes `[B, D]`.

        Of slot autoencoders of `SlotAutoencoder.codes = "sample"` samples, with noise that is a
        function of the image.
        """

    @_endpoint(_posterior)
    def posterior(self, images: Any) -> dict[str, "tf.Tensor"]:
        """The posterior of images `[B, H, W, C]`: `{"mean", "stddev"}`, each `[B, D]`.

        With them `scale_tril` `[B, D, D]` of a normal distribution with a full covariance, and
        `loc`, `scale`, `low` and `high` of a truncated one. Of other families the moments only.
        """

    @_endpoint()
    def decode(self, latents: Any) -> "tf.Tensor":
        """Mean images: latents `[B, D]` to `[B, H, W, C]`."""

    @_endpoint(_of_decoder(_reconstruct))
    def reconstruct(self, images: Any) -> "tf.Tensor":
        """Images `[B, H, W, C]` encoded and decoded."""

    @_endpoint(_sample)
    def sample(self, count: int, seed: int | tuple[int, int] = 0) -> "tf.Tensor":
        """Images of `count` draws from the prior, `[count, H, W, C]`.

        Args:
            count: how many, at least 1.
            seed: one integer or two; the same seed gives the same images.
        """

    @_endpoint()
    def generate(self, latents: Any, domain: Any) -> "tf.Tensor":
        """Images of latents `[B, D]` in domains `[B]` (integers): `[B, H, W, C]`."""

    @_endpoint()
    def style(self, latents: Any, domain: Any) -> "tf.Tensor":
        """What a domain changes: latents `[B, D]` in domains `[B]` to `[B, S]`."""

    @_endpoint()
    def content(self, latents: Any) -> "tf.Tensor":
        """What no domain changes: latents `[B, D]` to `[B, D - S]`."""

    @_endpoint(_of_decoder(_jacobian))
    def jacobian(self, latents: Any) -> "tf.Tensor":
        """Derivatives of `decode` at latents `[B, D]`: `[B, H, W, C, D]`."""

    @_endpoint()
    def attention(self, latents: Any) -> "tf.Tensor":
        """Which slot each pixel is made of: latents `[B, slots, D]` to `[B, H, W, slots]`."""

    @_endpoint()
    def slot_images(self, latents: Any) -> "tf.Tensor":
        """Each slot's part of the image: `[B, slots, D]` to `[B, slots, H, W, C]`."""

    @_endpoint()
    def block_images(self, latents: Any) -> "tf.Tensor":
        """What each block of an additive decoder adds: `[B, D]` to `[B, blocks, H, W, C]`."""

    @_endpoint()
    def perturb(self, values: Any) -> "tf.Tensor":
        """What a perturbation adds: values of factors `[B, F]` to `[B, H, W, C]` in [-1, 1]."""

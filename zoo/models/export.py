"""Writes a trained model as a SavedModel with its weights, config and card beside it."""

import pathlib
import shutil
import tempfile
from collections.abc import Callable, Mapping

import keras
import tensorflow as tf

from zoo import runs
from zoo.evaluation import jacobians
from zoo.hub import package
from zoo.models.base import Autoencoder, Encoder


class Endpoints(tf.Module):
    """The functions of a SavedModel; `tf.saved_model.load` gives them without this package.

    `encode` images to codes (posterior means), `posterior` images to `mean` and `stddev` where the
    model has one, `decode` latents to mean images, `reconstruct` images through the code, `sample`
    (count, seed) images of prior latents, `jacobian` of `decode` at latents,
    `[B, *observation_shape, D]`. Models with slots have latents `[B, slots, D]`, and also
    `attention` and `slot_images` of latents; additive decoders have `block_images`. Images are
    float32, in [0, 1] for pixels. A model without decoder has the first two at most.
    """

    def __init__(self, model: Encoder):
        super().__init__()
        self.model = model
        images = tf.TensorSpec([None, *model.observation_shape], tf.float32, name="images")
        self.encode = tf.function(model.encode, [images])
        if model.posterior(tf.zeros([1, *model.observation_shape])) is not None:

            def posterior(images):
                distribution = model.posterior(images)
                return {"mean": distribution.mean(), "stddev": distribution.stddev()}

            self.posterior = tf.function(posterior, [images])
        if isinstance(model, Autoencoder):
            self._add_decoder(model, images)

    def _add_decoder(self, model: Autoencoder, images: tf.TensorSpec) -> None:
        latents = tf.TensorSpec([None, *model.latent_shape], tf.float32, name="latents")
        count = tf.TensorSpec([], tf.int32, name="count")
        seed = tf.TensorSpec([2], tf.int32, name="seed")

        self.decode = tf.function(model.decode, [latents])
        self.reconstruct = tf.function(lambda images: model.decode(model.encode(images)), [images])
        self.jacobian = tf.function(
            lambda latents: jacobians.graph_jacobian(model.decode, latents), [latents]
        )

        def sample(count, seed):
            return model.decode(model.draw_prior(count, seed))

        self.sample = tf.function(sample, [count, seed])
        for name in ("attention", "slot_images", "block_images"):
            if hasattr(model, name):
                setattr(self, name, tf.function(getattr(model, name), [latents]))


def export(
    model: keras.Model,
    folder: pathlib.Path,
    config: str,
    card: Mapping,
    endpoints: Callable[..., tf.Module] = Endpoints,
) -> dict:
    """Writes `folder` at once or not at all; an older one is replaced.

    Args:
        model: its endpoints are written in the precision it was built with.
        folder: where.
        config: the operative gin text.
        card: see `zoo.hub.package.seal`.
        endpoints: makes what is saved of the model.

    Returns:
        The card as written.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = pathlib.Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        made = temporary / folder.name
        tf.saved_model.save(endpoints(model), str(made))
        # A stable name inside: the fingerprint TensorFlow adds differs from run to run.
        (made / "fingerprint.pb").unlink(missing_ok=True)
        model.save_weights(made / "model.weights.h5")
        runs.write_text(made / "config.gin", config)
        written = package.seal(made, card)
        if folder.exists():
            folder.rename(temporary / "old")
        made.rename(folder)
        return written
    finally:
        shutil.rmtree(temporary, ignore_errors=True)

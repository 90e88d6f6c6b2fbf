"""The contract of a model: per-example losses, and how one update is made of them."""

from collections.abc import Mapping

import keras
import tensorflow as tf

from zoo.models.noise import standard_normal

Batch = Mapping[str, tf.Tensor]


class Model(keras.Model):
    """What the trainer knows of a model.

    A model is built with the shape of one observation, all its variables existing when `__init__`
    returns. Randomness is stateless: everything random in `losses_on` comes from `seed`.

    Models with one optimiser implement `losses_on` and are done. Models with several list them
    in `optimizers` (built) and override `update`.
    """

    def losses_on(self, batch: Batch, seed: tf.Tensor, step: tf.Tensor) -> dict[str, tf.Tensor]:
        """The losses of every example of a batch.

        Args:
            batch: what the sampler gives; at least `image`, `[B, ...]` float32.
            seed: `[2]` int32, the stateless seed of this step on this replica.
            step: int32 scalar, the number of updates made before, for schedules.

        Returns:
            Tensors `[B]` or `[B, ...]` float32 by name; the one called `loss` `[B]` is minimised,
            the others are logged as means over examples.
        """
        raise NotImplementedError

    def validation_losses_on(
        self, batch: Batch, seed: tf.Tensor, step: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """As `losses_on`, of examples that are not trained on: no variable changes.

        Models that do in training what they do not do afterwards (statistics of the batch, noise
        on the code) leave it out here.
        """
        return self.losses_on(batch, seed, step)

    def summarize(self, averages: Mapping) -> dict:
        """Turns logged averages (numbers or arrays) into what is shown; adds derived figures."""
        return dict(averages)

    def bind(self, optimizer: keras.optimizers.Optimizer) -> None:
        """Takes the optimiser of the run and creates its slots."""
        self.optimizer = optimizer
        optimizer.build(self.trainable_variables)

    @property
    def optimizers(self) -> list[keras.optimizers.Optimizer]:
        """Every optimiser whose state a checkpoint must hold."""
        return [self.optimizer]

    def update(
        self, batch: Batch, seed: tf.Tensor, step: tf.Tensor, replicas: int
    ) -> dict[str, tf.Tensor]:
        """One optimiser step on this replica's share of a batch.

        The loss is divided by the number of replicas because the optimiser sums their gradients.

        Returns:
            The means over examples of all losses.
        """
        variables = self.trainable_variables
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([v.value for v in variables])
            losses = self.losses_on(batch, seed, step)
            loss = tf.reduce_mean(losses["loss"]) / replicas
        gradients = tape.gradient(loss, variables)
        self.optimizer.apply(gradients, variables)
        return {name: tf.reduce_mean(value, axis=0) for name, value in losses.items()}


class Encoder(Model):
    """A model with a code: `encode` images to codes. It is scored and exported with that alone.

    Attributes:
        observation_shape: the shape of one observation.
        latent_dim: the length D of a code.
    """

    observation_shape: tuple[int, ...]
    latent_dim: int

    @property
    def latent_shape(self) -> tuple[int, ...]:
        """The shape of one code, `(D,)` but for models with slots."""
        return (self.latent_dim,)

    def encode(self, images: tf.Tensor) -> tf.Tensor:
        """The representation of images: `[B, ...]` float32 to `[B, D]` (the posterior mean)."""
        raise NotImplementedError

    def posterior(self, images: tf.Tensor):
        """The posterior of images, a TFP distribution over `[D]`, or None where there is none."""
        return None


class Autoencoder(Encoder):
    """A model with a code and its inverse: `encode` images to codes, `decode` codes to images."""

    def decode(self, latents: tf.Tensor) -> tf.Tensor:
        """Mean images of latents: `[B, D]` to `[B, ...]` float32, in [0, 1] for images."""
        raise NotImplementedError

    def draw_prior(self, count: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """`count` latents of the prior, `[count, D]`, from a stateless seed `[2]`: N(0, I)."""
        return standard_normal(tf.stack([count, *self.latent_shape]), seed)

"""Training a perturbation: m against decoders of disentangled and for those of entangled VAEs."""

from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from zoo.data.space import FactorSpace
from zoo.errors import SettingError
from zoo.models.base import Batch, Model, Player
from zoo.models.noise import stream
from zoo.models.vae import VAE
from zoo.perturbation.network import PerturbationNetwork, folded


class Perturbation(Model):
    """A perturbation network m and the VAEs it is trained with (Zietlow 2022, sec. 4.2.2, 4.3.1).

    Of images x `[B, H, W, C]` with factors w the VAEs encode x and reconstruct
    `x' = fold(x + epsilon m(w))`: with r the negative log-likelihood of x' in nats, averaged over
    samples of the latents, decoders minimise r and m minimises
    `mean r of the entangled - mean r of the disentangled`. Encoders never move. Of every
    `decoder_batches + 1` batches the last trains m, the others all decoders; the first
    `warm_up` batches train decoders only.

    The dissertation does not name the likelihood. Decoders keep that of their VAE; `likelihood` is
    for m alone, and decides what moves a pixel of x'. By Bernoulli logits l its gradient is
    `l_disentangled - l_entangled`, by Gaussians of one variance s^2 it is
    `(d_disentangled - d_entangled) / s^2` for the mean images d: neither depends on x' itself, but
    logits are unbounded. In a background that both VAEs are sure of, logits of -9 and -12 pull with
    a force of 3 while the mean images differ by 1e-4; a force that is the same at all images pulls
    m to a constant there. With the variance `"optimal"` of `Gaussian` each VAE has its own, and the
    gradient, `(x' - d_entangled) / s_entangled^2 - (x' - d_disentangled) / s_disentangled^2`, does
    depend on x'.

    Args:
        observation_shape: `(H, W, C)`.
        space: the factor grid that numbers the images.
        disentangled: trained VAEs; their decoders are trained on.
        entangled: as many others.
        epsilon: the largest change of a pixel.
        samples: latents drawn for every image and VAE.
        decoder_batches: batches of the decoders for one of m.
        warm_up: batches before the first of m.
        likelihood: makes the likelihood of m's loss, of the VAEs' mean images: `Gaussian`,
            `Laplace` or `Logistic`, neither squashed nor learned; None for that of each VAE.
        network: (factor grid, observation shape) -> m.
        decoder_optimizer: makes the optimiser of the decoders.

    Raises:
        SettingError: the likelihood is not of mean images, or has weights.
    """

    def __init__(
        self,
        observation_shape: tuple[int, ...],
        space: FactorSpace,
        disentangled: Sequence[VAE],
        entangled: Sequence[VAE],
        epsilon: float,
        samples: int,
        decoder_batches: int,
        warm_up: int,
        network: Callable[..., PerturbationNetwork],
        decoder_optimizer: Callable[[], keras.optimizers.Optimizer],
        likelihood: Callable[[], keras.layers.Layer] | None = None,
    ):
        super().__init__()
        self.observation_shape, self.epsilon = observation_shape, epsilon
        self.samples, self.decoder_batches, self.warm_up = samples, decoder_batches, warm_up
        self.network = network(space, observation_shape)
        self.likelihood = likelihood and mean_likelihood(likelihood)
        self._ensemble = len(disentangled)
        # Each an attribute of its own: checkpoints would leave out what a list holds.
        for k in range(self._ensemble):
            setattr(self, f"disentangled_{k}", disentangled[k])
            setattr(self, f"entangled_{k}", entangled[k])
        self._make_optimizer = decoder_optimizer
        self._strides = space.strides.astype(np.int32)
        self._sizes = np.array(space.sizes, np.int32)
        self._offsets = np.cumsum((0, *space.sizes[:-1]), dtype=np.int32)
        self._values = np.concatenate([axis.values for axis in space.axes]).astype(np.float32)
        for vae in self._vaes:
            for layer in vae.layers:
                layer.trainable = layer is vae.decoder
        self.built = True

    @property
    def disentangled(self) -> list[VAE]:
        """The VAEs whose reconstruction m makes worse."""
        return [getattr(self, f"disentangled_{k}") for k in range(self._ensemble)]

    @property
    def entangled(self) -> list[VAE]:
        """The VAEs whose reconstruction m makes better."""
        return [getattr(self, f"entangled_{k}") for k in range(self._ensemble)]

    @property
    def _vaes(self) -> list[VAE]:
        return [*self.disentangled, *self.entangled]

    @property
    def decoder_variables(self) -> list[keras.Variable]:
        """The weights of all decoders."""
        return [v for vae in self._vaes for v in vae.decoder.trainable_variables]

    def rounds(self, optimizer: keras.optimizers.Optimizer) -> list[list[Player]]:
        """m, of the run's optimiser, and all decoders; a step plays one round."""
        decoders = Player(("decoders",), self.decoder_variables, self._make_optimizer())
        return [[Player(("loss",), self.network.trainable_variables, optimizer)], [decoders]]

    def turn(self, step: tf.Tensor) -> tf.Tensor:
        """See `Model.turn`."""
        decoders = step % (self.decoder_batches + 1) < self.decoder_batches
        return tf.cast((step < self.warm_up) | decoders, tf.int32)

    def change(self, index: tf.Tensor) -> tf.Tensor:
        """The output m(w) for images: `[B]` numbers to `[B, H, W, C]` float32 in [-1, 1]."""
        factors = index[:, None] // self._strides % self._sizes
        return self.network(tf.gather(self._values, factors + self._offsets))

    def perturbed(self, images: tf.Tensor, change: tf.Tensor) -> tf.Tensor:
        """`fold(x + epsilon m(w))` of images x and m(w), `[B, H, W, C]` float32 in [0, 1]."""
        return folded(images + self.epsilon * change)

    def outputs(self, vae: VAE, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """What its decoder makes of samples of `q(z|image)`, `[samples * B, ...]`."""
        posterior = vae.posterior(images)
        latents = [vae.draw(posterior, stream(seed, s)) for s in range(self.samples)]
        return vae.decoder_outputs(tf.concat(latents, axis=0))

    def reconstruction(
        self,
        vae: VAE,
        targets: tf.Tensor,
        outputs: tf.Tensor,
        likelihood: keras.layers.Layer | None,
    ) -> tf.Tensor:
        """`-log p(target|z)` in nats, the mean over the samples that gave `outputs`, `[B]`.

        Args:
            vae: whose decoder gave them.
            targets: `[B, ...]` images.
            outputs: `[samples * B, ...]`.
            likelihood: p, of the VAE's mean images; None for the VAE's own.
        """
        targets = tf.concat([targets] * self.samples, axis=0)
        if likelihood is None:
            losses = vae.likelihood.negative_log_likelihood(targets, outputs)
        else:
            means = vae.likelihood.mean(outputs)
            losses = likelihood.negative_log_likelihood(targets, means)
        return tf.reduce_mean(tf.reshape(losses, [self.samples, -1]), axis=0)

    def losses_on(self, batch: Batch, seed: tf.Tensor, step: tf.Tensor) -> dict[str, tf.Tensor]:
        """See `Model.losses_on`.

        `loss` is what m minimises and `decoders` what the decoders do, by the VAEs' own likelihood.
        By that of m and as means over an ensemble, `reconstruction_entangled` and
        `reconstruction_disentangled` are of x', and `reconstruction_gap_entangled` and
        `reconstruction_gap_disentangled` how much more they are than those of x, with the decoders
        as they are at the step. `change` is the mean of |m|, and `variation` how much x' would
        differ, in units of epsilon, if an image had the m of another image of the batch: 0 where m
        does not depend on the factors, or by a sign only that folding undoes, which tells a VAE
        nothing.
        """
        images = batch["image"]
        change = self.change(batch["index"])
        targets = self.perturbed(images, change)
        exchanged = self.perturbed(images, tf.roll(change, 1, axis=0))
        own, losses, gaps = [], [], []
        for k, vae in enumerate(self._vaes):
            outputs = self.outputs(vae, images, stream(seed, k))
            own.append(self.reconstruction(vae, targets, outputs, None))
            losses.append(self.reconstruction(vae, targets, outputs, self.likelihood))
            gaps.append(losses[-1] - self.reconstruction(vae, images, outputs, self.likelihood))
        disentangled, entangled = self._means(losses)
        gap_disentangled, gap_entangled = self._means(gaps)
        return {
            "loss": entangled - disentangled,
            "reconstruction_entangled": entangled,
            "reconstruction_disentangled": disentangled,
            "reconstruction_gap_entangled": gap_entangled,
            "reconstruction_gap_disentangled": gap_disentangled,
            "decoders": tf.add_n(own),
            "change": tf.reduce_mean(tf.abs(change), axis=[1, 2, 3]),
            "variation": tf.reduce_mean(tf.abs(targets - exchanged), axis=[1, 2, 3]) / self.epsilon,
        }

    def _means(self, values: Sequence[tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        """The means of `[B]` for each of `_vaes` over the disentangled, and over the entangled."""
        count = self._ensemble
        return tf.add_n(values[:count]) / count, tf.add_n(values[count:]) / count


def mean_likelihood(make: Callable[[], keras.layers.Layer]) -> keras.layers.Layer:
    """The likelihood that `make` makes, if it is one of mean images.

    Raises:
        SettingError: it takes logits, squashes what it is given, or has weights.
    """
    likelihood = make()
    if getattr(likelihood, "squashed", True) or likelihood.weights:
        raise SettingError(
            f"perturb.likelihood is {type(likelihood).__name__}; give one of mean images, that is "
            "Gaussian, Laplace or Logistic, neither squashed nor learned, or None for the VAEs' own"
        )
    return likelihood

"""Autoencoders whose code is a set of slots, and the regulariser of interactions between them."""

from collections.abc import Callable

import gin
import keras
import tensorflow as tf
import tensorflow_probability as tfp

from zoo.errors import SettingError, require_not_negative
from zoo.models.base import Autoencoder, Batch
from zoo.models.consistency import MOST_SLOTS, matched_error, recombined
from zoo.models.noise import noise_of, standard_normal, stream
from zoo.networks.slot_decoders import transformer_slot_decoder
from zoo.networks.slot_encoders import transformer_slot_encoder
from zoo.optim.schedules import Schedule, at

tfd = tfp.distributions

_LAYERS = {"mean": tf.reduce_mean, "sum": tf.reduce_sum}
_CODES = ("mean", "sample")
# The published decoder's heads, whose attention is added up: what alpha is the weight of.
_HEADS = 12
# Of the noise of codes that are samples; folded into a step's seed for the choice of pixels and for
# that of slots that are put together anew.
_CODE_SEED, _PIXELS, _RECOMBINED = (0x51075, 0), 0x9177, 0xC095


def interaction(weights: tf.Tensor) -> tf.Tensor:
    """The products of slots' weights, summed over all pairs: `[..., K]` to `[...]`.

    `sum_{j<k} w_j w_k = ((sum_k w_k)^2 - sum_k w_k^2) / 2`: zero where one weight alone is not.
    """
    total = tf.reduce_sum(weights, axis=-1)
    return (total**2 - tf.reduce_sum(weights**2, axis=-1)) / 2


@gin.register
class SlotAutoencoder(Autoencoder):
    """An autoencoder of slots with regularised interactions (Brady et al. 2025, eq. 5.3).

    Minimises `sigma |x - f(z)|^2 + beta KL(q(z|x) || N(0, I)) + alpha L_interact` per image. With
    A the decoder's attention weights, averaged over heads, `L_interact` is the mean over pixels of
    `144 sum_{j<k} A_j A_k`: the authors add up the attention of their 12 heads, and with this
    factor alpha means the same for any number of heads. Where attention is uniform `L_interact` is
    `72 (K - 1) / K`. With `variational` the posterior of every latent is normal with
    standard deviation `exp(h) / 2`, h being the second half of the encoder's output; otherwise the
    code is the encoder's output, and there is no KL term. `sample` of an exported model decodes
    standard normal slots, which is its prior only where it is variational.

    `consistency` adds what makes the encoder invert the decoder on combinations that no image shows
    (Wiedemer et al. 2024, the loss that appendix H.3 of Brady et al. 2025 refers to): z' has slots
    drawn from those of all images of the batch, f(z') is encoded, by the posterior's mean where
    there is one, and `min_pi sum_k |z'_k - g(f(z'))_pi(k)|^2` is added with this weight. Gradients
    reach the encoder g alone.

    Codes are `[B, slots, latent_dim]`.

    Args:
        observation_shape: `(H, W, C)`.
        slots: K, the number of slots.
        latent_dim: the number of latents of a slot.
        variational: whether there is a posterior, and noise.
        sigma: the weight of the reconstruction.
        beta: the weight of the KL term: a number, or a schedule of the step.
        alpha: the weight of the interaction: a number, or a schedule of the step.
        consistency: the weight of the encoder's error on slots put together anew: a number, or a
            schedule of the step; 0 logs it and leaves it out of the loss, None does not compute it.
        layers: attention of several layers is averaged (`mean`: the authors' code) or added up
            (`sum`: their paper), which multiplies `L_interact` by the square of their number.
        codes: what `encode` returns where the model is variational: `mean`, or `sample`, which the
            authors' code scores, here with noise that is a function of the image.
        pixel_stride: train on every n-th row and column from a random first one on, with the
            reconstruction scaled up accordingly; for decoders that can. 1 takes all pixels.
        slot_encoder: (observation shape, slots, width) -> network to `[B, slots, width]`.
        slot_decoder: (slots, latents of a slot, observation shape) -> network to what
            `zoo.networks.slot_decoders` describes.
    """

    def __init__(
        self,
        observation_shape: tuple[int, ...],
        slots: int = 5,
        latent_dim: int = 32,
        variational: bool = True,
        sigma: float = 1.0,
        beta: float | Schedule = 0.05,
        alpha: float | Schedule = 0.05,
        consistency: float | Schedule | None = None,
        layers: str = "mean",
        codes: str = "mean",
        pixel_stride: int = 1,
        slot_encoder: Callable[..., keras.Model] = transformer_slot_encoder,
        slot_decoder: Callable[..., keras.Model] = transformer_slot_decoder,
    ):
        super().__init__()
        if len(observation_shape) != 3:
            raise SettingError(
                f"SlotAutoencoder takes images, not data of shape {observation_shape}"
            )
        numbers = {"slots": slots, "latent_dim": latent_dim, "pixel_stride": pixel_stride}
        for key, value in numbers.items():
            if value < 1:
                raise SettingError(f"SlotAutoencoder.{key} is {value}; give at least 1")
        weights = {"sigma": sigma, "beta": beta, "alpha": alpha, "consistency": consistency or 0}
        require_not_negative("SlotAutoencoder", **weights)
        for key, value, known in (("layers", layers, _LAYERS), ("codes", codes, _CODES)):
            if value not in known:
                raise SettingError(
                    f"SlotAutoencoder.{key} is {value!r}; it takes {', '.join(known)}"
                )
        if consistency is not None and slots > MOST_SLOTS:
            raise SettingError(
                f"SlotAutoencoder.consistency tries all assignments of slots, too many of {slots}; "
                f"give at most {MOST_SLOTS} slots, or None"
            )
        if not variational and (callable(beta) or beta):
            raise SettingError("SlotAutoencoder.beta needs a variational model; set it to 0")
        self.observation_shape, self.slots, self.latent_dim = observation_shape, slots, latent_dim
        self.variational, self.codes, self.pixel_stride = variational, codes, pixel_stride
        self.sigma, self.beta, self.alpha, self.layers_by = sigma, beta, alpha, layers
        self.consistency = consistency
        self.encoder = slot_encoder(observation_shape, slots, latent_dim * (1 + variational))
        self.decoder = slot_decoder(slots, latent_dim, observation_shape)
        self.built = True
        self._check_decoder()

    def _check_decoder(self) -> None:
        if self.pixel_stride > 1:
            if any(side % self.pixel_stride for side in self.observation_shape[:2]):
                raise SettingError(
                    f"SlotAutoencoder.pixel_stride is {self.pixel_stride}; it must divide the "
                    f"sides of images, {self.observation_shape[:2]}"
                )
            if not getattr(self.decoder, "samples_pixels", False):
                raise SettingError(
                    "SlotAutoencoder.pixel_stride needs a decoder that can decode some pixels "
                    "only, as transformer_slot_decoder; set it to 1"
                )
        decoded = self.decoder(tf.zeros([1, *self.latent_shape]))
        if "attention" not in decoded and (callable(self.alpha) or self.alpha):
            raise SettingError(
                "SlotAutoencoder.alpha needs a decoder that attends to slots, as "
                "transformer_slot_decoder; set it to 0"
            )

    @property
    def latent_shape(self) -> tuple[int, int]:
        """`(slots, latent_dim)`, the shape of a code."""
        return self.slots, self.latent_dim

    def posterior(self, images: tf.Tensor, training: bool = False) -> tfd.Distribution | None:
        """`q(z|x)`: `[B, H, W, C]` to a batch of B normals over `[K, D]`, independent entries.

        Args:
            images: `[B, H, W, C]`.
            training: see `VAE.posterior`.
        """
        if not self.variational:
            return None
        mean, h = tf.split(self._encoded(images, training), 2, axis=-1)
        return tfd.Normal(mean, 0.5 * tf.exp(h))

    def encode(self, images: tf.Tensor) -> tf.Tensor:
        """Slots of images, the posterior mean or a sample of it: `[B, H, W, C]` to `[B, K, D]`."""
        posterior = self.posterior(images)
        if posterior is None:
            return self._encoded(images, training=False)
        if self.codes == "mean":
            return posterior.mean()
        noise = noise_of(images, posterior.loc.shape[1:], _CODE_SEED)
        return posterior.loc + posterior.scale * noise

    def decode(self, latents: tf.Tensor) -> tf.Tensor:
        """Images of slots, not clipped to [0, 1]: `[B, K, D]` to `[B, H, W, C]`."""
        return self._as_image(tf.cast(self.decoder(latents)["image"], tf.float32))

    def attention(self, latents: tf.Tensor) -> tf.Tensor:
        """Which slot each pixel is made of: `[B, K, D]` to `[B, H, W, K]`, 1 summed over slots.

        Attention averaged over layers and heads, or the masks of spatial broadcast.
        """
        return self._as_image(self.decoder(latents)["masks"])

    def slot_images(self, latents: tf.Tensor) -> tf.Tensor:
        """Each slot's part of the image: `[B, K, D]` to `[B, K, H, W, C]`; their sum is `decode`.

        What spatial broadcast adds up, or the image weighed by the attention to each slot.
        """
        decoded = self.decoder(latents)
        parts = decoded.get("parts")
        if parts is None:
            image = tf.cast(decoded["image"], tf.float32)
            parts = decoded["masks"][..., None] * image[:, :, None]
        parts = tf.transpose(parts, [0, 2, 1, 3])
        return tf.reshape(parts, [-1, self.slots, *self.observation_shape])

    def losses_on(self, batch: Batch, seed: tf.Tensor, step: tf.Tensor) -> dict[str, tf.Tensor]:
        """See `Model.losses_on`; logs reconstruction (squared error), KL and interaction.

        `interaction_share` is the interaction divided by that of uniform attention: from 0, where
        each pixel attends to one slot, to 1. `consistency_share` is the encoder's error on slots
        put together anew divided by what their mean in place of each would have.
        """
        images, training = batch["image"], self.training_losses
        posterior = self.posterior(images, training)
        if posterior is None:
            latents = self._encoded(images, training)
        else:
            latents = self._draw(posterior, seed)
        target, decoded = self._targets_and_decoded(images, latents, seed, training)
        error = tf.math.squared_difference(target, tf.cast(decoded["image"], tf.float32))
        losses = {"reconstruction": self.pixel_stride**2 * tf.reduce_sum(error, axis=[1, 2])}
        loss = self.sigma * losses["reconstruction"]
        if posterior is not None:
            divergence = tfd.kl_divergence(posterior, tfd.Normal(tf.zeros([]), tf.ones([])))
            losses["kl"] = tf.reduce_sum(divergence, axis=[1, 2])
            loss += at(self.beta, step) * losses["kl"]
        if "attention" in decoded:
            attention = decoded["attention"]
            heads = tf.reduce_sum(attention, axis=3) * (_HEADS / attention.shape[3])
            weights = _LAYERS[self.layers_by](heads, axis=1)
            losses["interaction"] = tf.reduce_mean(interaction(weights), axis=1)
            total = _HEADS * (attention.shape[1] if self.layers_by == "sum" else 1)
            uniform = total**2 * (1 - 1 / self.slots) / 2
            losses["interaction_share"] = tf.math.divide_no_nan(losses["interaction"], uniform)
            loss += at(self.alpha, step) * losses["interaction"]
        if self.consistency is not None:
            losses |= self._consistency(latents, seed, training)
            loss += at(self.consistency, step) * losses["consistency"]
        return {"loss": loss, **losses}

    def _consistency(self, latents, seed, training: bool) -> dict[str, tf.Tensor]:
        """The encoder's error on slots put together anew, `[B]`, and its share of their spread."""
        slots = recombined(latents, stream(seed, _RECOMBINED))
        images = tf.stop_gradient(self.decode(slots))
        posterior = self.posterior(images, training)
        found = self._encoded(images, training) if posterior is None else posterior.mean()
        error = matched_error(slots, found)
        spread = self.slots * tf.reduce_sum(tf.math.reduce_variance(slots, axis=[0, 1]))
        share = tf.math.divide_no_nan(tf.stop_gradient(error), spread)
        return {"consistency": error, "consistency_share": share}

    def _targets_and_decoded(self, images, latents, seed, training: bool):
        """The pixels that the loss is on, `[B, P, C]`, and what the decoder makes of them."""
        height, width, channels = self.observation_shape
        flat, stride = tf.reshape(images, [-1, height * width, channels]), self.pixel_stride
        if stride == 1:
            return flat, self.decoder(latents, training=training)
        bits = tf.random.stateless_uniform(
            [2], stream(seed, _PIXELS), None, None, tf.int32, alg="philox"
        )
        row, column = tf.unstack(tf.math.floormod(bits, stride))
        rows, columns = row + tf.range(0, height, stride), column + tf.range(0, width, stride)
        pixels = tf.reshape(rows[:, None] * width + columns, [height * width // stride**2])
        return tf.gather(flat, pixels, axis=1), self.decoder(latents, pixels, training=training)

    def _encoded(self, images: tf.Tensor, training: bool) -> tf.Tensor:
        """What the encoder makes of images: `[B, K, D]`, or `[B, K, 2 D]` of a posterior."""
        return tf.cast(self.encoder(images, training=training), tf.float32)

    def _draw(self, posterior, seed) -> tf.Tensor:
        return posterior.loc + posterior.scale * standard_normal(tf.shape(posterior.loc), seed)

    def _as_image(self, pixels: tf.Tensor) -> tf.Tensor:
        height, width, _ = self.observation_shape
        return tf.reshape(pixels, [-1, height, width, pixels.shape[-1]])

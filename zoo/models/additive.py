"""Autoencoders whose decoder is a sum of decoders of a block each, and how blocks may interact."""

from collections.abc import Callable, Sequence

import gin
import keras
import numpy as np
import tensorflow as tf

from zoo.errors import SettingError, require_not_negative
from zoo.models.base import Autoencoder, Batch, flat_features
from zoo.models.hessian_penalty import BlockHessian
from zoo.models.noise import standard_normal, stream
from zoo.networks.additive import object_decoder, resnet18_encoder
from zoo.networks.interaction import Interaction
from zoo.networks.pytorch import batch_norm, uniform_by_fan_in
from zoo.optim.schedules import Schedule, at

_IMAGENET_MEAN, _IMAGENET_DEVIATION = np.array([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])

# How images in [0, 1] are normalised: what is subtracted, and what it is then divided by.
NORMALIZATIONS = {
    "unit": (0.0, 1.0),
    "pixels": (0.0, 1 / 255),
    "symmetric": (0.5, 0.5),
    "imagenet": (_IMAGENET_MEAN, _IMAGENET_DEVIATION),
    "imagenet_pixels": (_IMAGENET_MEAN / 255, _IMAGENET_DEVIATION / 255),
}

_SIGMAS = {"identity": tf.identity, "exp": tf.exp}


@gin.register
class AdditiveAutoencoder(Autoencoder):
    """An autoencoder with an additive decoder (Lachapelle et al. 2023).

    `f(z) = sigma(sum_B f_B(z_B))` over the blocks B of a partition of the latents, on normalised
    images x. Minimises the mean of `(x - f(g(x)))^2` over the numbers of an image. A single block
    is the non-additive baseline. There is no prior: `sample` of an exported model decodes standard
    normal codes, which the normalised codes resemble in mean and variance only.

    Batch statistics are used in training, moving averages of them by `encode` and `decode`. The
    moving averages are weights, kept in checkpoints and exports.

    Args:
        observation_shape: the shape of one observation, `(H, W, C)` or `(D,)`.
        latent_dim: the number of latents.
        blocks: the partition, lists of latents; each latent by itself if None.
        shared: use one decoder for all blocks, which then are of one size. Its parts of the image
            differ by their latents only, so that the image is symmetric in the blocks.
        interaction: the order of interaction across blocks that the decoder is to have at most,
            from 1. From 2 on, a polynomial of that degree in latents of different blocks is added
            to the sum (Brady et al. 2025, eq. 4.2); 1 is the additive decoder.
        masked: whether the sum is weighted: each decoder makes a further channel, and the softmax
            of these over blocks says how much of every pixel each has. One object can then cover
            another; the decoder is no longer additive.
        sigma: the invertible output transformation: `identity`, or `exp`, which makes the image a
            product over blocks (for `unit` or `pixels`).
        normalization: of images, and so the scale of the loss: `unit` [0, 1], `pixels` [0, 255],
            `symmetric` [-1, 1], `imagenet` (mean and deviation of ImageNet's channels), or
            `imagenet_pixels` (these of [0, 1], applied to numbers in [0, 255]). The authors' code
            calls the last four none, tensor_uniform, tensor_imagenet and imagenet. Or the numbers
            themselves, for images in [0, 1]: `(what is subtracted, what it is divided by)`, each
            one number or C.
        normalized_code: whether the code is batch-normalised.
        code_noise: the standard deviation of normal noise that is added to the code in training, in
            units of the code's own over the batch: a number, or a schedule of the step. Not in
            the paper. Noise favours latents that are aligned with factors, whatever the decoder:
            with it a score says less of additivity.
        encoder: observation shape -> network to features; a dense layer to the code follows.
        decoder: (latents, observation shape) -> network to (a part of) a normalised image.
        penalty: `BlockHessian`, the other way to additivity, for a single block: added, times its
            weight, to the loss, at the codes of the batch. It trains the decoder alone, with
            its moving averages where it has any; the decoder is best without.
    """

    def __init__(
        self,
        observation_shape: tuple[int, ...],
        latent_dim: int = 2,
        blocks: Sequence[Sequence[int]] | None = None,
        shared: bool = False,
        interaction: int = 1,
        masked: bool = False,
        sigma: str = "identity",
        normalization: str | tuple[Sequence[float] | float, Sequence[float] | float] = "unit",
        normalized_code: bool = True,
        code_noise: float | Schedule = 0.0,
        encoder: Callable[..., keras.Model] = resnet18_encoder,
        decoder: Callable[..., keras.Model] = object_decoder,
        penalty: BlockHessian | None = None,
    ):
        super().__init__()
        if latent_dim < 1:
            raise SettingError(f"AdditiveAutoencoder.latent_dim is {latent_dim}; give at least 1")
        if sigma not in _SIGMAS:
            raise SettingError(
                f"AdditiveAutoencoder.sigma is {sigma!r}; it takes {', '.join(_SIGMAS)}"
            )
        require_not_negative("AdditiveAutoencoder", code_noise=code_noise)
        self.observation_shape, self.latent_dim = observation_shape, latent_dim
        self.blocks = _partition(blocks, latent_dim)
        sizes = [len(block) for block in self.blocks]
        if shared and len(set(sizes)) > 1:
            raise SettingError(
                f"AdditiveAutoencoder.shared needs blocks of one size; they are {sizes}"
            )
        if interaction < 1 or (interaction > 1 and len(self.blocks) < 2):
            raise SettingError(
                f"AdditiveAutoencoder.interaction is {interaction} with {len(self.blocks)} "
                "block(s); give at least 1, and 1 with a single block"
            )
        if masked and len(self.blocks) < 2:
            raise SettingError("AdditiveAutoencoder.masked is for at least two blocks")
        self.masked = masked
        self.shift, self.scale = _shift_and_scale(normalization, observation_shape[-1])
        self.sigma, self.code_noise, self.penalty = sigma, code_noise, penalty
        self.encoder = flat_features(encoder(observation_shape), f"{type(self).__name__}.encoder")
        width = self.encoder.output_shape[-1]
        self.code_head = keras.layers.Dense(latent_dim, name="code", **uniform_by_fan_in(width))
        self.code_head.build(self.encoder.output_shape)
        self.code_norm = batch_norm(dtype="float32", name="code_norm") if normalized_code else None
        if self.code_norm:
            self.code_norm.build((None, latent_dim))
        sides = observation_shape[:-1]
        # Checkpoints do not see what is in a list.
        self._decoder_names = [f"decoder_{k}" for k in range(1 if shared else len(sizes))]
        for name, size in zip(self._decoder_names, sizes, strict=False):
            setattr(self, name, decoder(size, (*sides, observation_shape[-1] + masked)))
        self.interaction = (
            Interaction(self.blocks, interaction, observation_shape) if interaction > 1 else None
        )
        self.built = True

    @property
    def decoders(self) -> list[keras.Model]:
        """`f_B` of each block, or the one that is shared."""
        return [getattr(self, name) for name in self._decoder_names]

    def encode(self, images: tf.Tensor) -> tf.Tensor:
        """The code of images: `[B, ...]` in [0, 1] to `[B, D]`."""
        return self._code(self._normalized(images), training=False)

    def decode(self, latents: tf.Tensor) -> tf.Tensor:
        """Images of latents: `[B, D]` to `[B, ...]`; near [0, 1] where it fits, not clipped."""
        return self.shift + self.scale * self._image(latents, training=False)

    def block_images(self, latents: tf.Tensor, training: bool = False) -> tf.Tensor:
        """The parts `f_B(z_B)`, times their masks: `[B, D]` to `[B, blocks, ...]` float32.

        `sigma` of their sum, and of what `interaction` adds, is the normalised image.

        Args:
            latents: `[B, D]`.
            training: use the statistics of this batch, and update the moving ones.
        """
        decoders = self.decoders * (len(self.blocks) // len(self.decoders))
        parts = [
            tf.cast(decoder(tf.gather(latents, block, axis=1), training=training), tf.float32)
            for decoder, block in zip(decoders, self.blocks, strict=True)
        ]
        parts = tf.stack(parts, axis=1)
        if self.masked:
            parts, logits = parts[..., :-1], parts[..., -1:]
            parts *= tf.nn.softmax(logits, axis=1)
        return parts

    def losses_on(self, batch: Batch, seed: tf.Tensor, step: tf.Tensor) -> dict[str, tf.Tensor]:
        """See `Model.losses_on`; logs the squared error of images in [0, 1] beside the loss."""
        images, training = self._normalized(batch["image"]), self.training_losses
        decoded = codes = self._code(images, training)
        if training and (callable(self.code_noise) or self.code_noise):
            noise = standard_normal(tf.shape(codes), stream(seed, 1))
            decoded += at(self.code_noise, step) * _deviation(codes) * noise
        error = tf.math.squared_difference(images, self._image(decoded, training))
        losses = {"loss": _mean(error), "squared_error": _mean(self.scale**2 * error)}
        if self.penalty:
            # Without sigma: the sum is what must be additive, whatever sigma.
            hessian = self.penalty(
                lambda z: tf.reduce_sum(self.block_images(z), axis=1), tf.stop_gradient(codes), seed
            )
            losses["block_hessian"] = hessian
            losses["loss"] += self.penalty.weight * hessian
        return losses

    def _code(self, normalized: tf.Tensor, training: bool) -> tf.Tensor:
        features = self.encoder(normalized, training=training)
        code = tf.cast(self.code_head(features), tf.float32)
        return self.code_norm(code, training=training) if self.code_norm else code

    def _image(self, latents: tf.Tensor, training: bool) -> tf.Tensor:
        parts = self.block_images(latents, training)
        image = tf.reduce_sum(parts, axis=1)
        if self.interaction:
            image += self.interaction(latents)
        return _SIGMAS[self.sigma](image)

    def _normalized(self, images: tf.Tensor) -> tf.Tensor:
        return (images - self.shift) * (1 / self.scale)


def _shift_and_scale(normalization, channels: int) -> list[np.ndarray]:
    """What is subtracted from images and what they are divided by, one number or C each."""
    named = isinstance(normalization, str)
    if named and normalization not in NORMALIZATIONS:
        raise SettingError(
            f"AdditiveAutoencoder.normalization is {normalization!r}; it takes "
            f"{', '.join(NORMALIZATIONS)}, or the numbers (subtracted, divided by)"
        )
    pair = NORMALIZATIONS[normalization] if named else normalization
    numbers = [np.asarray(part, np.float32) for part in pair]
    if len(numbers) != 2 or not (numbers[1] > 0).all():
        raise SettingError(
            f"AdditiveAutoencoder.normalization is {normalization}; give what is subtracted and "
            "what it is then divided by, which is positive"
        )
    for part in numbers:
        if part.shape not in ((), (channels,)):
            raise SettingError(
                f"AdditiveAutoencoder.normalization is {normalization!r}, which is for {part.size} "
                f"channels, and images have {channels}; take 'unit' or 'symmetric'"
            )
    return numbers


def _deviation(codes: tf.Tensor) -> tf.Tensor:
    """The standard deviation of every latent over a batch: `[B, D]` to `[D]`.

    That of a constant latent is 0, and so is its gradient.
    """
    variance = tf.math.reduce_variance(codes, axis=0)
    varies = variance > 0
    return tf.where(varies, tf.sqrt(tf.where(varies, variance, 1.0)), 0.0)


def _mean(values: tf.Tensor) -> tf.Tensor:
    """`[B, ...]` to `[B]`."""
    return tf.reduce_mean(tf.reshape(values, [tf.shape(values)[0], -1]), axis=-1)


def _partition(blocks: Sequence[Sequence[int]] | None, latent_dim: int) -> list[list[int]]:
    if blocks is None:
        return [[latent] for latent in range(latent_dim)]
    blocks = [list(block) for block in blocks]
    if not all(blocks) or sorted(sum(blocks, [])) != list(range(latent_dim)):
        raise SettingError(
            f"AdditiveAutoencoder.blocks is {blocks}; give lists that hold each of the latents 0 "
            f"to {latent_dim - 1} once"
        )
    return blocks

"""Permutation-contrastive learning: codes that tell neighbours in time from other pairs."""

from collections.abc import Callable

import gin
import keras
import tensorflow as tf

from zoo.errors import SettingError
from zoo.models.base import Batch, Encoder, flat_features
from zoo.networks.convolutional import conv_encoder
from zoo.networks.pytorch import batch_norm


def negatives(second: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Second elements of pairs, each moved to another pair: all by the same random distance.

    Args:
        second: `[B, ...]`, B at least 2.
        seed: `[2]` int32.

    Returns:
        `[B, ...]`; row i is a row j != i.
    """
    count = tf.shape(second)[0]
    bits = tf.random.stateless_uniform(
        [], seed, minval=None, maxval=None, dtype=tf.int32, alg="philox"
    )
    shift = 1 + tf.math.floormod(bits, count - 1)
    return tf.gather(second, tf.math.floormod(tf.range(count) + shift, count))


@gin.register
class PCL(Encoder):
    """Permutation-contrastive learning (Hyvarinen & Morioka 2017), on pairs `image`, `partner`.

    Minimises the cross entropy, in nats, of a logistic classifier between the pairs of a batch and
    the same pairs with their second elements exchanged. Its logit is the log density ratio of
    sources of Laplace-like innovations,

        -sum_i |u_i h_i(x1) + v_i h_i(x2) + b_i| + a |h(x1)|^2 + m,  a >= 0,

    on batch-normalised codes `h` `[B, D]`, which identify the sources up to order, sign and scale
    where the model holds. It has no decoder. Codes are normalised by the statistics of the batch in
    training, by their moving averages in `encode` and in losses of validation.

    As in the authors' code u, v and a begin at 1, -1 and 1, and batches hold as many negatives as
    pairs. Here negatives are of the same batch, where the authors draw them from all data; b begins
    at 0; and a is an absolute value, where the authors clip it. Their moving average of the weights
    is an option of Keras's optimisers, but not of `Adam` here.

    Args:
        observation_shape: the shape of one observation, `(H, W, C)` or `(D,)`.
        latent_dim: the length D of a code.
        encoder: observation shape -> network to features; a linear layer without bias follows.
    """

    def __init__(
        self,
        observation_shape: tuple[int, ...],
        latent_dim: int = 10,
        encoder: Callable[..., keras.Model] = conv_encoder,
    ):
        super().__init__()
        if latent_dim < 1:
            raise SettingError(f"PCL.latent_dim is {latent_dim}; give at least 1")
        self.observation_shape, self.latent_dim = observation_shape, latent_dim
        self.encoder = flat_features(encoder(observation_shape), f"{type(self).__name__}.encoder")
        self.code_head = keras.layers.Dense(latent_dim, use_bias=False, name="code")
        self.code_head.build(self.encoder.output_shape)
        # The scale of a code is that of u and v, its shift that of b, up to |h|^2.
        self.code_norm = batch_norm(dtype="float32", name="code_norm")
        self.code_norm.build((None, latent_dim))
        self.classifier = PairClassifier(latent_dim, name="classifier")
        self.built = True

    def encode(self, images: tf.Tensor) -> tf.Tensor:
        """The code h: `[B, ...]` to `[B, D]`."""
        return self._code(images, training=False)

    def losses_on(self, batch: Batch, seed: tf.Tensor, step: tf.Tensor) -> dict[str, tf.Tensor]:
        """See `Model.losses_on`; an example is a pair, `accuracy` that of the classifier."""
        del step
        if "partner" not in batch:
            raise SettingError(
                "PCL trains on pairs and this sampler gives none; set train.sampler = @LaplacePairs"
            )
        if batch["image"].shape[0] == 1:
            raise SettingError(
                "PCL exchanges the elements of pairs; make train.batch_size at least 2"
            )
        images = tf.concat([batch["image"], batch["partner"]], axis=0)
        first, second = tf.split(self._code(images, self.training_losses), 2)
        logits = [self.classifier(first, other) for other in (second, negatives(second, seed))]
        entropies = [tf.nn.softplus(-logits[0]), tf.nn.softplus(logits[1])]
        right = [tf.cast(logits[0] > 0, tf.float32), tf.cast(logits[1] <= 0, tf.float32)]
        return {"loss": tf.add(*entropies) / 2, "accuracy": tf.add(*right) / 2}

    def _code(self, images: tf.Tensor, training: bool) -> tf.Tensor:
        features = self.encoder(images, training=training)
        code = tf.cast(self.code_head(features), tf.float32)
        return self.code_norm(code, training=training)


class PairClassifier(keras.layers.Layer):
    """The logit of a pair of codes, `[B, D]` each, being neighbours: `[B]`; see `PCL`."""

    def __init__(self, latent_dim: int, name: str):
        super().__init__(dtype="float32", name=name)
        ones, zeros = keras.initializers.Ones(), keras.initializers.Zeros()
        self.u = self.add_weight((latent_dim,), ones, name="u")
        self.v = self.add_weight((latent_dim,), keras.initializers.Constant(-1), name="v")
        self.b = self.add_weight((latent_dim,), zeros, name="b")
        self.a = self.add_weight((), ones, name="a")
        self.m = self.add_weight((), zeros, name="m")
        self.built = True

    def call(self, first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
        """See the class."""
        u, v, b, a, m = map(tf.convert_to_tensor, (self.u, self.v, self.b, self.a, self.m))
        distance = tf.reduce_sum(tf.abs(u * first + v * second + b), axis=-1)
        return tf.abs(a) * tf.reduce_sum(first**2, axis=-1) + m - distance

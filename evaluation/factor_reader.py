"""Reads factors off images: a network trained on labelled ones, the instrument of other scores."""

import hashlib
import pathlib
import zipfile
from collections.abc import Callable, Sequence

import numpy as np

from zoo.evaluation.errors import InputError
from zoo.files import atomic

# Batches that it is trained on.
STEPS = 3000
# Below it a factor is not read well enough to be measured by.
ENOUGH = 0.95
# Part of the names of kept weights: what an older network learned is not taken for the new.
_VERSION = 1
_BATCH = 128


class FactorReader:
    """A convolutional network that reads all factors of an image, and gives features of it.

    Convolutions 4x4 of stride 2 with `width`, 2 `width`, 4 `width`, ... channels until the side is
    at most 4, a dense layer (all with ReLU: the features are its outputs), and a softmax for each
    factor; trained by Adam on the sum of their cross entropies, with a learning rate that falls
    from 1e-3 to zero by a cosine.

    Args:
        shape: `(H, W, C)` of images.
        sizes: the number of values of each factor.
        seed: of the weights and of the batches.
        width: channels of the first convolution; from the third on there are four times as many.
        features: of an image.
    """

    def __init__(
        self,
        shape: Sequence[int],
        sizes: Sequence[int],
        seed: int = 0,
        width: int = 32,
        features: int = 256,
    ):
        import keras

        self.sizes, self._seed = tuple(sizes), seed
        # Layers in float32 whose weights no earlier layer's seed moves.
        make = {"dtype": "float32"}
        hidden = inputs = keras.Input(tuple(shape))
        count, side = 0, min(shape[:2])
        while side > 4 or not count:
            hidden = keras.layers.Conv2D(
                width * 2 ** min(count, 2),
                4,
                2,
                padding="same",
                activation="relu",
                kernel_initializer=keras.initializers.HeNormal(seed=seed + count),
                **make,
            )(hidden)
            count, side = count + 1, -(-side // 2)
        hidden = keras.layers.Flatten()(hidden)
        hidden = keras.layers.Dense(
            features,
            activation="relu",
            kernel_initializer=keras.initializers.HeNormal(seed=seed + 100),
            **make,
        )(hidden)
        logits = keras.layers.Dense(
            sum(self.sizes),
            kernel_initializer=keras.initializers.GlorotUniform(seed=seed + 101),
            **make,
        )(hidden)
        self._network = keras.Model(inputs, [hidden, logits])

    def fit(self, images: Callable, factors: np.ndarray, steps: int) -> None:
        """Trains the network.

        Args:
            images: numbers `[B]` to float32 images `[B, H, W, C]` in [0, 1].
            factors: `[N, F]` integers from 0.
            steps: batches of 128 drawn with replacement.
        """
        import keras
        import tensorflow as tf

        network = self._network
        optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(1e-3, steps))
        optimizer.build(network.trainable_variables)

        @tf.function(autograph=False, reduce_retracing=True)
        def step(batch, labels):
            with tf.GradientTape() as tape:
                parts = tf.split(network(batch)[1], self.sizes, axis=1)
                losses = [
                    tf.nn.sparse_softmax_cross_entropy_with_logits(labels[:, i], part)
                    for i, part in enumerate(parts)
                ]
                loss = tf.reduce_mean(tf.add_n(losses))
            gradients = tape.gradient(loss, network.trainable_variables)
            optimizer.apply(gradients, network.trainable_variables)

        rng = np.random.default_rng(self._seed)
        for _ in range(steps):
            rows = rng.integers(len(factors), size=_BATCH)
            step(tf.constant(images(rows)), tf.constant(factors[rows], tf.int32))

    def __call__(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Features `[B, features]` and factors `[B, F]` of images `[B, H, W, C]` in [0, 1]."""
        features, logits = (part.numpy() for part in self._network(np.asarray(images, np.float32)))
        parts = np.split(logits, np.cumsum(self.sizes)[:-1], axis=1)
        return features, np.stack([part.argmax(1) for part in parts], axis=1)

    def load(self, path: pathlib.Path) -> bool:
        """Takes the weights of a file if it is there and holds this network's."""
        try:
            # Opened here: NumPy leaves open what it cannot read.
            with path.open("rb") as opened, np.load(opened) as file:
                self._network.set_weights([file[str(i)] for i in range(len(file.files))])
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return False
        return True

    def save(self, path: pathlib.Path, dtype: str = "float32") -> None:
        """Writes the weights, at once or not at all."""
        weights = self._network.get_weights()
        with atomic(path) as temporary:
            np.savez(temporary, **{str(i): w.astype(dtype) for i, w in enumerate(weights)})


def trained(
    images: Callable,
    factors: np.ndarray,
    shape: Sequence[int],
    seed: int = 0,
    steps: int = STEPS,
    directory: pathlib.Path | None = None,
) -> FactorReader:
    """A `FactorReader` of some data, trained now or before.

    Args:
        images: numbers `[B]` to float32 images `[B, *shape]` in [0, 1].
        factors: `[N, F]` integers from 0, of images 0 to N - 1.
        shape: of an image.
        seed: of the training.
        steps: of the training.
        directory: where weights are kept, by what they were trained on; None to keep none.

    Raises:
        InputError: there are no factors.
    """
    factors = np.asarray(factors)
    if factors.ndim != 2 or not factors.size:
        raise InputError(f"factors of shape {factors.shape}: give [N, F], of at least one image")
    sizes = factors.max(0) + 1
    reader = FactorReader(shape, sizes.tolist(), seed)
    path = None
    if directory is not None:
        spread = np.linspace(0, len(factors) - 1, 64).astype(np.int64)
        digest = hashlib.sha256(repr((_VERSION, tuple(shape), seed, steps)).encode())
        digest.update(np.ascontiguousarray(factors, "<i4").tobytes())
        digest.update(np.ascontiguousarray(images(spread), "<f4").tobytes())
        path = directory / f"{digest.hexdigest()[:16]}.npz"
        if reader.load(path):
            return reader
    reader.fit(images, factors, steps)
    if path is not None:
        reader.save(path)
    return reader

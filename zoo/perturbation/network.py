"""The perturbation network: from the factors of an image, through one scalar, to a change of it."""

from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from zoo.data.space import FactorSpace
from zoo.errors import SettingError
from zoo.networks.convolutional import conv_decoder


class PerturbationNetwork(keras.Model):
    """m(w) of Zietlow 2022, sec. 4.3.1: a decoder whose input layers pass one neuron.

    The factors w are their physical values, each scaled linearly from its range to [-1, 1]; a
    categorical factor is scaled by its number, a circular one is not treated as such. The output is
    the tanh of the decoder's. The dissertation states the single neuron and `|m| <= 1` alone: the
    encoding of w, the linear neuron, its place, the tanh and `spread` are ours. Without it the
    usual initial weights make an m near 0, and there images with values at 0 or 1, like dSprites,
    keep it: folded, +m and -m are one change, so its gradient has no side to begin with. For the
    same reason an m on both sides of 0 tells the size of the scalar only; `offset`, ours too,
    starts it on one side, where its changes are one to one.

    Args:
        space: the factors, `F` of them.
        observation_shape: `(H, W, C)`.
        decoder: (F, observation shape) -> a sequential network to unnormalised outputs.
        neuron_after: after how many layers of it the neuron stands; a dense layer must follow
            before activations are reshaped to maps.
        spread: the standard deviation over the factor grid, a quadratic mean over pixels, that
            initial weights are scaled to give before the tanh; 0 leaves them as they are drawn.
        offset: what the initial output is raised by before the tanh.

    Raises:
        SettingError: the decoder has no such place.
    """

    def __init__(
        self,
        space: FactorSpace,
        observation_shape: tuple[int, ...],
        decoder: Callable[..., keras.Model] = conv_decoder,
        neuron_after: int = 1,
        spread: float = 0.5,
        offset: float = 0.0,
    ):
        super().__init__()
        ends = np.array([(min(a.values), max(a.values)) for a in space.axes], np.float32)
        # A factor of one value has no range; it becomes -1 for every image.
        self._low, self._range = ends[:, 0], np.maximum(ends[:, 1] - ends[:, 0], 1e-6)
        layers = decoder(len(space.axes), observation_shape).layers
        places = range(_places(layers, len(space.axes)))
        if neuron_after not in places:
            known = f"give {' or '.join(map(str, places))}"
            raise SettingError(
                f"perturb.neuron_after is {neuron_after}; the decoder of m has {len(layers)} "
                "layers, and a dense one must stand between the neuron and the first map: "
                f"{known if places else 'choose another perturb.network'}"
            )
        # The scalar is all that m knows of an image: eight bits of it would be steps.
        first = [_fresh(layer, dtype="float32") for layer in layers[:neuron_after]]
        neuron = keras.layers.Dense(1, dtype="float32", name="neuron")
        self.compress = keras.Sequential(
            [keras.Input((len(space.axes),)), *first, neuron], name="compress"
        )
        rest = [_fresh(layer) for layer in layers[neuron_after:]]
        self.render = keras.Sequential([keras.Input((1,)), *rest], name="render")
        self.built = True
        last = [layer for layer in self.render.layers if hasattr(layer, "kernel")][-1]
        if spread:
            self._scale(space, last, spread)
        last.bias.assign(last.bias + offset)

    def _scale(self, space: FactorSpace, last: keras.layers.Layer, spread: float) -> None:
        """Makes the scalar standard over the grid, and what `last` makes of it vary by `spread`."""
        drawn = np.random.default_rng(0).uniform(size=(512, len(space.sizes)))
        values = space.values((drawn * space.sizes).astype(int)).astype(np.float32)
        neuron = self.compress.layers[-1]
        scalar = self.scalar(values).numpy()
        deviation = max(scalar.std(), 1e-12)
        neuron.kernel.assign(neuron.kernel / deviation)
        neuron.bias.assign((neuron.bias - scalar.mean()) / deviation)
        outputs = tf.cast(self.render(self.scalar(values)), tf.float32).numpy()
        varied = max(np.sqrt(outputs.var(axis=0).mean()), 1e-12)
        last.kernel.assign(last.kernel * (spread / varied))

    def scalar(self, values: tf.Tensor) -> tf.Tensor:
        """What the single neuron gives: `[B, F]` physical values to `[B, 1]` float32."""
        return self.compress(2 * (values - self._low) / self._range - 1)

    def image(self, scalar: tf.Tensor) -> tf.Tensor:
        """What is made of it: `[B, 1]` to `[B, H, W, C]` float32 in [-1, 1]."""
        return tf.tanh(tf.cast(self.render(scalar), tf.float32))

    def call(self, values: tf.Tensor) -> tf.Tensor:
        """m(w): `[B, F]` float32 physical values to `[B, H, W, C]` float32 in [-1, 1]."""
        return self.image(self.scalar(values))


class Endpoints(tf.Module):
    """The functions of an exported network; `zoo.data.perturbation` reads `perturb`.

    `perturb` `[B, F]` physical values to `[B, H, W, C]` in [-1, 1]; `scalar`, the same values to
    what the single neuron gives, `[B, 1]`; `render`, that to images.
    """

    def __init__(self, network: PerturbationNetwork):
        super().__init__()
        self.network = network
        count = network.compress.input_shape[1]
        values = tf.TensorSpec([None, count], tf.float32, name="values")
        self.perturb = tf.function(network.call, [values])
        self.scalar = tf.function(network.scalar, [values])
        self.render = tf.function(
            network.image, [tf.TensorSpec([None, 1], tf.float32, name="scalar")]
        )


def folded(images: tf.Tensor) -> tf.Tensor:
    """Values in [-1, 2] reflected at 0 and 1: x' - 2 relu(x' - 1) + 2 relu(-x') (sec. 4.3.1).

    The dissertation prints x for x' on the right-hand side.
    """
    return images - 2 * tf.nn.relu(images - 1) + 2 * tf.nn.relu(-images)


def _places(layers: Sequence[keras.layers.Layer], inputs: int) -> int:
    """How many places there are for the neuron: up to the last dense layer of vectors.

    Behind it nothing makes of one number as many as a reshape takes.
    """
    shape, last = (None, inputs), 0
    for number, layer in enumerate(layers, start=1):
        if isinstance(layer, keras.layers.Dense):
            last = number
        shape = layer.compute_output_shape(shape)
        if len(shape) != 2:
            break
    return last


def _fresh(layer: keras.layers.Layer, **changes) -> keras.layers.Layer:
    """A layer like this one, not yet built."""
    return type(layer).from_config({**layer.get_config(), **changes})

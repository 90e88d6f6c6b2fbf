"""Monotone functions of single latents that depend on the domain, as bijectors."""

import functools
import math
from collections.abc import Sequence

import gin
import keras
import tensorflow as tf
import tensorflow_probability as tfp

from zoo.errors import SettingError

tfb = tfp.bijectors

# softplus of it is 1.
_UNIT = math.log(math.e - 1)
# Brackets are doubled this often at most: beyond 2^60 no float32 latent is of any use.
_DOUBLINGS = 60
_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772, 1.0507009873554805

KINDS = ("affine", "sigmoidal", "selu")


class Monotone(tfb.Bijector):
    """`F(z) = (f_L o ... o f_1)(exp(s) z + m)` of every latent by itself, increasing and onto R.

    The layers are those of deep sigmoidal flows (Huang et al. 2018, eq. 8):

        f(y) = logit(sum_j w_j sigmoid(a_j y + b_j)),  a_j > 0, w_j > 0, sum_j w_j = 1.

    With `t_j = a_j y + b_j`, `S = log sum_j w_j sigmoid(t_j)`, `C = log sum_j w_j sigmoid(-t_j)`,
    the value is `S - C` and the log slope `log sum_j w_j a_j sigmoid(t_j) sigmoid(-t_j) - S - C`:
    all in logarithms, so that no latent saturates. A layer of `a = 1`, `b = 0` is the identity.

    The inverse has no closed form; it is found between brackets by Chandrupatla's method and has
    the gradients of the implicit function.

    Args:
        shift: m, `[..., n]`.
        log_scale: s, `[..., n]`.
        layers: `(log_slopes, offsets, log_weights)` of every layer, `log a`, `b` and `log w`, each
            `[..., n, units]`; none for an affine function.
    """

    def __init__(
        self,
        shift: tf.Tensor,
        log_scale: tf.Tensor,
        layers: Sequence[tuple[tf.Tensor, tf.Tensor, tf.Tensor]] = (),
        name: str = "monotone",
    ):
        parameters = dict(locals())
        with tf.name_scope(name) as name:
            self._shift, self._log_scale, self._layers = shift, log_scale, tuple(layers)
            super().__init__(
                forward_min_event_ndims=0,
                dtype=shift.dtype,
                parameters=parameters,
                name=name,
            )

    @classmethod
    def _parameter_properties(cls, dtype):
        return {}

    def forward_and_log_slope(self, z: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """`F(z)` and `log F'(z)`, each `[..., n]` as the latents z."""
        value, log_slope = z * tf.exp(self._log_scale) + self._shift, self._log_scale
        for layer in self._layers:
            value, factor = _sigmoidal(value, *layer)
            log_slope += factor
        return value, log_slope + tf.zeros_like(value)

    def _forward(self, x):
        return self.forward_and_log_slope(x)[0]

    def _forward_log_det_jacobian(self, x):
        return self.forward_and_log_slope(x)[1]

    def _inverse(self, y):
        if not self._layers:
            return (y - self._shift) * tf.exp(-self._log_scale)
        guess = (y - self._shift) * tf.exp(-self._log_scale)
        low, high = self._bracket(y, guess, -1.0), self._bracket(y, guess, 1.0)
        found = tfp.math.find_root_chandrupatla(
            lambda z: self._forward(z) - y, low, high, max_iterations=100
        )
        # A Newton step from a constant: the same number, with the implicit function's gradients.
        root = tf.stop_gradient(found.estimated_root)
        value, log_slope = self.forward_and_log_slope(root)
        return root - (value - y) * tf.stop_gradient(tf.exp(-log_slope))

    def _bracket(self, y, guess, side):
        """An end beyond the root, below (`side` -1) or above it (1)."""

        def end(width):
            return guess + side * width

        def short(width):
            return side * (self._forward(end(width)) - y) < 0

        _, width = tf.while_loop(
            lambda count, width: (count < _DOUBLINGS) & tf.reduce_any(short(width)),
            lambda count, width: (count + 1, tf.where(short(width), 2 * width, width)),
            (0, tf.ones_like(guess)),
        )
        return end(width)


class SeluMonotone(tfb.Bijector):
    """The domain flow of CG-GAN as released: two dense blocks with SELU between, increasing.

    A block gives `out_k = sum_j W_kj selu(a_j sum_i U_ji y_i + b_j)` with positive slopes a, and
    rows of W and U that are positive and sum up to 1; the first has one input, the second one
    output. The authors' code calls it a deep dense sigmoid flow, but has SELU for the sigmoid and
    leaves out the logit. SELU is bounded below, and so is this function: it is not onto R, and
    there is no inverse to call.

    Args:
        blocks: `(log_slopes, offsets, log_inner, log_outer)` of each: `log a` and `b`
            `[..., n, H]`, `log U` `[..., n, H, in]`, `log W` `[..., n, out, H]`.
    """

    def __init__(self, blocks: Sequence[tuple[tf.Tensor, ...]], name: str = "selu_monotone"):
        parameters = dict(locals())
        with tf.name_scope(name) as name:
            self._blocks = tuple(blocks)
            super().__init__(
                forward_min_event_ndims=0,
                dtype=self._blocks[0][0].dtype,
                parameters=parameters,
                name=name,
            )

    @classmethod
    def _parameter_properties(cls, dtype):
        return {}

    def forward_and_log_slope(self, z: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """`F(z)` and `log F'(z)`, each `[..., n]` as the latents z."""
        values, log_slopes = z[..., None], tf.zeros_like(z)[..., None]
        for log_a, b, log_inner, log_outer in self._blocks:
            mixed = tf.reduce_sum(tf.exp(log_inner) * values[..., None, :], -1)
            hidden = tf.exp(log_a) * mixed + b
            # log selu'(t) is log(scale) above 0, and t + log(alpha scale) below.
            below = tf.cast(hidden < 0, hidden.dtype)
            bend = below * (hidden + math.log(_SELU_ALPHA))
            within = tf.reduce_logsumexp(log_inner + log_slopes[..., None, :], -1)
            within += log_a + bend + math.log(_SELU_SCALE)
            values = tf.reduce_sum(tf.exp(log_outer) * tf.nn.selu(hidden)[..., None, :], -1)
            log_slopes = tf.reduce_logsumexp(log_outer + within[..., None, :], -1)
        return values[..., 0], log_slopes[..., 0]

    def _forward(self, x):
        return self.forward_and_log_slope(x)[0]

    def _forward_log_det_jacobian(self, x):
        return self.forward_and_log_slope(x)[1]

    def _inverse(self, y):
        raise NotImplementedError(
            "the flow of SELUs is bounded below and has no inverse; DomainFlow.kind = 'sigmoidal' "
            "has one"
        )


def _sigmoidal(y, log_a, b, log_w):
    """One layer: its value and log slope, `[..., n]` each."""
    t = tf.exp(log_a) * y[..., None] + b
    above = tf.math.log_sigmoid(t)
    below = above - t
    s = tf.reduce_logsumexp(log_w + above, axis=-1)
    c = tf.reduce_logsumexp(log_w + below, axis=-1)
    return s - c, tf.reduce_logsumexp(log_w + log_a + above + below, axis=-1) - s - c


def _rows(selection, table):
    """Rows of `[U, ...]` by a one-hot selection `[B, U]`: `[B, ...]`."""
    flat = tf.reshape(table, [table.shape[0], -1])
    return tf.reshape(selection @ flat, [-1, *table.shape[1:]])


@gin.register
class DomainFlow(keras.layers.Layer):
    """Makes the monotone functions of a domain's latents: `F_u` for each domain u.

    A network with one hidden layer, of SiLU units, takes the domain as a one-hot vector to the
    functions' parameters. Its last layer is zero at the start, where `affine` and `sigmoidal`
    functions are the identity. As the units of a layer are equal then, they move at rates that
    differ, 1/2 to 3/2; otherwise they would stay equal.

    Args:
        domains: the number of domains.
        latent_dim: the number n of latents.
        kind: `affine` (a shift and a scale), `sigmoidal` (these and `layers` sigmoidal layers, see
            `Monotone`) or `selu` (see `SeluMonotone`; two blocks whatever `layers` says).
        units: of each layer or block.
        layers: sigmoidal layers.
        hidden: the width of the network.
        rate: what its outputs are multiplied by. Adam moves weights at one rate whatever their
            gradients; with 0.01 functions move as slowly as the mapping networks of StyleGAN.

    Raises:
        SettingError: an unknown kind, or a number that is not positive.
    """

    def __init__(
        self,
        domains: int,
        latent_dim: int,
        kind: str = "sigmoidal",
        units: int = 8,
        layers: int = 2,
        hidden: int = 32,
        rate: float = 1.0,
        name: str = "domain_flow",
    ):
        super().__init__(dtype="float32", name=name)
        if kind not in KINDS:
            raise SettingError(f"DomainFlow.kind is {kind!r}; it takes {', '.join(KINDS)}")
        numbers = {"domains": domains, "latent_dim": latent_dim, "units": units}
        numbers |= {"layers": layers, "hidden": hidden}
        for key, number in numbers.items():
            if number < 1:
                raise SettingError(f"DomainFlow.{key} is {number}; give at least 1")
        if rate <= 0:
            raise SettingError(f"DomainFlow.rate is {rate}; give a positive number")
        self.domains, self.latent_dim, self.kind, self.units = domains, latent_dim, kind, units
        self.rate = rate
        layers = {"affine": 0, "sigmoidal": layers, "selu": 2}[kind]
        # The parts of a latent's parameters: shift and scale, or what each layer takes.
        if kind == "selu":
            self._sizes = [*[units] * 3, 1, *[units] * 3, units]
            # Shared by latents and domains, which add to them.
            start = keras.initializers.RandomUniform(-1e-3, 1e-3)
            self.outer_first = self.add_weight((units, units), start, name="outer_first")
            self.inner_second = self.add_weight((units, units), start, name="inner_second")
        else:
            self._sizes = [1, 1, *[units] * (3 * layers)]
        # Not in the policy of mixed precision: the functions are in float32.
        self.hidden_layer = keras.layers.Dense(
            hidden, activation="silu", dtype="float32", name="hidden"
        )
        self.hidden_layer.build((None, domains))
        self.last_layer = keras.layers.Dense(
            latent_dim * sum(self._sizes), kernel_initializer="zeros", dtype="float32", name="last"
        )
        self.last_layer.build((None, hidden))
        self.built = True

    def parameters(self) -> tf.Tensor:
        """The raw parameters of all functions, `[domains, n, P]`."""
        outputs = self.rate * self.last_layer(self.hidden_layer(tf.eye(self.domains)))
        return tf.reshape(outputs, [self.domains, self.latent_dim, -1])

    def call(self, domain: tf.Tensor) -> tfb.Bijector:
        """`F_u` of B examples' domains, `[B]` integers: a bijector of `[B, n]` latents."""
        # Of every domain once, then of the examples, by a product: the derivative of a gather adds
        # rows one after the other.
        parts = tf.split(self.parameters(), self._sizes, axis=-1)
        chosen = functools.partial(_rows, tf.one_hot(domain, self.domains))
        if self.kind == "selu":
            blocks = self._block(parts[:4], True), self._block(parts[4:], False)
            return SeluMonotone([tuple(map(chosen, block)) for block in blocks])
        shift, log_scale = (chosen(part[..., 0]) for part in parts[:2])
        layers = [self._layer(*parts[i : i + 3]) for i in range(2, len(parts), 3)]
        return Monotone(shift, log_scale, [tuple(map(chosen, layer)) for layer in layers])

    def _layer(self, slopes, offsets, weights):
        rates = tf.linspace(0.5, 1.5, self.units) if self.units > 1 else tf.ones([1])
        log_a = tf.math.log(tf.nn.softplus(slopes * rates + _UNIT))
        return log_a, offsets * rates, tf.nn.log_softmax(weights * rates)

    def _block(self, parts, first):
        slopes, offsets, outer, inner = parts
        log_a = tf.math.log(tf.nn.softplus(slopes + _UNIT))
        inner, outer = inner[..., None, :], outer[..., None, :]
        if first:
            outer += self.outer_first
            inner += tf.zeros([self.units, 1])
        else:
            inner += self.inner_second
        return log_a, offsets, tf.nn.log_softmax(inner), tf.nn.log_softmax(outer)

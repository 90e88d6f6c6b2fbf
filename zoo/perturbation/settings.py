"""What a gin file says of a perturbation."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import ClassVar

import gin
import keras

from zoo.data.space import FactorSpace
from zoo.errors import UserError
from zoo.models.base import Model
from zoo.networks.convolutional import conv_decoder
from zoo.perturbation.model import mean_likelihood
from zoo.perturbation.network import PerturbationNetwork
from zoo.training import selection, settings


@gin.configurable("perturb")
@dataclasses.dataclass(frozen=True)
class Settings(settings.Settings):
    """A perturbation as a gin file describes it, `perturb.<attribute>`.

    The attributes of `zoo.training.settings.Settings` are those of the training of m; of them
    `scores` and `publish` have no use here, `select` takes `loss` alone, and `devices` is `one`, as
    steps that train one of two things do not run on several.

    Attributes:
        model: None; it is made of the restarts.
        restarts: the gin file of the VAEs among which is chosen.
        bindings: further bindings for it.
        seeds: `train.seed` of each restart.
        runs: the folders of finished runs that are taken into the choice.
        ensemble: how many of the most and of the least disentangled runs are taken.
        min_active: runs with fewer active latents are over-pruned and not taken.
        epsilon: the largest change of a pixel, between 0 and 1.
        samples: latents drawn for every image.
        decoder_batches: batches that train the decoders for one that trains m.
        warm_up: first batches, which train the decoders only.
        likelihood: makes the likelihood that m's loss is measured by, see `Perturbation`; None for
            that of each VAE.
        decoder_optimizer: makes the optimiser of the decoders; `optimizer` is that of m. The steps
            of a schedule of their rates are the updates of each, not the batches of the run: m has
            one in `decoder_batches + 1` of these, and none in the warm-up.
        network: the decoder that m is made of, (number of factors, observation shape) -> network.
        neuron_after: after how many of its layers the single neuron stands.
        spread: how much the initial m varies, see `PerturbationNetwork`.
        offset: how far to one side of 0 it starts.

    Raises:
        UserError: a setting is out of its range, or one lacks another that it needs.
    """

    model: Callable[..., Model] | None = None
    devices: str = "one"
    restarts: str = ""
    bindings: Sequence[str] = ()
    seeds: Sequence[int] = ()
    runs: Sequence[str] = ()
    ensemble: int = 1
    min_active: int = 0
    epsilon: float = gin.REQUIRED
    samples: int = 5
    decoder_batches: int = 3
    warm_up: int = 0
    likelihood: Callable[[], keras.layers.Layer] | None = None
    decoder_optimizer: Callable[[], keras.optimizers.Optimizer] = gin.REQUIRED
    network: Callable[..., keras.Model] = conv_decoder
    neuron_after: int = 1
    spread: float = 0.5
    offset: float = 0.0

    prefix: ClassVar[str] = "perturb"

    def __post_init__(self):
        known = self.select in (None, "", selection.LOSS)
        self.require("select", "'loss' or None: m has no scores", known)
        super().__post_init__()
        for key in ("ensemble", "samples", "decoder_batches"):
            self.require(key, "at least 1", getattr(self, key) >= 1)
        for key in ("warm_up", "spread", "min_active"):
            self.require(key, "at least 0", getattr(self, key) >= 0)
        self.require("epsilon", "a number between 0 and 1", 0 < self.epsilon < 1)
        # Of `decoder_batches + 1` steps the last is m's, from `warm_up` on.
        first = self.warm_up + (self.decoder_batches - self.warm_up) % (self.decoder_batches + 1)
        if first >= self.steps:
            raise UserError(
                f"perturb.steps is {self.steps}, and the first step that trains m is number "
                f"{first} with perturb.warm_up = {self.warm_up} and perturb.decoder_batches = "
                f"{self.decoder_batches}; give more steps"
            )
        # What cannot be must not wait for the end of the restarts.
        if self.likelihood:
            mean_likelihood(self.likelihood)
        if self.devices != "one":
            raise UserError(f"perturb.devices is {self.devices!r}; it takes one")
        for key in ("seeds", "runs"):
            if len(set(getattr(self, key))) < len(getattr(self, key)):
                raise UserError(f"perturb.{key} names one twice; give each once")
        whole = all(isinstance(seed, int) and seed >= 0 for seed in self.seeds)
        self.require("seeds", "whole numbers from 0", whole)
        if self.seeds and not self.restarts:
            raise UserError("perturb.seeds needs a gin file to restart, perturb.restarts")
        count = len(self.seeds) + len(self.runs)
        if count < 2 * self.ensemble:
            raise UserError(
                f"perturb.seeds and perturb.runs give {count} restarts; {self.ensemble} "
                f"disentangled and {self.ensemble} entangled take at least {2 * self.ensemble}"
            )

    def new_network(
        self, space: FactorSpace, observation_shape: tuple[int, ...]
    ) -> PerturbationNetwork:
        """An m with initial weights for images of factors."""
        return PerturbationNetwork(
            space, observation_shape, self.network, self.neuron_after, self.spread, self.offset
        )

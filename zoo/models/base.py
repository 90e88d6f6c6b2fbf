"""The contract of a model: per-example losses, and how one update is made of them."""

import dataclasses
import functools
import os
from collections.abc import Mapping, Sequence

import keras
import tensorflow as tf

from zoo.data.dataset import Dataset
from zoo.errors import SettingError, undefined
from zoo.models import recipes
from zoo.models.noise import standard_normal

Batch = Mapping[str, tf.Tensor]


@dataclasses.dataclass(frozen=True, eq=False)
class Player:
    """Who learns from a loss of a model, and moves variables of its own.

    Attributes:
        losses: the names of the losses whose sum it minimises.
        variables: what it moves.
        optimizer: with which.
    """

    losses: tuple[str, ...]
    variables: Sequence[keras.Variable]
    optimizer: keras.optimizers.Optimizer


class Model(keras.Model):
    """What the trainer knows of a model.

    A model is built with the shape of one observation, all its variables existing when `__init__`
    returns. Randomness is stateless: everything random in `losses_on` comes from `seed`.

    As in Keras' `fit` nothing is rewritten by AutoGraph: what depends on the values of a tensor
    takes `tf.cond` or `tf.while_loop`, or stands in a `tf.function` of its own.

    Models of one player implement `losses_on` and are done. Others say in `rounds` who learns from
    which loss.

    As any Keras model it is called, saved by `save("x.keras")`, and loaded by
    `keras.saving.load_model` once its module has been imported; see `recipes` for its config.

    Attributes:
        training_losses: whether `losses_on` is of training, or of validation.
        momentary: the names of what `summarize` adds of the weights as they are, not of averages.
    """

    training_losses = True
    momentary: tuple[str, ...] = ()

    def __init_subclass__(cls, **kwargs):
        """Makes the class known to Keras, which loads no other, by its module and name."""
        super().__init_subclass__(**kwargs)
        base = cls.__bases__[0]
        # Not the copies that gin makes of it.
        if (base.__module__, base.__qualname__) != (cls.__module__, cls.__qualname__):
            keras.saving.register_keras_serializable(cls.__module__)(cls)

    def __new__(cls, *args, **kwargs):
        """Notes what the model is made of, for `get_config`."""
        model = super().__new__(cls, *args, **kwargs)
        recipes.record(model, args, kwargs)
        return model

    def save(self, filepath: str | os.PathLike, *args, **kwargs) -> None:
        """As Keras saves models, but nothing is written where the config cannot be."""
        self.get_config()
        super().save(filepath, *args, **kwargs)

    def get_config(self) -> dict:
        """What the model was made of, for Keras.

        Raises:
            SettingError: an argument that no file can hold.
        """
        return recipes.written(self)

    @classmethod
    def from_config(cls, config: Mapping, custom_objects: Mapping | None = None) -> "Model":
        """A model made of what `get_config` gave, with new weights."""
        del custom_objects
        return recipes.made(cls, config)

    def losses_on(self, batch: Batch, seed: tf.Tensor, step: tf.Tensor) -> dict[str, tf.Tensor]:
        """The losses of every example of a batch.

        Args:
            batch: what the sampler returns; at least `image`, `[B, ...]` float32.
            seed: `[2]` int32, the stateless seed of this step on this replica.
            step: int32 scalar, the number of updates made before, for schedules.

        Returns:
            Tensors `[B]` or `[B, ...]` float32 by name; the one called `loss` `[B]` is minimised,
            the others are logged as means over examples.
        """
        raise SettingError(
            f"{type(self).__name__} has no losses_on(batch, seed, step); define it: a dict of "
            "losses of every example, [B], of which 'loss' is minimised"
        )

    def validation_losses_on(
        self, batch: Batch, seed: tf.Tensor, step: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """As `losses_on`, of examples that are not trained on: no variable changes.

        Models that do in training what they do not do afterwards (statistics of the batch, noise
        on the code) leave it out where `training_losses` is False, as it is here.
        """
        self.training_losses = False
        try:
            return self.losses_on(batch, seed, step)
        finally:
            self.training_losses = True

    def check(self, dataset: Dataset) -> None:
        """Raises a SettingError where this model cannot be trained on a data set."""
        del dataset

    @property
    def kind(self) -> str:
        """What reports and cards call this kind of model."""
        return type(self).__name__

    def summarize(self, averages: Mapping) -> dict:
        """Turns logged averages (numbers or arrays) into what is shown; adds derived figures."""
        return dict(averages)

    def rounds(self, optimizer: keras.optimizers.Optimizer) -> Sequence[Sequence[Player]]:
        """Who learns in a step: rounds one after the other, each of players at one forward pass.

        Args:
            optimizer: that of the run; optimisers of other players are made here.
        """
        return [[Player(("loss",), self.trainable_variables, optimizer)]]

    def turn(self, step: tf.Tensor) -> tf.Tensor | None:
        """The number of the round that a step plays, int32; None where it plays them all."""
        del step

    def losses_of(
        self, number: int, batch: Batch, seed: tf.Tensor, step: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """The losses that the players of a round learn from; see `losses_on`."""
        del number
        return self.losses_on(batch, seed, step)

    def bind(self, optimizer: keras.optimizers.Optimizer) -> None:
        """Takes the optimiser of the run, has the others made, and creates the slots of all."""
        self.optimizer = optimizer
        self._rounds = tuple(map(tuple, self.rounds(optimizer)))
        for player in self._players:
            player.optimizer.build(player.variables)

    @property
    def _players(self) -> list[Player]:
        """All players, that of the run's optimiser first."""
        players = [player for players in self._rounds for player in players]
        return sorted(players, key=lambda player: player.optimizer is not self.optimizer)

    @property
    def optimizers(self) -> list[keras.optimizers.Optimizer]:
        """Every optimiser whose state a checkpoint must hold, that of the run first."""
        return [player.optimizer for player in self._players]

    def update(
        self, batch: Batch, seed: tf.Tensor, step: tf.Tensor, replicas: int
    ) -> dict[str, tf.Tensor]:
        """One step on this replica's share of a batch: every player moves its own variables.

        Losses are divided by the number of replicas because optimisers sum their gradients.

        Returns:
            The means over examples of all losses.
        """

        def play(number: int) -> dict[str, tf.Tensor]:
            players = self._rounds[number]
            with tf.GradientTape(len(players) > 1, watch_accessed_variables=False) as tape:
                tape.watch([v.value for player in players for v in player.variables])
                losses = self._checked(self.losses_of(number, batch, seed, step), players)
                goals = [
                    tf.reduce_mean(tf.add_n([losses[name] for name in player.losses])) / replicas
                    for player in players
                ]
            # All gradients before any step: each player's loss depends on the others' weights.
            gradients = [
                tape.gradient(goal, player.variables)
                for goal, player in zip(goals, players, strict=True)
            ]
            for player, gradient in zip(players, gradients, strict=True):
                player.optimizer.apply(gradient, player.variables)
            return {name: tf.reduce_mean(value, axis=0) for name, value in losses.items()}

        turn, numbers = self.turn(step), range(len(self._rounds))
        if turn is None:
            means = {name: value for n in numbers for name, value in play(n).items()}
        else:
            means = tf.switch_case(turn, [functools.partial(play, n) for n in numbers])
        # The loss of the run, whatever the players learn from.
        self._require_loss("loss", means)
        return means

    def _checked(
        self, losses: Mapping[str, tf.Tensor], players: Sequence[Player]
    ) -> dict[str, tf.Tensor]:
        """The losses of a step in float32; a SettingError where they are none of every example."""
        for name in (name for player in players for name in player.losses):
            self._require_loss(name, losses)
        for name, value in losses.items():
            if not value.shape.rank:
                raise SettingError(
                    f"{type(self).__name__}.losses_on returns one number as {name!r}; give a loss "
                    "of every example, [B]"
                )
            if name == "loss" and value.shape.rank > 1:
                raise SettingError(
                    f"{type(self).__name__}.losses_on returns 'loss' of shape "
                    f"{['B', *value.shape[1:]]}; give one number of every example, [B]"
                )
        return {name: tf.cast(value, tf.float32) for name, value in losses.items()}

    def _require_loss(self, name: str, losses: Mapping[str, tf.Tensor]) -> None:
        if name not in losses:
            raise SettingError(
                f"{type(self).__name__}.losses_on returns {', '.join(losses) or 'nothing'}; "
                f"let {name!r} be among them"
            )


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
        raise undefined(self, "encode(images)")

    def call(self, images: tf.Tensor) -> tf.Tensor:
        """What the model as a function returns: the codes of images."""
        return self.encode(images)

    def posterior(self, images: tf.Tensor):
        """The posterior of images, a TFP distribution over `[D]`, or None where there is none."""
        return None


class Autoencoder(Encoder):
    """A model with a code and its inverse: `encode` images to codes, `decode` codes to images."""

    def decode(self, latents: tf.Tensor) -> tf.Tensor:
        """Mean images of latents: `[B, D]` to `[B, ...]` float32, in [0, 1] for images."""
        raise undefined(self, "decode(latents)")

    def call(self, images: tf.Tensor) -> tf.Tensor:
        """What the model as a function returns: images encoded and decoded."""
        return self.decode(self.encode(images))

    def draw_prior(self, count: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """`count` latents of the prior, `[count, D]`, from a stateless seed `[2]`: N(0, I)."""
        return standard_normal(tf.stack([count, *self.latent_shape]), seed)


def flat_features(network: keras.Model, name: str) -> keras.Model:
    """The network, whose outputs are vectors `[B, F]`.

    Args:
        network: from observations.
        name: of the setting that made it.

    Raises:
        SettingError: its outputs have another rank.
    """
    shape = tuple(network.output_shape)
    if len(shape) != 2:
        raise SettingError(
            f"{name} returns features of shape {['B', *shape[1:]]}; let it return vectors [B, F]: "
            "end it with keras.layers.Flatten()"
        )
    return network


class Generator(Model):
    """A model that makes images of latents and a domain, and has no code of images.

    Attributes:
        observation_shape: the shape of one image.
        latent_dim: the number D of latents, N(0, I).
        domains: the number U of domains.
    """

    observation_shape: tuple[int, ...]
    latent_dim: int
    domains: int

    @property
    def latent_shape(self) -> tuple[int, ...]:
        """The shape of the latents of one image, `(D,)`."""
        return (self.latent_dim,)

    def generate(self, latents: tf.Tensor, domain: tf.Tensor) -> tf.Tensor:
        """Images of latents `[B, D]` in domains `[B]` int32: `[B, ...]` float32 in [0, 1]."""
        raise undefined(self, "generate(latents, domain)")

    def call(self, latents: tf.Tensor, domain: tf.Tensor) -> tf.Tensor:
        """What the model as a function returns: images of latents and domains."""
        return self.generate(latents, domain)

    def sample(self, count: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """`count` images from a stateless seed `[2]`, as many of each domain up to one."""
        raise undefined(self, "sample(count, seed)")

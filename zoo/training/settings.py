"""The settings of a training run that a gin file has."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import ClassVar

import gin
import keras

from zoo import config, machine, runs
from zoo.data import catalog, sampling
from zoo.errors import UserError
from zoo.evaluation import facts, suite
from zoo.models.base import Model
from zoo.training import selection
from zoo.training.loop import COMPILED
from zoo.training.workers import DEVICES

_POSITIVE = (
    *("steps", "batch_size", "log_every", "checkpoint_every"),
    *("pictures_every", "select_every", "select_images"),
)
# Steps, seeds and numbers of images are int32 in the graph of a step.
_LARGEST = 2**31 - 1


@gin.configurable("train")
@dataclasses.dataclass(frozen=True)
class Settings:
    """A training run as a gin file describes it, `train.<attribute>`.

    Attributes:
        name: what the model is called in reports and cards.
        model: observation shape -> model.
        dataset: a name for `zoo.data.load`.
        optimizer: makes the optimiser.
        steps: the number of updates.
        sampler: (data set, batch size) -> sampler.
        batch_size: the global batch size.
        seed: of initial weights, data and noise.
        precision: a Keras dtype policy, `float32` or `mixed_bfloat16`, or `auto`: the faster one on
            this processor, and what a run began with when it resumes elsewhere.
        log_every: steps between records of the log (averages over those steps).
        checkpoint_every: steps between checkpoints.
        pictures_every: steps between reconstructions and traversals, each drawn with the first
            record, checkpoint or selection from then on.
        devices: `auto` (all GPUs), `one`, or `workers`: those of all processes that the environment
            variable `TF_CONFIG` names, all started with the same command.
        compiled: what XLA compiles: `auto` (the loop, on a GPU), `always`, `update` (each update by
            itself) or `never`.
        scores: the suite of `zoo.evaluation.evaluate` run at the end, or comma-separated scores.
        score_options: keyword arguments of single scores, `{"dto": {"solver": "milp"}}`: of those
            of `scores` and `select`.
        publish: what a finished run leaves: `all` (scores, SavedModel, report) or `scores`, for
            experiments of many short runs; `python -m zoo.export` exports such a run later.
        probe: (model, data set) -> a function of no arguments that returns further values of each
            record of the log.
        test_dataset: what the scores are computed on; the training set if None.
        select: comma-separated scores, or `loss`, the model's own; each knows which end is
            better. The checkpoint with the best mean of them on `validation_dataset` is kept,
            scored and exported; the last one if None.
        select_every: steps between such evaluations.
        select_images: how many images models with slots are scored on then.
        validation_dataset: what they are computed on.

    Raises:
        UserError: a setting is out of its range, or one lacks another that it needs.
    """

    name: str = gin.REQUIRED
    model: Callable[..., Model] = gin.REQUIRED
    dataset: str = gin.REQUIRED
    optimizer: Callable[[], keras.optimizers.Optimizer] = gin.REQUIRED
    steps: int = gin.REQUIRED
    sampler: Callable = sampling.Independent
    batch_size: int = 64
    seed: int = 0
    precision: str = "float32"
    log_every: int = 100
    checkpoint_every: int = 1000
    pictures_every: int = 5000
    devices: str = "auto"
    compiled: str = "auto"
    scores: str = "fast"
    score_options: dict[str, dict] = dataclasses.field(default_factory=dict)
    publish: str = "all"
    probe: Callable[..., Callable[[], dict]] | None = None
    test_dataset: str | None = None
    select: str | None = None
    select_every: int = 10_000
    select_images: int = 100
    validation_dataset: str | None = None

    # What stands before an attribute's name in gin files and messages.
    prefix: ClassVar[str] = "train"

    def __post_init__(self):
        for key in _POSITIVE:
            self.require(key, "at least 1", getattr(self, key) >= 1)
        for key in (*_POSITIVE, "seed"):
            self.require(key, f"at most {_LARGEST}", getattr(self, key) <= _LARGEST)
        self.require("seed", "at least 0", self.seed >= 0)
        for key, choices in (
            ("precision", machine.PRECISIONS),
            ("devices", ("auto", "one", DEVICES)),
            ("compiled", tuple(COMPILED)),
            ("publish", ("all", "scores")),
        ):
            if getattr(self, key) not in choices:
                raise UserError(
                    f"{self.prefix}.{key} is {getattr(self, key)!r}; it takes "
                    f"{' or '.join(choices)}"
                )
        # A misspelt score must not wait for the end of the training.
        scores = {*suite.names_of(self.scores), *self.selected} - {selection.LOSS}
        suite.names_of(sorted(scores), self.score_options)
        if self.select and not self.validation_dataset:
            raise UserError(
                f"{self.prefix}.select needs a data set; give one as "
                f"{self.prefix}.validation_dataset"
            )

    @property
    def selected(self) -> tuple[str, ...]:
        """The names that `select` has."""
        return selection.parse(self.select) if self.select else ()

    def options_of(self, scores: Sequence[str]) -> dict[str, dict]:
        """The options of some scores: of those that have any."""
        return {n: options for n, options in self.score_options.items() if n in scores}

    def require(self, key: str, wanted: str, fulfilled: bool) -> None:
        """Raises a UserError that names a number and the wanted one, unless it is that."""
        if not fulfilled:
            raise UserError(f"{self.prefix}.{key} is {getattr(self, key)}; give {wanted}")

    def precision_in(self, folder: runs.RunFolder) -> machine.Precision:
        """The precision of this training in a run's folder, where it may have begun.

        Raises:
            UserError: this machine cannot compute in it.
        """
        return machine.precision(self.precision, folder.recorded(f"{self.prefix}.precision"))

    def operative(self) -> str:
        """The gin text of all that has been used so far, with the precision of these settings.

        It imports the modules of data sets and scores of a user's own, too.
        """
        used = {*suite.names_of(self.scores), *self.selected}
        sets = (self.dataset, self.test_dataset, self.validation_dataset)
        modules = [catalog.module_of(name) for name in sets if name]
        modules += [facts.OWN[name].__module__ for name in used if name in facts.OWN]
        return config.operative({f"{self.prefix}.precision": self.precision}, filter(None, modules))

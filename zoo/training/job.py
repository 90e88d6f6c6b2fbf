"""The whole job of a run: build, go on, train, score, export, report."""

import contextlib
import dataclasses
import json
import pathlib
import time
from collections.abc import Callable, Mapping
from typing import ClassVar

import gin
import keras
import numpy as np
import tensorflow as tf

from zoo import config, data, evaluation, machine, runs, scoring, versions
from zoo.data import sampling
from zoo.data.dataset import Dataset
from zoo.errors import UserError
from zoo.evaluation import suite
from zoo.hub.export import export
from zoo.models.base import Encoder, Model
from zoo.report import page
from zoo.training import metrics, selection
from zoo.training.checkpoints import Checkpoints
from zoo.training.loop import Loop, strategy_for
from zoo.training.trainer import Pictures, Trainer

_KEPT_CHECKPOINTS = 3
_COMPILED = {"auto": None, "always": True, "update": "update", "never": False}
_POSITIVE = (
    *("steps", "batch_size", "log_every", "checkpoint_every"),
    *("pictures_every", "select_every", "select_images"),
)


@gin.configurable("train")
@dataclasses.dataclass(frozen=True)
class Job:
    """A training as a gin file describes it, `train.<attribute>`.

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
            this processor, and what a run was begun with when it goes on elsewhere.
        log_every: steps between records of the log (averages over those steps).
        checkpoint_every: steps between checkpoints.
        pictures_every: steps between reconstructions and traversals.
        devices: `auto` (all GPUs) or `one`.
        compiled: what XLA compiles: `auto` (the loop, on a GPU), `always`, `update` (each update by
            itself) or `never`.
        scores: the suite of `zoo.evaluation.evaluate` run at the end, or scores with commas.
        score_options: keyword arguments of single scores, `{"dto": {"solver": "milp"}}`.
        probe: (model, data set) -> a function of no arguments that gives further values of each
            record of the log.
        test_dataset: what the scores are computed on; the training set if None.
        select: scores with commas between, a minus before those that are to be low, or `-loss`, the
            model's own: the checkpoint with the highest mean of them on `validation_dataset` is
            kept, scored and exported; the last one if None.
        select_every: steps between such evaluations.
        select_images: how many images models with slots are scored on then.
        validation_dataset: what they are computed on.
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
    probe: Callable[..., Callable[[], dict]] | None = None
    test_dataset: str | None = None
    select: str | None = None
    select_every: int = 10_000
    select_images: int = 100
    validation_dataset: str | None = None

    # Where a gin file sets it.
    _precision_name: ClassVar[str] = "train.precision"

    def __post_init__(self):
        for key in _POSITIVE:
            if getattr(self, key) < 1:
                raise UserError(f"train.{key} is {getattr(self, key)}; give at least 1")
        for key, choices in (
            ("precision", machine.PRECISIONS),
            ("devices", ("auto", "one")),
            ("compiled", tuple(_COMPILED)),
        ):
            if getattr(self, key) not in choices:
                raise UserError(
                    f"train.{key} is {getattr(self, key)!r}; it takes {' or '.join(choices)}"
                )
        # A misspelt score must not wait for the end of the training.
        with _explained():
            suite.names_of(self.scores, self.score_options)
            if self.select:
                selection.parse(self.select)
        if self.select and not self.validation_dataset:
            raise UserError("train.select needs a data set; give one as train.validation_dataset")

    def precision_in(self, folder: runs.RunFolder) -> machine.Precision:
        """The precision of this job in a run's folder, where it may have begun.

        Raises:
            UserError: this machine cannot compute in it.
        """
        before = folder.config.read_text() if folder.config.exists() else ""
        return machine.precision(self.precision, config.recorded(before, self._precision_name))

    def run(self, run_dir: str) -> dict:
        """Trains to the end of the budget, going on where the folder's last try stopped.

        Returns:
            The run's manifest.

        Raises:
            UserError: anything the user can mend; nothing is lost.
        """
        with runs.opened(run_dir) as folder:
            chosen = self.precision_in(folder)
            print(f"precision: {chosen.name} ({chosen.reason}); {self._precision_name} sets it")
            if slow := machine.slow(chosen):
                _warn(f"{slow}; {self._precision_name} = {machine.AUTO!r} takes the faster one")
            return dataclasses.replace(self, precision=chosen.name)._run(folder)

    def _run(self, folder: runs.RunFolder) -> dict:
        dataset = self._load(self.dataset)
        tested = self._tested(dataset)
        strategy = strategy_for(self.devices)
        model = self._build(dataset, strategy)
        with strategy.scope(), _explained():
            model.bind(self.optimizer())
        folder.claim(config.operative({self._precision_name: self.precision}))
        if folder.done:
            print(f"{folder.path} is finished")
            return folder.describe()
        if other := machine.difference(folder.facts().get("machine")):
            _warn(other)
        self._require_space(folder, model)
        folder.describe(**self._facts(model, dataset))
        self._train(folder, model, dataset, tested or dataset, strategy)
        manifest = folder.describe(**_timing(folder))
        if self.select:
            best = selection.restore_best(folder, model, _warn)
            manifest = folder.describe(selected_step=best)
        self._publish(folder, model, tested, manifest)
        folder.finish()
        return manifest

    def restore(self, run_dir: str) -> tuple[Model, Dataset, int]:
        """The model of a run at its selected or newest checkpoint, its data set, and the step.

        The model has no optimiser, as an exported one.

        Raises:
            UserError: the folder holds no checkpoint.
        """
        dataset = self._load(self.dataset)
        model = self._build(dataset, tf.distribute.get_strategy())
        model.bind(self.optimizer())
        folder = runs.RunFolder(pathlib.Path(run_dir))
        step = selection.restore_best(folder, model, _warn) if self.select else 0
        step = step or Checkpoints(folder.checkpoints, model).restore(_warn)
        if not step:
            raise UserError(f"{run_dir} holds no checkpoint; train there first")
        return self._exportable(model, dataset), dataset, step

    def card(self, dataset: Dataset, text: str, manifest: Mapping, scores: Mapping) -> dict:
        """What the exported model says of itself."""
        kept = (
            *("name", "model", "dataset", "test_dataset"),
            *("seed", "steps", "batch_size", "precision", "machine", "versions"),
        )
        return {
            **{key: manifest[key] for key in kept if key in manifest},
            "config": text,
            "scores": scoring.headline(scores),
            "input": {
                "shape": list(dataset.images.shape[1:]),
                "maximum": dataset.images.maximum,
            },
        }

    def _load(self, name: str) -> Dataset:
        with _explained():
            return data.load(name)

    def _tested(self, dataset: Dataset) -> Dataset:
        """The data set that scores are computed on."""
        if self.test_dataset is None:
            return dataset
        tested = self._load(self.test_dataset)
        shapes = [list(each.images.shape[1:]) for each in (tested, dataset)]
        if shapes[0] != shapes[1]:
            raise UserError(
                f"train.test_dataset {self.test_dataset} has observations of shape {shapes[0]}, "
                f"and train.dataset {shapes[1]}"
            )
        return tested

    def _build(self, dataset: Dataset, strategy, precision: str | None = None) -> Model:
        keras.utils.set_random_seed(self.seed)
        with _policy(precision or self.precision), strategy.scope(), _explained():
            return self.model(dataset.images.shape[1:])

    def _exportable(self, trained: Model, dataset: Dataset) -> Model:
        """A copy in float32, whatever the precision of the training, and without an optimiser."""
        model = self._build(dataset, tf.distribute.get_strategy(), "float32")
        model.set_weights(trained.get_weights())
        return model

    def _facts(self, model: Model, dataset: Dataset) -> dict:
        return {
            "name": self.name,
            "model": type(model).__name__,
            "dataset": self.dataset,
            "test_dataset": self.test_dataset or self.dataset,
            "dataset_fingerprint": dataset.fingerprint,
            "factors": [axis.name for axis in dataset.space.axes if axis.size > 1]
            if dataset.space
            else [],
            "seed": self.seed,
            "steps": self.steps,
            "batch_size": self.batch_size,
            "precision": self.precision,
            "machine": machine.describe(),
            "parameters": int(model.count_params()),
            **versions.describe(),
        }

    def _require_space(self, folder: runs.RunFolder, model: Model) -> None:
        """A checkpoint holds the weights and about two moments of each."""
        checkpoint = 3 * 4 * sum(int(np.prod(v.shape)) for v in model.variables)
        runs.require_space(folder.path, (_KEPT_CHECKPOINTS + 2) * checkpoint)

    def _train(
        self, folder: runs.RunFolder, model: Model, dataset: Dataset, tested: Dataset, strategy
    ) -> None:
        checkpoints = Checkpoints(folder.checkpoints, model, _KEPT_CHECKPOINTS)
        done = checkpoints.restore(_warn)
        sampler = self.sampler(dataset, self.batch_size)
        tables = sampling.tensors(dataset)
        compiled = _COMPILED[self.compiled]
        with contextlib.closing(metrics.MetricsLog(folder, done)) as log:
            trainer = Trainer(
                model=model,
                loop=Loop(model, sampler, tables, self.seed, strategy, compiled),
                checkpoints=checkpoints,
                log=log,
                pictures=Pictures(folder, model, dataset, log),
                probe=self.probe(model, tested) if self.probe else dict,
                selection=self._selection(folder, model, dataset),
                batch_size=self.batch_size,
                log_every=self.log_every,
                checkpoint_every=self.checkpoint_every,
                pictures_every=self.pictures_every,
            )
            for binding in config.unused():
                _warn(f"{binding!r} has no effect: nothing in this run uses it")
            trainer.run(done, self.steps)

    def _selection(self, folder, model: Model, dataset: Dataset) -> selection.Selection | None:
        if not self.select:
            return None
        return selection.Selection(
            folder,
            model,
            lambda: self._exportable(model, dataset),
            self._load(self.validation_dataset),
            selection.parse(self.select),
            self.select_every,
            self.select_images,
            self.seed,
        )

    def _publish(self, folder, trained: Model, dataset: Dataset, manifest: Mapping) -> None:
        """Scores, SavedModel and report."""
        if isinstance(trained, Encoder):
            model = self._exportable(trained, dataset)
            scores = evaluation.evaluate(
                model, dataset, self.scores, seed=self.seed, options=self.score_options
            )
            runs.write_text(folder.scores, scoring.text(scoring.flat(scores)))
            text = folder.config.read_text()
            export(model, folder.saved_model, text, self.card(dataset, text, manifest, scores))
        page.write_from_run(folder.path)


def export_run(run_dir: str, out: pathlib.Path) -> dict:
    """Exports a run's newest checkpoint, in float32, with the scores the run has so far.

    Returns:
        The card of the exported model.

    Raises:
        UserError: the folder is no run, or holds no checkpoint.
    """
    folder = runs.RunFolder(pathlib.Path(run_dir))
    if not folder.config.exists():
        raise UserError(f"{run_dir} is not the folder of a run: it holds no config.gin")
    config.parse([str(folder.config)])
    job = Job()
    model, dataset, step = job.restore(run_dir)
    manifest = {**json.loads(folder.manifest.read_text()), "steps": step}
    scores = json.loads(folder.scores.read_text()) if folder.scores.exists() else {}
    text = folder.config.read_text()
    return export(model, out, text, job.card(dataset, text, manifest, scores))


def _timing(folder: runs.RunFolder) -> dict:
    records = runs.records(folder.metrics)
    return {
        "images_per_s": float(np.median([record["images_per_s"] for record in records])),
        "timings": {"train_s": records[-1]["time_s"]},
        "finished": time.strftime("%Y-%m-%d %H:%M:%S"),
    }


def _warn(line: str) -> None:
    print(f"warning: {line}")


@contextlib.contextmanager
def _policy(precision: str):
    """The Keras dtype policy of the layers made within."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


@contextlib.contextmanager
def _explained():
    """Makes the ValueErrors of models and data sets, which name a bad setting, errors of input."""
    try:
        yield
    except UserError:
        raise
    except ValueError as error:
        raise UserError(str(error).splitlines()[0]) from error

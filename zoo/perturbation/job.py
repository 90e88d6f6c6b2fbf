"""The whole job: restarts, the choice among them, the training of m, its export."""

import dataclasses
import functools
import gc
import json
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

import gin
import keras
import tensorflow as tf

from zoo import config, runs
from zoo.data.dataset import Dataset
from zoo.errors import UserError
from zoo.hub.export import export
from zoo.models.base import Model
from zoo.models.vae import VAE
from zoo.networks.convolutional import conv_decoder
from zoo.perturbation import choice, pictures
from zoo.perturbation.model import Perturbation, mean_likelihood
from zoo.perturbation.network import Endpoints, PerturbationNetwork
from zoo.report import page
from zoo.training.job import Job

RESTARTS, CHOICE, EXPORTED = "restarts", "choice.json", "perturbation"


@gin.configurable("perturb")
@dataclasses.dataclass(frozen=True)
class PerturbationJob(Job):
    """A perturbation as a gin file describes it, `perturb.<attribute>`.

    The attributes of `Job` are those of the training of m; of them `scores` has no use here, and
    `devices` is `one`, as steps that train one of two things do not run on several.

    Attributes:
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
        decoder_optimizer: makes the optimiser of the decoders; `optimizer` is that of m.
        network: the decoder that m is made of, (number of factors, observation shape) -> network.
        neuron_after: after how many of its layers the single neuron stands.
        spread: how much the initial m varies, see `PerturbationNetwork`.
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

    _precision_name: ClassVar[str] = "perturb.precision"

    def __post_init__(self):
        try:
            super().__post_init__()
        except UserError as error:
            raise UserError(str(error).replace("train.", "perturb.", 1)) from None
        for key in ("ensemble", "samples", "decoder_batches"):
            if getattr(self, key) < 1:
                raise UserError(f"perturb.{key} is {getattr(self, key)}; give at least 1")
        for key in ("warm_up", "spread", "min_active"):
            if getattr(self, key) < 0:
                raise UserError(f"perturb.{key} is {getattr(self, key)}; give at least 0")
        if not 0 < self.epsilon < 1:
            raise UserError(f"perturb.epsilon is {self.epsilon}; give a number between 0 and 1")
        # What cannot be must not wait for the end of the restarts.
        if self.likelihood:
            try:
                mean_likelihood(self.likelihood)
            except ValueError as error:
                raise UserError(str(error).splitlines()[0]) from None
        if self.devices != "one":
            raise UserError(f"perturb.devices is {self.devices!r}; it takes one")
        for key in ("seeds", "runs"):
            if len(set(getattr(self, key))) < len(getattr(self, key)):
                raise UserError(f"perturb.{key} names one twice; give each once")
        if self.seeds and not self.restarts:
            raise UserError("perturb.seeds needs a gin file to restart, perturb.restarts")
        count = len(self.seeds) + len(self.runs)
        if count < 2 * self.ensemble:
            raise UserError(
                f"perturb.seeds and perturb.runs give {count} restarts; {self.ensemble} "
                f"disentangled and {self.ensemble} entangled take at least {2 * self.ensemble}"
            )

    def restart(self, folder: pathlib.Path) -> None:
        """Trains the restarts, each in a folder of its own below `folder`; goes on with begun ones.

        The current configuration is replaced by that of the last restart.
        """
        for seed in self.seeds:
            config.parse([self.restarts], [*self.bindings, f"train.seed = {seed}"])
            job = Job()
            if job.dataset != self.dataset:
                raise UserError(
                    f"{self.restarts} trains on {job.dataset}; perturb.dataset is {self.dataset}"
                )
            print(f"restart of seed {seed}")
            job.run(folder / f"seed{seed}")
            # The graphs of a training hold themselves in a circle.
            gc.collect()

    def choose(self, folder: pathlib.Path, begun_with: pathlib.Path | None) -> choice.Choice:
        """The choice among the restarts in `folder` and `runs`.

        Args:
            folder: of the restarts.
            begun_with: the file of the choice with which the training of m has begun; None before.
        """
        dataset = self._load(self.dataset)
        paths = [*(folder / f"seed{seed}" for seed in self.seeds), *map(pathlib.Path, self.runs)]
        restarts = [choice.read(path, dataset) for path in paths]
        if begun_with:
            return choice.kept(begun_with, restarts, self.ensemble)
        choice.require_one_setting(paths)
        return choice.choose(restarts, self.ensemble, self.min_active)

    def restored(self, restart: choice.Restart, precision: str) -> VAE:
        """The VAE of a finished run, in a precision; replaces the configuration."""
        folder = runs.RunFolder(restart.path)
        config.parse([str(folder.config)])
        job = Job()
        vae = job._build(job._load(job.dataset), tf.distribute.get_strategy(), precision)
        if not isinstance(vae, VAE):
            raise UserError(f"{restart.path} holds a {type(vae).__name__}; give runs of VAE")
        vae.load_weights(folder.saved_model / "model.weights.h5")
        return vae

    def trained_with(self, taken: choice.Choice, vaes: Mapping, facts: Mapping) -> "_Training":
        """This job with the VAEs of its restarts."""
        model = functools.partial(
            Perturbation,
            space=self._load(self.dataset).space,
            disentangled=[vaes[r.path] for r in taken.disentangled],
            entangled=[vaes[r.path] for r in taken.entangled],
            epsilon=self.epsilon,
            samples=self.samples,
            decoder_batches=self.decoder_batches,
            warm_up=self.warm_up,
            likelihood=self.likelihood,
            network=self._network,
            decoder_optimizer=self.decoder_optimizer,
        )
        own = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return _Training(**{**own, "model": model}, facts=facts)

    def _network(self, space, observation_shape) -> PerturbationNetwork:
        return PerturbationNetwork(
            space, observation_shape, self.network, self.neuron_after, self.spread
        )


@dataclasses.dataclass(frozen=True)
class _Training(PerturbationJob):
    """The training of m by `Job.run`, what it publishes being the perturbation.

    Attributes:
        facts: the choice, for the card.
    """

    facts: Mapping = dataclasses.field(default_factory=dict)

    def _facts(self, model: Model, dataset: Dataset) -> dict:
        return {
            **super()._facts(model, dataset),
            "epsilon": self.epsilon,
            "choice": self.facts,
        }

    def _publish(self, folder, trained: Perturbation, dataset: Dataset, manifest: Mapping) -> None:
        """The SavedModel of m, pictures and report."""
        network = self._network(dataset.space, trained.observation_shape)
        network.set_weights(trained.network.get_weights())
        text = folder.config.read_text()
        records = runs.records(folder.metrics)
        export(network, folder.path / EXPORTED, text, self._card(manifest, text, records[-1]),
               Endpoints)  # fmt: skip
        pictures.write(folder.images, network, dataset, self.epsilon, records)
        page.write_from_run(folder.path)

    def _card(self, manifest: Mapping, text: str, last: Mapping) -> dict:
        kept = ("name", "dataset", "dataset_fingerprint", "epsilon", "factors", "seed", "steps",
                "batch_size", "versions", "choice")  # fmt: skip
        return {
            "description": "m of x' = fold(x + epsilon m(w)): perturb(values), the physical values "
            "of the factors, [B, F] to [B, H, W, C] in [-1, 1]",
            **{key: manifest[key] for key in kept if key in manifest},
            "losses": {k: v for k, v in last.items() if k.startswith(("loss", "reconstruction"))},
            "config": text,
        }


def perturb(files: Sequence[str], bindings: Sequence[str], run_dir: str) -> dict:
    """Does what is missing of: restarts, choice, training of m, export.

    Args:
        files: gin files.
        bindings: further gin bindings.
        run_dir: the run folder of m; restarts are below it.

    Returns:
        The manifest of the training of m.

    Raises:
        UserError: anything the user can mend; nothing is lost.
    """
    config.parse(files, bindings)
    job, root = PerturbationJob(), pathlib.Path(run_dir)
    written = root / CHOICE
    begun = written.exists() and runs.RunFolder(root).config.exists()
    _require_same(job, runs.RunFolder(root))
    # Its own lock: that of `root` is taken by the training of m.
    with runs.opened(root / RESTARTS) as restarts:
        job.restart(restarts.path)
        taken = job.choose(restarts.path, written if begun else None)
        if not begun:
            runs.write_text(written, json.dumps(taken.facts(root), indent=1) + "\n")
        print(taken)
        precision = job.precision_in(runs.RunFolder(root)).name
        chosen = (*taken.disentangled, *taken.entangled)
        vaes = {r.path: job.restored(r, precision) for r in chosen}
        # Trainings of other configurations were between.
        config.parse(files, bindings)
        facts = json.loads(written.read_text())
        return PerturbationJob().trained_with(taken, vaes, facts).run(run_dir)


def _require_same(job: PerturbationJob, folder: runs.RunFolder) -> None:
    """Refuses other settings before hours of restarts; the rest is compared when m is built."""
    if not folder.config.exists():
        return
    before, precision = folder.config.read_text(), job.precision_in(folder).name
    now = config.operative({job._precision_name: precision})
    changed = [line for line in config.differences(before, now) if line.startswith("perturb.")]
    if changed:
        raise runs.RunError(
            f"{folder.path} holds a perturbation of another configuration ({'; '.join(changed)}); "
            "choose another --run_dir or the same settings"
        )

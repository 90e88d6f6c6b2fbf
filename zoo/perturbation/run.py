"""The whole of a perturbation: restarts, the choice among them, the training of m."""

import contextlib
import dataclasses
import functools
import gc
import json
import pathlib
from collections.abc import Iterator, Mapping, Sequence

from absl import logging

from zoo import config, data, gin_files, runs
from zoo.errors import UserError
from zoo.files import read_json
from zoo.hub import package, weights
from zoo.hub.export import require_replaceable
from zoo.models.vae import VAE
from zoo.perturbation import choice
from zoo.perturbation.model import Perturbation
from zoo.perturbation.publishing import EXPORTED, publish
from zoo.perturbation.settings import Settings
from zoo.training import assembly, run
from zoo.training import settings as training_settings

RESTARTS, CHOICE = "restarts", "choice.json"


def perturb(
    files: Sequence[str], bindings: Sequence[str], run_dir: str, start_over: bool = False
) -> dict:
    """Does what is missing of: restarts, choice, training of m, export.

    Args:
        files: gin files.
        bindings: further gin bindings.
        run_dir: the run folder of m; restarts are below it.
        start_over: as `zoo.training.run.train` takes it, for each training.

    Returns:
        The manifest of the training of m.

    Raises:
        UserError: anything the user can mend; nothing is lost.
    """
    require_replaceable(pathlib.Path(run_dir, EXPORTED))
    with prepared(files, bindings, run_dir, start_over) as (settings, facts):
        return run.train(settings, run_dir, publish, facts, start_over)


@contextlib.contextmanager
def prepared(
    files: Sequence[str],
    bindings: Sequence[str],
    run_dir: str,
    start_over: bool = False,
    trust: bool = True,
) -> Iterator[tuple[Settings, dict]]:
    """Does what is missing of restarts and choice; holds their lock while the context lasts.

    Args:
        files: gin files.
        bindings: further gin bindings.
        run_dir: the run folder of m; restarts are below it.
        start_over: as `zoo.training.run.train` takes it, for each training.
        trust: whether they, the gin file of the restarts and the configs of the runs may import
            modules, as `zoo.config.parse` takes it.

    Yields:
        The settings of the training of m, with their model, and the facts of its manifest.

    Raises:
        UserError: as `perturb`.
    """
    config.parse(files, bindings, trust)
    settings, root = config.made(Settings), pathlib.Path(run_dir)
    written = root / CHOICE
    begun = written.exists() and runs.RunFolder(root).config.exists()
    _require_same(settings, runs.RunFolder(root))
    _require_grid(settings)
    # Its own lock: that of `root` is taken by the training of m.
    with runs.opened(root / RESTARTS) as restarts:
        _train_restarts(settings, restarts.path, start_over, trust)
        taken = _chosen(settings, restarts.path, written if begun else None)
        if not begun:
            runs.write_text(written, json.dumps(taken.facts(root), indent=1) + "\n")
        logging.info("%s", taken)
        precision = settings.precision_in(runs.RunFolder(root)).name
        chosen = (*taken.disentangled, *taken.entangled)
        vaes = {r.path: _restored(r, precision, trust) for r in chosen}
        # Trainings of other configurations were between.
        config.parse(files, bindings, trust)
        settings = _with_model(config.made(Settings), taken, vaes)
        facts = {"epsilon": settings.epsilon, "choice": read_json(written)}
        yield settings, facts


def _require_same(settings: Settings, folder: runs.RunFolder) -> None:
    """Refuses other settings before hours of restarts; the rest is compared when m is built."""
    if not folder.config.exists():
        return
    settled = dataclasses.replace(settings, precision=settings.precision_in(folder).name)
    before, now = gin_files.read(folder.config), settled.operative()
    changed = [line for line in config.differences(before, now) if line.startswith("perturb.")]
    if changed:
        raise runs.RunError(
            f"{folder.path} holds a perturbation of another configuration ({'; '.join(changed)}); "
            "choose another --run_dir or the same settings"
        )


def _require_grid(settings: Settings) -> None:
    """Refuses before the restarts what m could not be built for after them."""
    dataset = data.load(settings.dataset)
    space = dataset.space
    if space is None or not space.is_grid or len(space) != len(dataset.whole):
        raise UserError(
            f"perturb.dataset is {settings.dataset}, whose images do not fill a grid of factors; "
            "m is a function of them, give a data set on a grid"
        )
    settings.new_network(space, dataset.images.shape[1:])


def _train_restarts(
    settings: Settings, folder: pathlib.Path, start_over: bool, trust: bool
) -> None:
    """Trains the restarts, each in a folder of its own below `folder`; resumes unfinished ones.

    The current configuration is replaced by that of the last restart.
    """
    # All are read before the first is trained.
    for seed in settings.seeds:
        _restart(settings, seed, trust)
    for seed in settings.seeds:
        restart = _restart(settings, seed, trust)
        logging.info("restart of seed %d", seed)
        run.train(restart, folder / f"seed{seed}", start_over=start_over)
        # The graphs of a training run refer to themselves in a circle.
        gc.collect()


def _restart(settings: Settings, seed: int, trust: bool) -> training_settings.Settings:
    """The settings of a restart, whose configuration replaces the current one."""
    config.parse([settings.restarts], [*settings.bindings, f"train.seed = {seed}"], trust)
    restart = config.made(training_settings.Settings)
    if restart.dataset != settings.dataset:
        raise UserError(
            f"{settings.restarts} trains on {restart.dataset}; perturb.dataset is "
            f"{settings.dataset}"
        )
    if restart.publish != "all":
        raise UserError(
            f"{settings.restarts}: train.publish is {restart.publish!r}, and m is trained with the "
            "exported models of its restarts; give 'all'"
        )
    return restart


def _chosen(
    settings: Settings, folder: pathlib.Path, begun_with: pathlib.Path | None
) -> choice.Choice:
    """The choice among the restarts in `folder` and `settings.runs`.

    Args:
        settings: of the perturbation.
        folder: of the restarts.
        begun_with: the file of the choice with which the training of m has begun; None before.
    """
    dataset = data.load(settings.dataset)
    paths = [folder / f"seed{seed}" for seed in settings.seeds]
    paths += map(pathlib.Path, settings.runs)
    restarts = [choice.read(path, dataset) for path in paths]
    if begun_with:
        return choice.kept(begun_with, restarts, settings.ensemble)
    choice.require_one_setting(paths)
    return choice.choose(restarts, settings.ensemble, settings.min_active)


def _restored(restart: choice.Restart, precision: str, trust: bool) -> VAE:
    """The VAE of a finished run, in a precision; replaces the configuration."""
    folder = runs.RunFolder(restart.path)
    config.parse([str(folder.config)], trust=trust)
    settings = config.made(training_settings.Settings)
    vae = assembly.built(settings, data.load(settings.dataset), precision=precision)
    if not isinstance(vae, VAE):
        raise UserError(f"{restart.path} holds a {type(vae).__name__}; give runs of a VAE")
    package.verify(folder.saved_model)
    weights.assign(vae, folder.saved_model)
    return vae


def _with_model(settings: Settings, taken: choice.Choice, vaes: Mapping) -> Settings:
    """These settings with the model that is made of the VAEs of the restarts."""
    model = functools.partial(
        Perturbation,
        space=data.load(settings.dataset).space,
        disentangled=[vaes[r.path] for r in taken.disentangled],
        entangled=[vaes[r.path] for r in taken.entangled],
        epsilon=settings.epsilon,
        samples=settings.samples,
        decoder_batches=settings.decoder_batches,
        warm_up=settings.warm_up,
        likelihood=settings.likelihood,
        network=settings.new_network,
        decoder_optimizer=settings.decoder_optimizer,
    )
    return dataclasses.replace(settings, model=model)

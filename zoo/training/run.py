"""One run from its settings to what it publishes."""

import contextlib
import dataclasses
import pathlib
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from absl import logging

from zoo import config, machine, runs, stopping, versions
from zoo.training import assembly, metrics, selection, workers
from zoo.training.assembly import Parts
from zoo.training.checkpoints import Checkpoints, remove_unfinished
from zoo.training.loop import state_of
from zoo.training.publishing import publish as publish_model
from zoo.training.publishing import require_place
from zoo.training.settings import Settings
from zoo.training.trainer import Callback, Pictures, Trainer

_KEPT_CHECKPOINTS = 3

Publisher = Callable[[Settings, runs.RunFolder, Parts, Mapping], None]


def train(
    settings: Settings,
    run_dir: str | pathlib.Path,
    publish: Publisher | None = None,
    facts: Mapping | None = None,
    start_over: bool = False,
    callbacks: Sequence[Callback] = (),
) -> dict:
    """Trains to the end of the budget, resuming what the folder's last try began.

    Args:
        settings: of the training; the configuration that gin holds must be theirs.
        run_dir: the run's folder.
        publish: (settings, folder, parts, manifest) -> None, called with the trained model; None
            for `zoo.training.publishing.publish`.
        facts: what the manifest has beside the usual.
        start_over: train from step 0 where the folder has checkpoints and none can be read.
        callbacks: (step, record, model) -> anything, called with every record of the log, in every
            process that trains.

    Returns:
        The run's manifest; in workers that are not the chief, of the training alone.

    Raises:
        UserError: anything the user can mend; nothing is lost.
        Stopped: SIGTERM, SIGHUP or SIGINT came (in the main thread); the step is saved.
    """
    # First of all: workers meet before TensorFlow has computed anything.
    team = workers.team(settings.devices)
    with workers.losing(team), stopping.watched() as signals, _opened(run_dir, team) as folder:
        chosen, name = settings.precision_in(folder), f"{settings.prefix}.precision"
        logging.info("precision: %s (%s); %s sets it", chosen.name, chosen.reason, name)
        if slow := machine.slow(chosen):
            logging.warning("%s; %s = %r takes the faster one", slow, name, machine.AUTO)
        settings = dataclasses.replace(settings, precision=team.told(chosen.name))
        parts = assembly.assemble(settings, folder)
        text = settings.operative()
        folder.claim(text)
        _require_same_start(team, text, parts)
        if team.told(folder.done):
            logging.info("%s is finished", run_dir)
            return folder.facts()
        require_same_data(folder, parts)
        if publish is None:
            require_place(settings, folder, parts.model)
        if other := machine.difference(folder.facts().get("machine")):
            logging.warning("%s", other)
        for binding in config.unused():
            logging.warning("%r has no effect: nothing in this run uses it", binding)
        _require_space(folder, parts)
        folder.describe_start(**described(settings, parts), **(facts or {}))
        metrics.write_settings(folder, text)
        _train(settings, folder, parts, start_over, signals, callbacks, team)
        manifest = folder.describe(**_timing(folder))
        if team.chief and settings.select:
            best = selection.restore_best(folder, parts.model)
            taken = "best" if best else "newest"
            manifest = folder.describe(selected_step=best or None, selected_checkpoint=taken)
        if team.chief:
            (publish or publish_model)(settings, folder, parts, manifest)
            folder.finish()
        # Whoever ended before the chief would be taken for lost.
        team.told()
        return manifest


@contextlib.contextmanager
def _opened(run_dir: str | pathlib.Path, team: workers.Team) -> Iterator[runs.RunFolder]:
    """The run's folder; where this process is not the chief, an empty one that is removed."""
    with contextlib.ExitStack() as stack:
        if not team.chief:
            run_dir = stack.enter_context(tempfile.TemporaryDirectory(prefix="zoo-worker-"))
        yield stack.enter_context(runs.opened(run_dir))


def described(settings: Settings, parts: Parts) -> dict:
    """What the manifest says of a run before it is trained."""
    space = parts.dataset.space
    factors = [axis.name for axis in space.axes if axis.size > 1] if space else []
    return {
        "name": settings.name,
        "model": parts.model.kind,
        "dataset": settings.dataset,
        "test_dataset": settings.test_dataset or settings.dataset,
        "dataset_fingerprint": parts.dataset.fingerprint,
        "test_dataset_fingerprint": parts.tested.fingerprint,
        "factors": factors,
        # Data without latents of their own are scored with the factors in their place.
        "latents": factors if parts.tested.latents is None else [],
        "seed": settings.seed,
        "steps": settings.steps,
        "batch_size": settings.batch_size,
        "precision": settings.precision,
        "machine": machine.describe(),
        "parameters": int(parts.model.count_params()),
        **versions.describe(),
    }


def require_same_data(folder: runs.RunFolder, parts: Parts) -> None:
    """Refuses to resume with other images than those that the run began with."""
    before, now = folder.facts().get("dataset_fingerprint"), parts.dataset.fingerprint
    if before not in (None, now):
        raise runs.RunError(
            f"{folder.path} was begun on {parts.dataset.name} with other images (fingerprint "
            f"{before}, now {now}); restore them, or choose another --run_dir"
        )


def _require_same_start(team: workers.Team, text: str, parts: Parts) -> None:
    """Refuses a process that would train something else than the chief."""
    chief = team.told({"config": text, "images": parts.dataset.fingerprint})
    changed = config.differences(chief["config"], text)
    if chief["images"] != parts.dataset.fingerprint:
        changed = [*changed, f"other images of {parts.dataset.name}"]
    if changed:
        raise workers.WorkersError(
            f"this worker trains something else than the chief ({'; '.join(changed)}); start all "
            "with the same command and the same data"
        )


def _require_space(folder: runs.RunFolder, parts: Parts) -> None:
    """A checkpoint holds the weights and about two moments of each."""
    checkpoint = 3 * 4 * sum(int(np.prod(v.shape)) for v in parts.model.variables)
    runs.require_space(folder.path, (_KEPT_CHECKPOINTS + 2) * checkpoint)


def _train(
    settings: Settings,
    folder: runs.RunFolder,
    parts: Parts,
    start_over: bool,
    signals: stopping.Stopping,
    callbacks: Sequence[Callback],
    team: workers.Team,
) -> None:
    remove_unfinished(folder.checkpoints)
    checkpoints = Checkpoints(folder.checkpoints, parts.model, _KEPT_CHECKPOINTS)
    done, pending = team.told((checkpoints.restore(start_over), checkpoints.pending))
    team.equalize(state_of(parts.model).values())
    # The records of a run that resumes are the chief's.
    begun = pending.get("begun", done) if team.chief else 0
    with contextlib.closing(metrics.MetricsLog(folder, done, begun)) as log:
        trainer = Trainer(
            model=parts.model,
            loop=parts.loop,
            checkpoints=checkpoints,
            log=log,
            pictures=Pictures(folder, parts.model, parts.dataset, log),
            probe=parts.probe,
            selection=parts.selection,
            batch_size=settings.batch_size,
            log_every=settings.log_every,
            checkpoint_every=settings.checkpoint_every,
            pictures_every=settings.pictures_every,
            stopping=signals,
            require_own=folder.require_own,
            callbacks=callbacks,
            team=team,
        )
        trainer.run(done, settings.steps, pending)


def _timing(folder: runs.RunFolder) -> dict:
    finished = {"finished": time.strftime("%Y-%m-%d %H:%M:%S")}
    records = runs.records(folder.metrics)
    if not records:
        return finished
    return {
        "images_per_s": float(np.median([record["images_per_s"] for record in records])),
        "timings": {"train_s": records[-1]["time_s"]},
        **finished,
    }

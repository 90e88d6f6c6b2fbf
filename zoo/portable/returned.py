"""Brings what an exported loop has trained back into its run."""

import contextlib
import dataclasses
import pathlib
import shutil
import tempfile
from collections.abc import Mapping

import numpy as np

import zoo
from zoo import runs
from zoo.errors import UserError
from zoo.files import temporary_prefix
from zoo.models.base import Model
from zoo.portable import runner
from zoo.portable.job import training_command
from zoo.training import assembly, metrics
from zoo.training.checkpoints import Checkpoints
from zoo.training.loop import state_of
from zoo.training.run import described, require_same_data
from zoo.training.settings import Settings


@dataclasses.dataclass(frozen=True)
class Returned:
    """A job with its result, checked.

    Attributes:
        job: what `job.json` says.
        facts: what the result's manifest says.
        state: arrays by name.
        records: sums of losses over steps.
    """

    job: dict
    facts: dict
    state: dict[str, np.ndarray]
    records: list[runner.Record]


def read(folder: pathlib.Path, result: pathlib.Path | None = None) -> Returned:
    """Reads a job and its result.

    Args:
        folder: of the job.
        result: of the result, `result` in that folder if None.

    Raises:
        UserError: they are damaged or incomplete, do not belong together, or are of another
            version of this package.
    """
    place = result or folder / "result"
    try:
        job, digest = runner.read_job(folder)
        if job["package"] != zoo.__version__:
            raise UserError(
                f"{folder} was exported by disentanglement-zoo {job['package']}, and this is "
                f"{zoo.__version__}; import it with the version that exported it"
            )
        found = runner.read_result(place, digest)
    except runner.JobError as error:
        raise UserError(str(error)) from None
    if found is None:
        raise UserError(f"{place} holds no result; train first: {training_command(folder)}")
    facts, arrays = found
    return Returned(job, facts, *runner.unpack(arrays, list(job["losses"])))


def bring_back(
    settings: Settings,
    returned: Returned,
    run_dir: str | pathlib.Path,
    facts: Mapping | None = None,
) -> dict:
    """Writes the checkpoint and the log of what was trained elsewhere into a run's folder.

    Args:
        settings: of the training; the configuration that gin holds must be theirs.
        returned: from `read`.
        run_dir: the folder of the run that was exported, or a fresh one.
        facts: what the manifest has beside the usual.

    Returns:
        The run's manifest.

    Raises:
        UserError: the run or its data set is another one, it is further than the result, or that
            has weights that are not finite; the folder stays as it was.
    """
    job, step = returned.job, returned.facts["step"]
    with runs.opened(run_dir) as folder:
        settings = dataclasses.replace(settings, precision=settings.precision_in(folder).name)
        parts = assembly.assemble(settings, folder)
        if parts.dataset.fingerprint != job["fingerprint"]:
            raise UserError(
                f"{job['dataset']} here ({parts.dataset.fingerprint}) is not the data set that the "
                f"loop was exported with ({job['fingerprint']}); use the same files"
            )
        require_same_data(folder, parts)
        text = settings.operative()
        if folder.config.exists():
            folder.claim(text)
        checkpoints = Checkpoints(folder.checkpoints, parts.model)
        done = checkpoints.restore()
        if done > step or folder.done:
            state = "finished" if folder.done else f"at step {done}"
            raise UserError(f"{folder.path} is {state}; the result is of step {step}")
        _assign(parts.model, returned)
        name = temporary_prefix("import")
        with tempfile.TemporaryDirectory(prefix=name, dir=folder.path) as stage:
            staged = runs.RunFolder(pathlib.Path(stage))
            if folder.metrics.exists():
                shutil.copyfile(folder.metrics, staged.metrics)
            pending = _log(staged, parts.model, returned)
            folder.claim(text)
            checkpoints.save(step, pending)
            # Renamed only: what can fail has been done.
            staged.metrics.replace(folder.metrics)
            events = folder.path / "tensorboard"
            events.mkdir(exist_ok=True)
            for file in (staged.path / "tensorboard").iterdir():
                file.replace(events / file.name)
        kept = ("step", "jax", "device", "seconds")
        elsewhere = {"from": job["start"], **{key: returned.facts[key] for key in kept}}
        known = folder.facts().get("trained_elsewhere", [])
        more = {**(facts or {}), "trained_elsewhere": [*known, elsewhere]}
        return folder.describe_start(**described(settings, parts), **more)


def _assign(model: Model, returned: Returned) -> None:
    variables = state_of(model)
    shapes = {name: tuple(variable.shape) for name, variable in variables.items()}
    given = {name: value.shape for name, value in returned.state.items()}
    if shapes != given:
        raise AssertionError(f"the state of {returned.job['name']} has changed: {given} {shapes}")
    for name, variable in variables.items():
        variable.assign(returned.state[name])
    # The loss that the runner looks at is that of the weights before the last step.
    if not all(np.isfinite(weights).all() for weights in model.trainable_variables):
        raise UserError(
            f"{returned.job['name']}: weights became NaN or infinite before step "
            f"{returned.facts['step']}; lower the learning rate or change the precision, in "
            "another run"
        )


def _log(folder: runs.RunFolder, model: Model, returned: Returned) -> dict:
    """Adds what was logged elsewhere to the log of a folder; returns what is pending of it.

    What a model says of its weights is left out where they were others: all are those at the end.
    """
    job, records, pending = returned.job, list(returned.records), {}
    if records and runner.unfinished(job, records[-1]):
        last = records.pop()
        totals = {n: s.tolist() for n, s in zip(job["losses"], last.sums, strict=True)}
        pending = {"begun": last.first, "seconds": last.seconds, "totals": totals}
    begun = job["pending"].get("begun", job["start"])
    with contextlib.closing(metrics.MetricsLog(folder, job["start"], begun)) as log:
        for record in records:
            count = record.last - record.first
            means = {n: s / count for n, s in zip(job["losses"], record.sums, strict=True)}
            images = count * job["batch_size"]
            values = model.summarize(means)
            if record.last != returned.facts["step"]:
                values = {n: v for n, v in values.items() if n not in model.momentary}
            log.write(record.last, record.seconds, images, values)
    return pending

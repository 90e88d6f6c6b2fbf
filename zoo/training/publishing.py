"""What a training run produces: scores, the SavedModel with its card, the report."""

import pathlib
from collections.abc import Mapping

from zoo import config, data, evaluation, gin_files, runs, scoring
from zoo.data.dataset import Dataset
from zoo.errors import UserError
from zoo.evaluation import blocks, suite
from zoo.hub.export import export, require_replaceable
from zoo.models.base import Encoder, Generator, Model
from zoo.report import page
from zoo.training import assembly, metrics, selection
from zoo.training.assembly import Parts
from zoo.training.checkpoints import Checkpoints
from zoo.training.settings import Settings


def require_place(settings: Settings, folder: runs.RunFolder, model: Model) -> None:
    """Raises a UserError where `publish` would find that it cannot export the model of a run."""
    if settings.publish == "all" and isinstance(model, Encoder | Generator):
        require_replaceable(folder.saved_model)


def publish(settings: Settings, folder: runs.RunFolder, parts: Parts, manifest: Mapping) -> None:
    """Scores and exports the model of a run, if it encodes or generates, and writes the report.

    Where `settings.publish` says so it is scored alone.
    """
    if isinstance(parts.model, Encoder | Generator):
        dataset = parts.tested
        model = assembly.exportable(settings, dataset, parts.model)
        names = suite.names_of(settings.scores)
        options = settings.options_of(names)
        scores = evaluation.evaluate(model, dataset, names, seed=settings.seed, options=options)
        step = manifest.get("selected_step") or settings.steps
        runs.write_text(folder.scores, scoring.text(scoring.flat(scores, step)))
        metrics.write_scores(folder, step, scoring.headline(scores))
        if settings.publish == "all":
            text = gin_files.read(folder.config)
            export(model, folder.saved_model, text, card(model, dataset, text, manifest, scores))
    if settings.publish == "all":
        page.write_from_run(folder.path)


def card(model: Model, dataset: Dataset, text: str, manifest: Mapping, scores: Mapping) -> dict:
    """What an exported model says of itself.

    Args:
        model: that is exported.
        dataset: the one it is scored on, or another of the same observations.
        text: its gin config.
        manifest: of its run.
        scores: the table of its scores.
    """
    kept = (
        *("name", "model", "dataset", "test_dataset"),
        *("dataset_fingerprint", "test_dataset_fingerprint"),
        *("seed", "steps", "selected_step", "batch_size", "precision", "machine", "versions"),
        "earlier_starts",
    )
    return {
        **{key: manifest[key] for key in kept if key in manifest},
        "config": text,
        "scores": scoring.headline(scores),
        **({"blocks": found} if (found := blocks.of_model(model)) else {}),
        "input": {
            "shape": list(dataset.images.shape[1:]),
            "maximum": dataset.images.maximum,
            **({"domains": model.domains} if isinstance(model, Generator) else {}),
        },
    }


def restore(settings: Settings, folder: runs.RunFolder) -> tuple[Model, Dataset, int]:
    """The model of a run at its selected or newest checkpoint, its data set, and the step.

    The model is in float32 and has no optimiser, as an exported one.

    Raises:
        UserError: the folder holds no checkpoint.
    """
    dataset = data.load(settings.dataset)
    model = assembly.bound(settings, dataset)
    step = selection.restore_best(folder, model) if settings.select else 0
    step = step or Checkpoints(folder.checkpoints, model).restore()
    if not step:
        raise UserError(f"{folder.path} holds no checkpoint; train there first")
    return assembly.exportable(settings, dataset, model), dataset, step


def export_run(run_dir: str, out: pathlib.Path, trust: bool = False) -> dict:
    """Exports a run's selected or newest checkpoint, in float32, with its scores so far.

    Args:
        run_dir: the folder of the run.
        out: the folder to write.
        trust: whether its config may import modules, as `zoo.config.parse` takes it.

    Returns:
        The card of the exported model.

    Raises:
        UserError: the folder is no run, holds no checkpoint, its config is not trusted, or `out`
            is there and no exported model.
    """
    require_replaceable(out)
    folder = runs.RunFolder(pathlib.Path(run_dir))
    config.parse([str(folder.require_config())], trust=trust)
    with runs.locked_around(out):
        model, dataset, step = restore(config.made(Settings), folder)
        # What was scored before steps were kept beside scores is taken as it is.
        scored = folder.scored().items()
        scores = {name: row for name, row in scored if row.get("step", step) == step}
        text = gin_files.read(folder.config)
        facts = {**folder.facts(), "steps": step}
        return export(model, out, text, card(model, dataset, text, facts, scores))

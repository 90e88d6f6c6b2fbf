"""What the training of m produces: the SavedModel of a perturbation, its pictures, the report."""

import importlib
import shlex
from collections.abc import Mapping

from zoo import gin_files, runs
from zoo.data import catalog
from zoo.hub.export import export
from zoo.perturbation import pictures
from zoo.perturbation.network import Endpoints
from zoo.perturbation.settings import Settings
from zoo.report import page
from zoo.training.assembly import Parts

EXPORTED = "perturbation"


def publish(settings: Settings, folder: runs.RunFolder, parts: Parts, manifest: Mapping) -> None:
    """Exports m in float32, draws it, and writes the report."""
    network = settings.new_network(parts.dataset.space, parts.model.observation_shape)
    network.set_weights(parts.model.network.get_weights())
    records = runs.records(folder.metrics)
    step = manifest.get("selected_step") or settings.steps
    record = next((record for record in records if record["step"] == step), {})
    described = _card(manifest, gin_files.read(folder.config), record)
    export(network, folder.path / EXPORTED, described["config"], described, Endpoints)
    pictures.write(folder.images, network, parts.dataset, settings.epsilon, records)
    page.write_from_run(folder.path)


def usage(manifest: Mapping, run_dir: str) -> str:
    """How a data set is made of the network of a run, in one line.

    Args:
        manifest: of the run.
        run_dir: its folder.
    """
    network, whole = f"{run_dir}/{EXPORTED}", manifest["dataset"].partition("[")[0]
    family, _, name = whole.partition("/")
    # Named sets are made of the rendered images with the family's epsilon.
    if name in ("", "rendered", "official") and family in catalog.FAMILIES:
        module = importlib.import_module(catalog.FAMILIES[family])
        if "perturbed" in module.CONFIGS and module.EPSILON == manifest["epsilon"]:
            return (
                f"ZOO_PERTURBATION={shlex.quote(network)} for zoo.data.load('{family}/perturbed')"
            )
    return (
        f"zoo.data.perturbation.perturbed(zoo.data.load({whole!r}), {manifest['epsilon']}, "
        f"{network!r}, pathlib.Path(a folder for its images))"
    )


def _card(manifest: Mapping, text: str, record: Mapping) -> dict:
    kept = (
        *("name", "dataset", "dataset_fingerprint", "epsilon", "factors", "seed", "steps"),
        *("selected_step", "batch_size", "versions", "choice"),
    )
    return {
        "description": "m of x' = fold(x + epsilon m(w)): perturb(values), the physical values "
        "of the factors, [B, F] to [B, H, W, C] in [-1, 1]",
        **{key: manifest[key] for key in kept if key in manifest},
        "losses": {k: v for k, v in record.items() if k.startswith(("loss", "reconstruction"))},
        "config": text,
    }

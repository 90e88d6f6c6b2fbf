"""What the training of m produces: the SavedModel of a perturbation, its pictures, the report."""

from collections.abc import Mapping

from zoo import gin_files, runs
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
    described = _card(manifest, gin_files.read(folder.config), records[-1] if records else {})
    export(network, folder.path / EXPORTED, described["config"], described, Endpoints)
    pictures.write(folder.images, network, parts.dataset, settings.epsilon, records)
    page.write_from_run(folder.path)


def _card(manifest: Mapping, text: str, last: Mapping) -> dict:
    kept = (
        *("name", "dataset", "dataset_fingerprint", "epsilon", "factors", "seed", "steps"),
        *("batch_size", "versions", "choice"),
    )
    return {
        "description": "m of x' = fold(x + epsilon m(w)): perturb(values), the physical values "
        "of the factors, [B, F] to [B, H, W, C] in [-1, 1]",
        **{key: manifest[key] for key in kept if key in manifest},
        "losses": {k: v for k, v in last.items() if k.startswith(("loss", "reconstruction"))},
        "config": text,
    }

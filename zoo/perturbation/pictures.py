"""Pictures of a perturbation and of its training."""

import pathlib
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from zoo.data import perturbation, sampling
from zoo.data.dataset import Dataset
from zoo.drawing import sheets
from zoo.drawing.palette import LIGHT, SERIES
from zoo.files import atomic
from zoo.perturbation.network import PerturbationNetwork


def examples(network: PerturbationNetwork, dataset: Dataset, epsilon: float) -> np.ndarray:
    """Eight images, what they become, and the difference (grey is none, black -epsilon)."""
    images, change = _of(network, dataset, dataset.some(8))
    new = perturbation.folded(images + epsilon * change)
    cells = np.stack([images, new, 0.5 + (new - images) / (2 * epsilon)])
    return sheets.sheet(cells, ["original", "perturbed", "difference"])


def family(
    network: PerturbationNetwork, dataset: Dataset, epsilon: float, steps: int = 9
) -> np.ndarray:
    """All that m can do: its scalar from the 1 % to the 99 % quantile of 2,048 images.

    Above m itself (grey is 0), below one image with it.
    """
    numbers = dataset.some(2048)
    scalars = network.scalar(_values(dataset, numbers)).numpy()
    swept = np.quantile(scalars, np.linspace(0.01, 0.99, steps)).astype(np.float32)[:, None]
    change = network.image(tf.constant(swept)).numpy()
    image, _ = _of(network, dataset, numbers[len(numbers) // 2 :][:1])
    cells = np.stack([0.5 + change / 2, perturbation.folded(image + epsilon * change)])
    return sheets.sheet(cells, ["m", "x'"], [f"{value:.2g}" for value in swept[:, 0]])


def losses(records: Sequence[Mapping]) -> bytes:
    """The two reconstruction losses of a run's `metrics.jsonl` and their difference, as a PNG."""
    from matplotlib.figure import Figure

    from zoo.drawing import style

    steps = [record["step"] for record in records]
    with style.styled():
        figure = Figure((10, 4), layout="constrained")
        both, difference = figure.subplots(1, 2)
        for colour, kind in zip(SERIES[1::-1], ("entangled", "disentangled"), strict=True):
            values = [record[f"reconstruction_{kind}"] for record in records]
            both.plot(steps, values, color=colour, label=kind)
        both.set(title="Reconstruction of x' (nats)", xlabel="batches")
        both.legend()
        difference.plot(steps, [r["loss"] for r in records], color=SERIES[2])
        difference.axhline(0, color=LIGHT["muted"], linewidth=1)
        difference.set(title="Entangled - disentangled (nats)", xlabel="batches")
        return style.png(figure)


def write(
    folder: pathlib.Path,
    network: PerturbationNetwork,
    dataset: Dataset,
    epsilon: float,
    records: Sequence[Mapping],
) -> None:
    """Writes all three into a folder."""
    sheets.write(folder / "perturbed.png", examples(network, dataset, epsilon))
    sheets.write(folder / "scalar.png", family(network, dataset, epsilon))
    with atomic(folder / "reconstruction_losses.png") as path:
        path.write_bytes(losses(records))


def _values(dataset: Dataset, numbers: np.ndarray) -> tf.Tensor:
    return tf.constant(dataset.space.values(dataset.space.factors(numbers)), tf.float32)


def _of(network, dataset, numbers) -> tuple[np.ndarray, np.ndarray]:
    images = sampling.observations(dataset, numbers).numpy()
    return images, network(_values(dataset, numbers)).numpy()

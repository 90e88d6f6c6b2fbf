"""Pictures of models: what is shown of them, with decoders whose images say what was decoded."""

import functools
import pathlib
import types

import numpy as np
import pytest
import tensorflow_probability as tfp
import toy
import toy_tables
from PIL import Image

from zoo.errors import UserError
from zoo.papers import documents, pictures, tasks
from zoo.papers.kept import Result
from zoo.papers.spec import Column, Row, Table
from zoo.papers.zietlow import pictures as zietlow

MIG = Column("MIG", ("mig", "score"))


def grid(*sizes: int, repeats: int) -> np.ndarray:
    """Every combination of factors some times over, `[N, F]`."""
    one = np.stack(np.meshgrid(*map(np.arange, sizes), indexing="ij"), -1).reshape(-1, len(sizes))
    return np.tile(one, (repeats, 1))


def around(factors: np.ndarray, turns: int) -> np.ndarray:
    """The first factor as an angle, the second as a radius."""
    angle, radius = 2 * np.pi * factors[:, 0] / turns, 1 + factors[:, 1]
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1)


@pytest.mark.parametrize("swapped", [False, True])
def test_layout_tells_coordinates_from_angle_and_radius(swapped):
    factors = grid(8, 6, repeats=20)
    noise = 0.02 * np.random.default_rng(0).normal(size=factors.shape)
    order = [1, 0] if swapped else [0, 1]
    cartesian, polar = zietlow.layout((factors + noise)[:, order], factors)
    assert cartesian > 0.95 and polar < 0.7
    cartesian, polar = zietlow.layout(around(factors, 8) + noise, factors[:, order])
    assert polar > 0.95 and cartesian < 0.7


def test_layout_of_codes_that_tell_nothing():
    factors = grid(8, 6, repeats=20)
    codes = np.random.default_rng(0).normal(size=factors.shape)
    # The bias of a histogram of 20 bins: about 19 * (F - 1) / 2N nats, 0.04 here.
    assert max(zietlow.layout(codes, factors)) < 0.1


class Coded:
    """Encodes the toy squares by position, in latents 2 and 0; keeps what it decodes."""

    def __init__(self, polar: bool = False):
        self.decoded, self._polar = [], polar

    def encode(self, images):
        """The rows and columns of the first pixels of the squares."""
        images = np.asarray(images)
        places = np.stack([images.any(axis=a).argmax(axis=1)[:, 0] for a in (1, 2)], axis=-1)
        codes = around(places - 1, 8) if self._polar else places - 4.5
        return np.stack([codes[:, 1], 0 * codes[:, 0], codes[:, 0]], axis=-1).astype(np.float32)

    def posterior(self, images):
        """Latent 1 has the least deviation, then 2, then 0."""
        mean = self.encode(images)
        return tfp.distributions.Normal(mean, np.float32([0.9, 0.1, 0.5]) + 0 * mean)

    def decode(self, codes):
        """Blank images."""
        self.decoded.append(np.asarray(codes))
        return np.zeros((len(codes), 16, 16, 1))


@pytest.fixture
def runs(monkeypatch, tmp_path, finish):
    """Four seeds of MIG 0.3, 0.9, 0.5, 0.1; the models of the worse two are polar."""
    models = {str(seed): Coded(polar) for seed, polar in enumerate((True, False, False, True))}
    monkeypatch.setattr(
        pictures, "opened", lambda folder: (models[folder.name], toy.load("squares", None))
    )
    folders = []
    for seed, score in enumerate((0.3, 0.9, 0.5, 0.1)):
        task = tasks.Task(toy_tables.SHARED, seed, "paper", tmp_path)
        finish(task, mig=score)
        folders.append(task.folder)
    result = Result(Row("row", toy_tables.SHARED), "paper", {}, None, [*range(4)], folders)
    return {"row": [result], "none": []}, models


def test_planes_rank_runs_and_measure_them(runs):
    found, models = runs
    drawn = zietlow.planes(found, (MIG,), ("x", "y"))
    titles = [axis.get_title().splitlines() for axis in drawn.axes]
    assert [title[0] for title in titles] == [
        "best: MIG 0.90, seed 1",
        "best: MIG 0.50, seed 2",
        "worst: MIG 0.30, seed 0",
        "worst: MIG 0.10, seed 3",
    ]
    shares = [[float(word) for word in t[1].replace(",", "").split()[1::2]] for t in titles]
    for cartesian, polar in shares[:2]:
        assert cartesian == 1 and polar < 0.8
    for cartesian, polar in shares[2:]:
        assert polar == 1 and cartesian < 0.8
    # Latent 1 is dead and stays as it is; x, in latent 2, grows to the right, y upwards.
    (codes,) = models["1"].decoded
    codes = codes.reshape(7, 7, 3)
    assert np.ptp(codes[..., 1]) == 0
    np.testing.assert_allclose(codes[0, :, 2], np.linspace(-2, 2, 7), rtol=1e-6)
    np.testing.assert_allclose(codes[:, 0, 0], np.linspace(2, -2, 7), rtol=1e-6)


def test_no_run_is_both_best_and_worst(runs):
    found, _ = runs
    assert len(zietlow.planes(found, (MIG,), ("x", "y"), shown=1).axes) == 2
    del found["row"][0].folders[1:]
    assert len(zietlow.planes(found, (MIG,), ("x", "y")).axes) == 1


def test_planes_of_factors_that_are_not_there(runs):
    with pytest.raises(UserError, match="toy/squares has no factors x and hue"):
        zietlow.planes(runs[0], (MIG,), ("x", "hue"))


def test_eigenfaces_vary_the_surest_latents_of_the_mean_code(runs):
    found, models = runs
    (axis,) = zietlow.eigenfaces(found).axes
    assert axis.get_title() == "row"
    (codes,) = models["0"].decoded
    codes = codes.reshape(3, 9, 3)
    mean = Coded(polar=True).encode(toy.load("squares", None).images[:]).mean(axis=0)
    for row, latent in zip(codes, (1, 2, 0), strict=True):
        np.testing.assert_allclose(row[:, latent], np.linspace(-2.5, 2.5, 9), rtol=1e-6)
        others = [k for k in range(3) if k != latent]
        np.testing.assert_allclose(row[:, others], np.tile(mean[others], (9, 1)), atol=1e-5)


def test_a_run_whose_data_is_not_here_is_one_line(tmp_path, monkeypatch):
    card = {"dataset": "celeb_a[train]", "test_dataset": None}
    monkeypatch.setattr(pictures.hub, "load", lambda _: types.SimpleNamespace(card=card))

    def missing(name):
        raise UserError(f"TFDS has no {name} here")

    monkeypatch.setattr(pictures.data, "load", missing)
    with pytest.raises(UserError, match=r"needs its data: TFDS has no celeb_a\[train\] here"):
        pictures.opened(tmp_path)


def test_figures_of_an_exported_model(tmp_path, finish):
    from zoo.hub.export import export
    from zoo.models.vae import VAE
    from zoo.networks.dense import mlp_decoder, mlp_encoder

    (task,) = tasks.of_rows([Row("r", toy_tables.SHARED)], "paper", tmp_path, 1)
    finish(task, mig=0.3)
    model = VAE(
        (16, 16, 1),
        latent_dim=3,
        encoder=lambda shape: mlp_encoder(shape, units=(8,)),
        decoder=lambda dim, shape: mlp_decoder(dim, shape, units=(8,)),
    )
    card = {"name": "toy", "dataset": "toy", "input": {"shape": [16, 16, 1], "maximum": 1.0}}
    export(model, task.folder / "saved_model", "", card)
    for name, columns, figure in (
        ("faces", (), zietlow.eigenfaces),
        ("planes", (MIG,), functools.partial(zietlow.planes, pair=("x", "y"))),
    ):
        rows = (Row("r", toy_tables.SHARED),)
        table = Table(f"toy/{name}", "A figure", columns, rows, figure=figure)
        picture = documents.write(table, tmp_path)[-1]
        with Image.open(picture) as image:
            assert picture.name == f"{name}.png" and min(image.size) > 200
        assert f"![A figure]({name}.png)" in (tmp_path / f"toy/{name}.md").read_text()


def test_restarts_are_planes_of_codes_beside_the_factors(monkeypatch):
    """Each run has the square turned by as many degrees as its seed."""
    square = np.random.default_rng(0).random((50, 2))

    def opened(folder):
        angle = np.radians(int(folder.name))
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        whole = types.SimpleNamespace(images=square, latents=square)
        dataset = types.SimpleNamespace(whole=whole, some=lambda count: np.arange(50)[:count])
        return types.SimpleNamespace(encode=lambda x: x @ turn.T), dataset

    monkeypatch.setattr(pictures, "opened", opened)
    folders = [pathlib.Path("runs", seed) for seed in ("90", "0", "45", "30", "60")]
    result = types.SimpleNamespace(folders=folders)
    figure = zietlow.restarts({"a": [result], "b": []}, points=40)
    assert [axis.get_title() for axis in figure.axes] == [
        "factors",
        *(f"seed {seed}" for seed in (0, 30, 45, 60, 90)),
    ]
    drawn = [np.asarray(axis.collections[0].get_offsets()) for axis in figure.axes]
    np.testing.assert_allclose(drawn[0], square[:40])
    np.testing.assert_allclose(drawn[1], square[:40])
    assert np.abs(drawn[3] - square[:40]).max() > 0.1
    np.testing.assert_allclose(np.linalg.norm(drawn[3], axis=1), np.linalg.norm(drawn[0], axis=1))

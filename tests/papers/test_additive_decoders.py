"""Tables and figures of additive decoders: their runs, and what the pictures show of models."""

import functools
import math
import types

import gin
import keras
import numpy as np
import pytest
import tensorflow as tf
import toy_tables
from PIL import Image

import zoo.configurables  # noqa: F401  registers what gin files name
from zoo import config, data
from zoo.papers import tasks
from zoo.papers.additive_decoders import pictures, tables
from zoo.papers.kept import Result
from zoo.papers.spec import BUDGETS, CPU, PAPER, Row
from zoo.training.settings import Settings

FIGURES = [table for table in tables.TABLES if table.figure]
# Of balls, with scores.
TABLES = {
    table.name.split("/")[1]: table
    for table in tables.TABLES
    if not table.figure and not table.name.endswith(("nonlinearity", "pairs", "clevr6"))
}
MAIN = [(name, row.name) for name in TABLES for row in TABLES[name].rows if not row.note]
# Row of untrained weights -> the row that trains them.
UNTRAINED = {"untrained": "additive", "untrained_moments": "additive_moments"}
INSIDE, OUTSIDE, TRAVERSAL = (
    f"zoo_balls/{name}[test]" for name in ("l_shape", "extrapolation", "traversal_y")
)


@pytest.fixture(autouse=True)
def _clean():
    yield
    gin.clear_config()


def _settings(run, budget: str) -> Settings:
    gin.clear_config()
    gin_file, bindings = run.config(budget, 0)
    config.parse([gin_file], bindings)
    return Settings()


def _bound(parameter: str, default):
    try:
        return gin.query_parameter(f"AdditiveAutoencoder.{parameter}")
    except ValueError:
        return default


ROWS = [(name, row.name) for name, table in TABLES.items() for row in table.rows]


@pytest.mark.parametrize("budget", BUDGETS)
@pytest.mark.parametrize("table, row", ROWS)
def test_runs_are_what_their_rows_say(table, row, budget):
    run = TABLES[table].row(row).run
    settings = _settings(run, budget)
    blocks = gin.query_parameter("AdditiveAutoencoder.blocks")
    latents = gin.query_parameter("AdditiveAutoencoder.latent_dim")
    assert latents == (4 if table in ("table_1_blocks", "occlusion") else 2)
    assert bool(_bound("masked", False)) == row.endswith("/masked")
    assert (_bound("sigma", "identity") == "exp") == row.endswith("_exp")
    assert len(blocks) == (1 if "nonadditive" in row or row == "penalised" else 2)
    support = row.split("/")[0] if "/" in row else "l_shape"
    expected = "dependent_linear" if support == "dependent" else support
    for dataset, split in ((settings.dataset, "train"), (settings.test_dataset, "test")):
        name, _, part = dataset.partition("[")
        assert name == f"zoo_balls/{expected}" and part.startswith(split)
    for evaluation in run.evaluations:
        inside = evaluation.name == "in_support"
        assert evaluation.dataset == f"zoo_balls/{expected if inside else 'extrapolation'}[test]"
    best = settings.score_options.get("lms_tree", {}).get("best_partition", False)
    assert best == (table == "table_1_blocks" and len(blocks) == 1)


def test_rows_of_pairs_are_what_they_say():
    (table,) = (table for table in tables.TABLES if "pairs" in table.name)
    for row in table.rows:
        kind, decoder = row.name.split("/")
        settings = _settings(row.run, CPU)
        assert settings.dataset == f"zoo_sprite_pairs/{kind}_l[train]"
        assert settings.test_dataset == f"zoo_sprite_pairs/{kind}_l[test]"
        assert row.run.evaluations[0].dataset == f"zoo_sprite_pairs/{kind}_corner[test]"
        blocks = gin.query_parameter("AdditiveAutoencoder.blocks")
        assert sorted(sum(blocks, [])) == [*range(6)]
        assert len(blocks) == (1 if decoder == "nonadditive" else 2)
        assert bool(_bound("masked", False)) == (decoder == "masked")


def test_rows_of_clevr6_are_what_they_say():
    (table,) = (table for table in tables.TABLES if "clevr6" in table.name)
    for row in table.rows:
        settings = _settings(row.run, PAPER)
        assert settings.dataset == "zoo_clevr6/official[train]"
        assert settings.validation_dataset == "zoo_clevr6/official[validation]"
        assert settings.test_dataset == "zoo_clevr6/official[test]"
        blocks = gin.query_parameter("AdditiveAutoencoder.blocks")
        assert sum(blocks, []) == [*range(gin.query_parameter("AdditiveAutoencoder.latent_dim"))]
        assert len(blocks) == (1 if row.name == "nonadditive" else 7)
        assert bool(_bound("masked", False)) == (row.name == "masked")
        assert row.run.budget(CPU).seeds == 0


def test_rows_of_a_table_differ_by_the_decoder_alone():
    for table in TABLES.values():
        for budget in BUDGETS:
            found = {}
            for row in table.rows:
                settings = _settings(row.run, budget)
                steps = None if row.name in UNTRAINED else settings.steps
                found.setdefault((settings.dataset, steps is None), []).append(
                    (steps, settings.batch_size, settings.precision, settings.test_dataset)
                )
            assert all(len(set(settings)) == 1 for settings in found.values())


@pytest.mark.parametrize("table, row", [(t, r) for t, r in MAIN if t != "diagonal_hessian"])
def test_rows_are_selected_by_the_validation_loss_of_every_epoch(table, row):
    """As in the authors' code, on a fourth as many images as they are trained on."""
    job = _settings(TABLES[table].row(row).run, PAPER)
    trained, validated = data.load(job.dataset), data.load(job.validation_dataset)
    assert job.select == "loss" and len(trained) == 4 * len(validated)
    assert job.dataset.partition("[")[0] == job.validation_dataset.partition("[")[0]
    assert job.select_every == math.ceil(len(trained) / job.batch_size)
    assert job.steps % job.select_every == 0


def _curvature(model) -> float:
    """How far features of an image between two are from between theirs; 0 of a linear encoder."""
    first, second = np.random.default_rng(0).uniform(size=(2, 16, 64, 64, 3)).astype(np.float32)
    features = [
        model.encoder(model._normalized(images)).numpy()
        for images in (first, (first + second) / 2, second)
    ]
    bend = features[1] - (features[0] + features[2]) / 2
    return np.abs(bend).max() / np.abs(features[0] - features[2]).max()


@pytest.mark.parametrize("table, row", MAIN)
def test_rows_that_orders_are_tested_on_find_the_balls_without_help(table, row):
    """No noise, which favours aligned latents, and no encoder that leaves a matrix to be found."""
    model = _settings(TABLES[table].row(row).run, CPU).model((64, 64, 3))
    assert not callable(model.code_noise) and model.code_noise == 0
    assert _curvature(model) > 0.01


def test_rows_of_widths_differ_in_what_their_decoders_can_do():
    for budget in BUDGETS:
        sizes = []
        for row in ("additive_narrow", "additive", "additive_wide"):
            _settings(TABLES["table_1"].row(row).run, budget)
            sizes.append(gin.query_parameter("object_decoder.units"))
        assert sizes == sorted(sizes) and len(set(map(len, sizes))) == 1
        assert sizes[0] != sizes[1] != sizes[2]


def test_an_encoder_of_moments_is_seen_to_be_linear():
    run = TABLES["table_1"].row("additive_moments").run
    assert _curvature(_settings(run, CPU).model((64, 64, 3))) < 1e-4


@pytest.mark.parametrize("kind", ["additive", "nonadditive"])
@pytest.mark.parametrize("budget", BUDGETS)
def test_the_noise_of_its_rows_is_gone_before_the_training_ends(budget, kind):
    settings = _settings(TABLES["table_1"].row(f"{kind}_noise").run, budget)
    bound = gin.query_parameter("AdditiveAutoencoder.code_noise")
    assert repr(bound) == "@code_noise/linear_ramp()"
    noise = bound.scoped_configurable_fn()
    shares = [float(noise(tf.constant(int(part * settings.steps)))) for part in (0, 0.3, 0.45, 0.6)]
    np.testing.assert_allclose(shares, [0.7, 0.7, 0.35, 0], atol=1e-6)


@pytest.mark.parametrize("untrained, trained", UNTRAINED.items())
def test_untrained_rows_score_the_weights_that_their_trained_rows_begin_with(untrained, trained):
    moved = {}
    for name in (untrained, trained):
        settings = _settings(TABLES["table_1"].row(name).run, CPU)
        keras.utils.set_random_seed(settings.seed)
        model = settings.model((64, 64, 3))
        model.bind(settings.optimizer())
        before = [weight.numpy() for weight in model.trainable_weights]
        batch = {"image": tf.random.stateless_uniform([4, 64, 64, 3], [0, 1])}
        model.update(batch, tf.constant([0, 0]), tf.constant(0), 1)
        after = [weight.numpy() for weight in model.trainable_weights]
        moved[name] = before, max(np.abs(a - b).max() for a, b in zip(after, before, strict=True))
        assert (settings.steps == 1) == (name == untrained)
    for first, second in zip(*(before for before, _ in moved.values()), strict=True):
        np.testing.assert_array_equal(first, second)
    assert moved[untrained][1] == 0 < moved[trained][1]


def test_orders_are_of_main_rows_and_all_others_say_what_they_are():
    table = TABLES["table_1"]
    main = {"additive", "nonadditive"}
    assert {row for claim in table.claims for row in claim.rows} == main
    assert all(bool(row.note) == (row.name not in main) for row in table.rows)


def test_budgets_are_small_and_have_five_seeds_and_fourteen_of_the_rows_of_the_headlines():
    claimed = {"additive_decoders/l_shape_additive", "additive_decoders/l_shape_nonadditive"}
    for table in TABLES.values():
        for row in table.rows:
            assert row.run.budget(CPU).seeds == (14 if row.run.name in claimed else 5)
            assert _settings(row.run, CPU).steps <= 20_000
    assert _settings(TABLES["table_1"].row("additive").run, "paper").steps == 1_878_000


def _latents(count: int = 4000) -> np.ndarray:
    """The L: not both above a half."""
    drawn = np.random.default_rng(0).uniform(0.1, 0.9, (count, 2))
    return drawn[(drawn <= 0.5).any(axis=1)]


def test_the_grid_follows_the_balls_whatever_the_order_and_sign_of_the_codes():
    latents = _latents()
    # Ball 1 is in code 1, downwards; ball 2 in code 0, bent.
    codes = np.stack([latents[:, 1] ** 3, 2 - 3 * latents[:, 0]], axis=1)
    grid, heights = pictures.aligned_grid(codes, latents)
    right, up = grid[3, :, 1], grid[::-1, 3, 0]
    np.testing.assert_allclose(right, np.linspace(codes[:, 1].max(), codes[:, 1].min(), 7))
    np.testing.assert_allclose(up, np.linspace(codes[:, 0].min(), codes[:, 0].max(), 7))
    assert np.ptp(grid[..., 1], axis=0).max() == 0 and np.ptp(grid[..., 0], axis=1).max() == 0
    assert (np.diff(heights[..., 0], axis=1) > 0).all()
    assert (np.diff(heights[..., 1], axis=0) < 0).all()
    np.testing.assert_allclose(heights[0, :, 0], (2 - grid[0, :, 1]) / 3, atol=0.02)
    np.testing.assert_allclose(heights[:, 0, 1], np.cbrt(grid[:, 0, 0]), atol=0.02)


def test_the_corner_that_the_l_lacks_is_not_reached():
    latents = _latents()
    grid, heights = pictures.aligned_grid(latents, latents)
    reached = pictures.reached(grid, latents)
    # The cell of a height in the middle of the range reaches down into the L.
    beyond = (heights > 0.6).all(axis=-1)
    np.testing.assert_array_equal(reached, ~beyond)
    assert beyond.sum() == 9 and beyond[:3, -3:].all()


def test_responses_are_those_with_the_other_ball_in_the_middle():
    heights = np.linspace(0.1, 0.9, 9)
    latents = np.stack(np.meshgrid(heights, heights), -1).reshape(-1, 2)
    shuffled = np.random.default_rng(0).permutation(latents)
    codes = np.stack([shuffled[:, 0] * shuffled[:, 1], -shuffled[:, 1]], axis=1)
    x, y = pictures.response(codes, shuffled, 0)
    np.testing.assert_allclose(x, heights)
    np.testing.assert_allclose(y, np.stack([heights / 2, np.full(9, -0.5)], axis=1))
    x, y = pictures.response(codes, shuffled, 1)
    np.testing.assert_allclose(y, np.stack([heights / 2, -heights], axis=1))


def test_parts_are_spread_image_by_image():
    parts = np.random.default_rng(0).normal(size=(3, 4, 4, 1)) * [[[[5.0]]], [[[0.1]]], [[[0.0]]]]
    found = pictures.spread(parts)
    np.testing.assert_array_equal(found.min((1, 2, 3)), 0)
    np.testing.assert_array_equal(found.max((1, 2, 3)), [1, 1, 0])


def test_frames_leave_the_rest_of_an_image():
    cells = np.random.default_rng(0).integers(0, 200, (2, 2, 8, 8, 3)).astype(np.uint8)
    which = np.array([[True, False], [False, False]])
    found = pictures.framed(cells, which)
    np.testing.assert_array_equal(found[~which], cells[~which])
    np.testing.assert_array_equal(found[0, 0, 2:-2, 2:-2], cells[0, 0, 2:-2, 2:-2])
    assert (found[0, 0, :2] == pictures.FRAME).all()


class Balls:
    """Reads the heights of the balls in images, and paints them by the renderer: additive."""

    def __init__(self):
        self.model = types.SimpleNamespace(block_images=self.block_images)

    def encode(self, images):
        """Heights in the unit square by the rows that each half of the image has paint in."""
        images = np.asarray(images, np.float64)
        images = images if images.max() > 1 else 255 * images
        rows = np.arange(64)[::-1] / 64
        halves = [255 * 3 - images[:, :, h].sum(axis=-1) for h in (slice(32), slice(32, 64))]
        weights = [half.sum(axis=2) for half in halves]
        return np.stack([(w * rows).sum(1) / w.sum(1) for w in weights], 1).astype(np.float32)

    def block_images(self, codes):
        """A half of the image each."""
        across, up = np.arange(64) / 64, np.arange(64)[::-1] / 64
        parts = np.zeros((len(codes), 2, 64, 64, 3))
        for ball, x in enumerate((0.25, 0.75)):
            squares = (up - np.asarray(codes)[:, ball, None]) ** 2
            part = squares[:, :, None] + (across - x) ** 2 < 0.16**2
            parts[:, ball] = 0.5 - part[..., None] * [[0.9, 0.4, 0.4], [0.1, 0.6, 0.6]][ball]
        return parts

    def decode(self, codes):
        """The sum of the blocks."""
        return self.block_images(codes).sum(axis=1)


@pytest.fixture
def runs(monkeypatch, tmp_path, finish):
    """A finished run whose model knows the balls."""
    task = tasks.Task(toy_tables.SHARED, 0, "paper", tmp_path)
    finish(task)
    monkeypatch.setattr(pictures, "CODED", 2500)
    monkeypatch.setattr(pictures.pictures, "opened", lambda folder: (Balls(), data.load(INSIDE)))
    result = Result(Row("row", toy_tables.SHARED), "paper", {}, None, [0], [task.folder])
    return {"row": [result], "none": []}


def test_beyond_the_support_an_additive_model_shows_the_true_images(runs, monkeypatch):
    shown = []
    monkeypatch.setattr(
        pictures.sheets,
        "sheet",
        lambda cells, *_: shown.append(cells) or np.zeros((64, 64, 3), np.uint8),
    )
    drawn = pictures.extrapolation(runs, (), beyond=OUTSIDE)
    assert [axis.get_title() for axis in drawn.axes] == ["row, seed 0: decoded", "true images"]
    decoded, true = (cells[:, :, 2:-2, 2:-2].astype(float) for cells in shown)
    # Edges of the discs differ by pixels; a missing ball would be a mean of 15 and more.
    assert np.abs(decoded - true).mean(axis=(2, 3, 4)).max() < 6
    orange = (shown[0][:, :, 0, 0] == pictures.FRAME).all(axis=-1)
    assert orange[:3, -3:].all() and not orange[:, 0].any() and not orange[-1].any()
    np.testing.assert_array_equal(orange, (shown[1][:, :, 0, 0] == pictures.FRAME).all(axis=-1))


@pytest.mark.parametrize("table", FIGURES, ids=lambda table: table.name)
def test_figures_are_drawn(table, runs, tmp_path):
    table.figure(runs, ()).savefig(tmp_path / "figure.png")
    with Image.open(tmp_path / "figure.png") as image:
        assert min(image.size) > 150 and len(set(image.convert("L").tobytes())) > 50


def test_block_renderings_pass_over_a_single_block(runs, monkeypatch):
    one = Balls()
    one.model.block_images = lambda codes: one.decode(codes)[:, None]
    made = []
    monkeypatch.setattr(pictures.pictures, "opened", lambda folder: (one, data.load(INSIDE)))
    monkeypatch.setattr(pictures.pictures, "page", made.append)
    functools.partial(pictures.block_renderings, beyond=OUTSIDE)(runs, ())
    assert made == [[]]

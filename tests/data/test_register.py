"""A user's own data set: registered, loaded by name, sampled, scored, taken by a DataLoader."""

import numpy as np
import pytest
import tensorflow as tf

from zoo import data, evaluation
from zoo.data import Factor, FactorSpace, catalog, preview, ranking, sampling
from zoo.errors import SettingError

SPACE = FactorSpace((Factor("row", (0.0, 0.5)), Factor("column", (1.0, 2.0, 3.0))))
ROWS = np.array([[r, c] for r in range(2) for c in range(3)])
IMAGES = np.zeros((6, 2, 3, 1), np.uint8)
IMAGES[np.arange(6), ROWS[:, 0], ROWS[:, 1]] = 200
ORDER = np.array([4, 0, 5, 2, 1, 3])


@pytest.fixture(autouse=True)
def _forget(monkeypatch):
    monkeypatch.setattr(catalog, "_OWN", {})


def test_images_in_the_order_of_a_space():
    data.register("mine", IMAGES, space=SPACE)
    dataset = data.load("mine")
    assert "mine" in data.names() and dataset.space is SPACE and len(dataset) == 6
    np.testing.assert_array_equal(dataset.images[2:4], IMAGES[2:4])
    part = data.load("mine[train]")
    assert part.name == "mine[train]" and part.whole is dataset and len(part) == 6


@pytest.mark.parametrize("space", [SPACE, None])
def test_images_whose_factors_fill_a_grid_are_numbered_by_it(space):
    number = np.arange(6)[:, None] * 1.5
    data.register(
        "lab/mine", IMAGES[ORDER], ROWS[ORDER], space, latents=number, extras={"n": ORDER}
    )
    dataset = data.load("lab/mine")
    assert dataset.space.is_grid and dataset.space.sizes == (2, 3)
    np.testing.assert_array_equal(dataset.images[np.arange(6)], IMAGES)
    np.testing.assert_array_equal(dataset.extras["n"], np.arange(6))
    np.testing.assert_array_equal(dataset.latents[:, 0], np.argsort(ORDER) * 1.5)
    pairs = sampling.UniformPairs(dataset, 8)(sampling.tensors(dataset), 0, 0)
    first, second = (dataset.space.factors(pairs[k].numpy()) for k in ("index", "partner_index"))
    assert ((first != second).sum(1) == 1).all()


def test_factors_by_name_words_are_categories():
    shapes, sizes = np.array(["square", "disc"] * 10), np.repeat([0.5, 2.0, 1.0, 4.0], 5)
    data.register("mine", np.zeros((20, 4, 4, 3), np.uint8), {"shape": shapes, "size": sizes})
    space = data.load("mine").space
    assert space.axes == (
        Factor("shape", (0.0, 1.0), categorical=True),
        Factor("size", (0.5, 1.0, 2.0, 4.0)),
    )
    assert not space.is_grid  # Twenty images of eight combinations.
    values = space.values(space.factors([0, 5, 19]))
    np.testing.assert_array_equal(values, [[1, 0.5], [0, 2], [0, 4]])


@pytest.mark.parametrize("dtype", [object, "T", "S"])
def test_words_of_any_type(dtype):
    if dtype == "T" and np.__version__ < "2":
        pytest.skip("NumPy 2 has strings of any length")
    words = ["square", "disc"] * 10
    data.register("mine", np.zeros((20, 4, 4, 3), np.uint8), {"shape": np.array(words, dtype)})
    space = data.load("mine").space
    assert space.axes == (Factor("shape", (0.0, 1.0), categorical=True),)
    np.testing.assert_array_equal(space.factors(np.arange(20))[:, 0], [1, 0] * 10)


def test_listed_factors_are_scored_and_cannot_be_set():
    rng = np.random.default_rng(0)
    rows = rng.integers((3, 4), size=(300, 2))
    images = np.zeros((300, 3, 4, 1), np.uint8)
    images[np.arange(300), rows[:, 0], rows[:, 1]] = 255
    data.register("mine", images, rows)
    dataset = data.load("mine")
    grid = tf.constant(np.indices((3, 4)).reshape(2, 12).T, tf.float32)

    def perfect(batch):
        return tf.reshape(batch, [-1, 12]) @ grid

    table = evaluation.evaluate(perfect, dataset, "mig,factor_vae_score")
    assert table["mig"]["score"] > 0.98  # Of independent draws, no grid.
    assert "300 images do not fill the grid of 12 factor" in table["factor_vae_score"]["reason"]
    for sampler in (sampling.LaplacePairs, sampling.MatchedPairs, ranking.RankedPairs):
        with pytest.raises(SettingError, match="grid"):
            sampler(dataset, 4)
    batch = sampling.Independent(dataset, 4)(sampling.tensors(dataset), 0, 0)
    assert batch["image"].shape == (4, 3, 4, 1) and float(tf.reduce_max(batch["image"])) == 1.0
    assert preview.rows(dataset)


@pytest.mark.parametrize("factors", [19, 20, 64])
def test_factors_whose_grid_is_larger_than_any_integer_are_listed(factors):
    rows = np.random.default_rng(0).integers(0, 10, (30, factors))
    rows[:2] = [[0], [9]]
    data.register("mine", np.zeros((30, 4, 4, 1), np.uint8), rows)
    dataset = data.load("mine")
    assert not dataset.space.is_grid and len(dataset.space) == 30
    np.testing.assert_array_equal(dataset[3:5]["factors"], rows[3:5])
    with pytest.raises(SettingError, match=f"30 images do not fill the grid of 1{factors * '0'} "):
        dataset.space.index(rows)
    # The same with the factors' values, which are no grid in the order of its images either.
    data.register("named", np.zeros((30, 4, 4, 1), np.uint8), rows, FactorSpace(dataset.space.axes))
    assert not data.load("named").space.is_grid
    with pytest.raises(SettingError, match=f"space has 1{factors * '0'} combinations and there"):
        data.register("other", IMAGES, space=FactorSpace(dataset.space.axes))
    with pytest.raises(SettingError, match="too many combinations to be numbered"):
        FactorSpace(dataset.space.axes).index(rows)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint64])
def test_indices_of_any_integers(dtype):
    largest = min(np.iinfo(dtype).max, 300)
    rows = np.arange(largest + 1).astype(dtype)[:, None]
    images = np.zeros((len(rows), 4, 4, 1), np.uint8)
    images[:, 0, 0, 0] = np.arange(len(rows)) % 256
    data.register("mine", images[::-1], rows[::-1])
    dataset = data.load("mine")
    assert dataset.space.is_grid and dataset.space.sizes == (len(rows),)
    np.testing.assert_array_equal(dataset.images[:], images)
    mixed = {"row": ROWS[:, 0].astype(dtype), "column": ROWS[:, 1]}
    data.register("mixed", IMAGES, mixed, SPACE)
    assert data.load("mixed").space is SPACE
    numbers = SPACE.index(ROWS.astype(dtype))
    assert numbers.dtype == np.int64 and numbers.tolist() == [*range(6)]
    with pytest.raises(ValueError, match="factors are float64; give integers"):
        SPACE.index(ROWS / 2)


def test_a_function_is_called_when_the_data_is_loaded_and_once():
    calls = []

    def images():
        calls.append(1)
        return np.ones((4, 2, 2, 1), bool)

    data.register("mine", images)
    assert not calls
    dataset = data.load("mine")
    assert dataset is data.load("mine") and len(calls) == 1
    assert dataset.images.maximum == 1 and dataset.images.dtype == np.uint8


def test_vectors():
    values = np.random.default_rng(0).normal(size=(7, 3))
    data.register("mine", values, latents=values[:, :2])
    dataset = data.load("mine")
    np.testing.assert_array_equal(dataset.images[:], values.astype(np.float32))
    assert dataset.space is None and dataset.latents.shape == (7, 2)


def test_entries_and_a_loader():
    masks = np.arange(6 * 4).reshape(6, 2, 2)
    data.register("mine", IMAGES, space=SPACE, latents=ROWS / 2, extras={"masks": masks})
    dataset = data.load("mine[train[2:]]")
    entry, places = dataset[-1], dataset[[0, 2]]
    assert set(entry) == {"image", "index", "factors", "latents", "masks"}
    np.testing.assert_array_equal(entry["image"], IMAGES[dataset.ids[-1]])
    np.testing.assert_array_equal(entry["factors"], ROWS[dataset.ids[-1]])
    np.testing.assert_array_equal(places["masks"], masks[dataset.ids[[0, 2]]])
    assert len(list(dataset)) == len(dataset) == 4 and dataset[1:3]["latents"].shape == (2, 2)
    with pytest.raises(IndexError):
        dataset[4]
    entry["image"][:] = 0  # A copy: the data set stays as it is.
    np.testing.assert_array_equal(dataset.whole.images[:], IMAGES)


def test_pytorch_takes_it():
    torch = pytest.importorskip("torch")
    data.register("mine", IMAGES, space=SPACE)
    loader = torch.utils.data.DataLoader(data.load("mine"), batch_size=4)
    first, second = loader
    assert first["image"].dtype == torch.uint8 and second["factors"].tolist() == [[1, 1], [1, 2]]


def test_pytorch_shuffles_a_part_of_a_shipped_one():
    torch = pytest.importorskip("torch")
    dataset = data.load("zoo_synthetic/linear[train[:64]]")
    seeds = torch.Generator().manual_seed(0)
    loader = torch.utils.data.DataLoader(dataset, batch_size=16, shuffle=True, generator=seeds)
    batches = list(loader)
    ids = torch.cat([batch["index"] for batch in batches])
    assert ids.tolist() != sorted(ids.tolist()) and set(ids.tolist()) == set(dataset.ids.tolist())
    for name, values in (("image", dataset.images[:]), ("latents", dataset.latents)):
        found = torch.cat([batch[name] for batch in batches])
        assert found.dtype == torch.float32
        np.testing.assert_array_equal(found[ids.argsort()], values)


def test_it_is_described_in_a_few_lines():
    data.register("mine", IMAGES, space=SPACE, extras={"masks": np.zeros((6, 2, 2), np.uint8)})
    assert repr(data.load("mine[train[:4]]")) == (
        "Dataset 'mine[train[:4]]': 4 observations 2 x 3 x 1 uint8, part of 6\n"
        "  factors: row (2), column (3); a grid\n"
        "  masks: 4 x 2 x 2 uint8"
    )
    assert len(repr(data.load("zoo_synthetic/linear"))) < 400


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("zoo_dsprites/mine", IMAGES), "there is a data set named 'zoo_dsprites/mine'; choose an"),
        (("mnist", IMAGES), "there is a data set named 'mnist'"),
        (("taken", IMAGES), "there is a data set named 'taken'; .* or give replace=True"),
        (("a[b]", IMAGES), "is no name"),
        (("mine", IMAGES[..., 0]), r"shape \[6, 2, 3\]; .* images\[..., None\]"),
        (("mine", np.zeros((6, 3, 8, 8), np.uint8)), r"channels first; .*transpose\(0, 2, 3, 1\)"),
        (("mine", np.zeros((6, 1, 9, 9), bool)), r"bool of shape \[6, 1, 9, 9\], channels first"),
        (("mine", IMAGES / 255), r"float64 of shape .*; give uint8: \(255 \* images\)"),
        (("mine", IMAGES.astype(int)), r"int64 .*; give \[N, H, W, C\] uint8 or bool"),
        (("mine", np.array(["a"])), "give .N, H, W, C. uint8"),
        (("mine", np.full((3, 2), np.nan)), "images hold NaN or infinity in float32 at row 0"),
        (("mine", np.full((3, 2), 1e300)), "images hold NaN or infinity in float32 at row 0"),
        (("mine", IMAGES[:0]), "there is nothing in them"),
        (("mine", np.zeros((0, 3))), r"of shape \[0, 3\]: there is nothing in them"),
        (("mine", np.zeros((5, 0))), r"of shape \[5, 0\]: there is nothing in them"),
        (("mine", [IMAGES[0], IMAGES[1, 1:]]), "images cannot be made an array: .*inhomogeneous"),
        (("mine", IMAGES[:2], [[0, 1], [0]]), "factors cannot be made an array: "),
        (("mine", IMAGES[:2], {"x": [[0, 1], [0]]}), r"factors\['x'\] cannot be made an array: "),
        (("mine", IMAGES, ROWS[:5]), r"factors has the shape \[5, 2\] and there are 6 images"),
        (("mine", IMAGES, ROWS / 2), "give .N, F. integers from 0"),
        (("mine", IMAGES, -ROWS), "give .N, F. integers from 0"),
        (("mine", IMAGES, ROWS + 1, SPACE), "factors do not fit space: a factor index is outside"),
        (("mine", IMAGES, ROWS[:, :1], SPACE), "factors do not fit space"),
        (("mine", IMAGES, None, FactorSpace(SPACE.axes[:1])), "space has 2 combinations and"),
        (("mine", IMAGES, {"row": ROWS[:, 0]}, SPACE), "factors are row, and those of space row, "),
        (("mine", IMAGES, {"x": np.linspace(0, 1, 6)}), "another value at every image"),
        (("mine", IMAGES, {"x": [1, 1, np.nan, 2, 2, 1]}), r"factors\['x'\] holds NaN .* at row 2"),
        (
            ("mine", IMAGES, {"row": ROWS[:, 0], "column": ROWS}, SPACE),
            r"'column'\] is .*\[6, 2\]; with a space",
        ),
        (
            ("mine", IMAGES, {"x": ["a", "b", None, "a", 1, 2]}),
            r"'x'\] is object and has None at row 2; g",
        ),
        (
            ("mine", IMAGES, {"x": np.array(["a", b"a"] * 3, object)}),
            "object and has b'a' at row 1",
        ),
        (("mine", IMAGES, {"x": [1, 2]}), r"factors\['x'\] has the shape \[2\]"),
        (("mine", IMAGES, {}), "factors are empty"),
        (("mine", IMAGES, None, (2, 3)), r"space is \(2, 3\); give a zoo.data.FactorSpace"),
        (("mine", IMAGES, ROWS, {"row": 2}), "space is {'row': 2}; give"),
        (("mine", np.ma.masked_equal(IMAGES, 200)), "images are masked; leave these entries out"),
    ],
)
def test_bad_input(arguments, message):
    data.register("taken", IMAGES)
    with pytest.raises(SettingError, match=message) as caught:
        data.register(*arguments)
    assert "\n" not in str(caught.value)
    assert data.names()[-1] == "taken"
    data.register("taken", IMAGES[:3], replace=True)
    assert len(data.load("taken")) == 3


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ({"extras": ["x"]}, "extras are .'x'.; give a dict"),
        *[({"maximum": wrong}, "maximum is .*above 0") for wrong in (np.nan, np.inf, 0, -1, "1")],
        ({"images": IMAGES > 0, "maximum": 255}, "maximum is 255, and white is 1"),
    ],
)
def test_bad_extras_and_maximum(named, message):
    with pytest.raises(SettingError, match=message):
        data.register("mine", **{"images": IMAGES, **named})
    data.register("mine", IMAGES > 0, maximum=1)
    assert data.load("mine").images.maximum == 1


def test_what_is_registered_stays_as_it_was():
    images, latents, extra = IMAGES.copy(), np.ones((6, 2), np.float32), np.zeros(6)
    data.register("mine", images, latents=latents, extras={"more": extra})
    images[:], latents[:], extra[:] = 7, 7, 7
    dataset = data.load("mine")
    np.testing.assert_array_equal(dataset.images[:], IMAGES)
    assert (dataset.latents == 1).all() and not dataset.extras["more"].any()
    for kept in (dataset.images[:3], dataset.latents, dataset.extras["more"]):
        with pytest.raises(ValueError, match="read-only"):
            kept += 1


def test_a_read_only_array_is_not_copied():
    vectors = np.ones((6, 2), np.float32)
    vectors.flags.writeable = False
    data.register("mine", vectors)
    assert np.shares_memory(data.load("mine").images[:], vectors)


def test_factors_of_one_name_are_refused():
    with pytest.raises(SettingError, match="3 factors, and several are named 'row'"):
        FactorSpace((*SPACE.axes, Factor("row", (0.0, 1.0))))


def test_what_a_function_makes_is_checked_and_its_own_errors_stay():
    data.register("mine", lambda: IMAGES / 255)
    with pytest.raises(SettingError, match="the data set 'mine': images are float64"):
        data.load("mine")
    data.register("broken", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        data.load("broken")
    split = [["train"] * 6, [0, 0, 1, 2, 3, 3], [0, 0, 0, 0, 0, -1], [0.0] * 6, ROWS]
    bad = ({"masks": [1]}, *({"split": labels} for labels in split))
    extras = [{"extras": each} for each in bad]
    wrong = (np.zeros(6), np.zeros((6, 0)), [[0]] * 5 + [[]])
    latents = [{"latents": each} for each in wrong]
    for more in ({"maximum": 100}, {"extras": {"boxes": wrong[2]}}, *latents, *extras):
        with pytest.raises(SettingError, match="the data set 'other'"):
            data.register("other", IMAGES, **more)
    data.register("other", IMAGES, extras={"factors": ROWS, "latents": ROWS})
    known = {"latents": ROWS, "space": SPACE}
    for taken in ("image", "index", "factors", "latents"):
        with pytest.raises(SettingError, match=f"'{taken}'\\] would hide the {taken} of an"):
            data.register("another", IMAGES, extras={taken: ROWS}, **known)

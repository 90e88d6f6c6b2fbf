"""The suites: every score on a known model, each image once, reasons for what is missing."""

import functools
import pathlib
import types

import numpy as np
import pytest

from zoo import evaluation
from zoo.data.dataset import Dataset, DenseImages
from zoo.data.space import Factor, FactorSpace
from zoo.errors import UserError
from zoo.evaluation import facts
from zoo.evaluation.inputs import Inputs

SMALL = {"num_train": 600, "num_test": 300, "num_jacobian": 20, "batch_size": 64}
FEW_VOTES = {
    f"{name}_score": {"num_train": 200, "num_eval": 100} for name in ("factor_vae", "beta_vae")
}


def _dataset(sizes=(3, 4, 1, 5), **others):
    """Images of one row whose pixels are the factors, scaled to 0..255."""
    axes = tuple(
        Factor(f"factor {i}", tuple(float(v) for v in range(size)), categorical=i == 0)
        for i, size in enumerate(sizes)
    )
    space = FactorSpace(axes)
    factors = space.factors(np.arange(len(space)))
    pixels = factors * 255 // np.maximum(np.array(sizes) - 1, 1)
    images = pixels.astype(np.uint8)[:, None, :, None]
    return Dataset("toy", DenseImages(images), **({"space": space} | others))


class Counting:
    """The encoder that reads the factors off, and counts how often each image is asked for."""

    def __init__(self, matrix=None):
        self.matrix = np.diag([1.0, 1.0, 0.0, 1.0]) if matrix is None else matrix
        self.seen: dict[bytes, int] = {}

    def encode(self, images):
        assert images.dtype == np.float32 and images.min() >= 0 and images.max() <= 1
        # The last batch is filled up with its last image: count an image once a batch.
        for key in {image.tobytes() for image in images}:
            self.seen[key] = self.seen.get(key, 0) + 1
        return images.reshape(len(images), -1) @ self.matrix


class Autoencoder(Counting):
    """The same with a linear decoder whose Jacobian has orthogonal columns."""

    def decode(self, codes):
        import tensorflow as tf

        codes = tf.convert_to_tensor(codes)
        return (codes * [1.0, 2.0, 0.5, 3.0])[:, None, :, None]

    def posterior(self, images):
        means = self.encode(images)
        return types.SimpleNamespace(mean=lambda: means, variance=lambda: np.full_like(means, 0.01))


@pytest.fixture(scope="module")
def table():
    return evaluation.evaluate(Autoencoder(), _dataset(), "full", options=FEW_VOTES, **SMALL)


def test_a_disentangled_model_scores_high_everywhere(table):
    assert list(table) == list(facts.suites()["full"])
    assert {name: row["reason"] for name, row in table.items() if row["reason"]} == {}
    for name in ("mig", "dci", "factor_vae_score", "mcc", "lms_spearman", "irs"):
        assert table[name]["score"] > 0.95, name
    # One of the four codes is dead and counts 0.
    assert table["modularity"]["score"] == pytest.approx(0.75, abs=0.01)
    assert table["beta_vae_score"]["score"] > 0.9
    assert table["ima_contrast"]["score"] == pytest.approx(0, abs=1e-6)
    assert table["dto"]["score"] == pytest.approx(0, abs=1e-3)
    assert table["gaussian_total_correlation"]["score"] < 0.05
    assert table["polarized_regime"]["parts"]["kl"] > 0


def test_rows_hold_the_parts_and_the_times(table):
    for row in table.values():
        assert set(row) == {"score", "reason", "parts", "seconds", "encoding_seconds"}
        assert isinstance(row["score"], float) and np.isfinite(row["score"])
        assert row["seconds"] >= 0
    # The factor of one value is left out.
    assert table["mig"]["parts"]["per_factor"].shape == (3,)
    assert table["mig"]["encoding_seconds"] > 0


def test_the_reconstruction_error_is_that_of_the_decoder(table):
    dataset = _dataset()
    rows = np.random.default_rng(0).integers(len(dataset), size=900)[600:]
    images = dataset.images[rows] / 255
    again = images * np.array([1.0, 2.0, 0.0, 3.0])[:, None]
    expected = evaluation.reconstruction_rmse(images, again)["score"]
    assert table["reconstruction_rmse"]["score"] == pytest.approx(expected, abs=1e-6)


def test_each_image_is_encoded_once():
    model = Counting()
    evaluation.evaluate(model, _dataset(), "standard", options=FEW_VOTES, **SMALL)
    assert set(model.seen.values()) == {1}
    assert len(model.seen) <= 60


def test_the_encoder_always_sees_full_batches():
    lengths = set()

    def encode(images):
        lengths.add(len(images))
        return images.reshape(len(images), 4)

    evaluation.evaluate(encode, _dataset((7, 7, 7, 7)), "fast", **SMALL)
    assert lengths == {64}


def test_only_the_rows_that_are_needed_are_encoded():
    model = Counting()
    evaluation.evaluate(
        model, _dataset((10, 11, 9, 11)), ["mig"], num_train=100, num_test=50, batch_size=32
    )
    assert 80 < len(model.seen) <= 100


def test_scores_are_those_of_the_functions_on_the_same_rows():
    dataset, matrix = _dataset(), np.random.default_rng(1).normal(size=(4, 3))
    model = Counting(matrix)
    table = evaluation.evaluate(model, dataset, ["mig", "sap", "mcc"], seed=5, **SMALL)
    numbers = np.random.default_rng(5).integers(len(dataset), size=900)
    codes = (dataset.images[numbers].reshape(900, 4) / np.float32(255)) @ matrix
    factors = dataset.space.factors(numbers)[:, [0, 1, 3]]
    train, test = slice(0, 600), slice(600, 900)
    assert table["mig"]["score"] == pytest.approx(
        evaluation.mig(codes[train], factors[train])["score"], abs=1e-6
    )
    sap = evaluation.sap(codes[train], factors[train], codes[test], factors[test])["score"]
    assert table["sap"]["score"] == pytest.approx(sap, abs=1e-6)
    assert table["mcc"]["score"] == pytest.approx(
        evaluation.mcc(codes[train], factors[train])["score"], abs=1e-6
    )


def test_the_seed_decides():
    def score(seed):
        model = Counting(np.random.default_rng(1).normal(size=(4, 3)))
        return evaluation.evaluate(model, _dataset(), ["mig"], seed=seed, **SMALL)["mig"]["score"]

    assert score(0) == score(0) != score(1)


def test_a_plain_function_has_no_decoder_scores():
    table = evaluation.evaluate(
        Counting().encode, _dataset(), ["mig", "dto", "ima_contrast", "polarized_regime"], **SMALL
    )
    assert table["mig"]["score"] > 0.95
    assert table["dto"]["score"] is None and "no decoder" in table["dto"]["reason"]
    assert "no decoder" in table["ima_contrast"]["reason"]
    assert "no posterior" in table["polarized_regime"]["reason"]


def test_continuous_latents_without_a_factor_grid():
    rng = np.random.default_rng(0)
    latents = rng.random((200, 2)).astype(np.float32)
    images = DenseImages(latents[:, None, :, None], maximum=1.0)
    dataset = Dataset("balls", images, latents=latents)
    table = evaluation.evaluate(
        lambda x: -(x.reshape(len(x), 2) ** 3), dataset, "standard", **SMALL
    )
    assert table["lms_spearman"]["score"] == pytest.approx(1)
    assert 0.8 < table["mcc"]["score"] < 1
    assert len(table["mcc"]["parts"]["correlations"]) == 2
    for name in ("mig", "dci", "factor_vae_score"):
        assert "no factor space" in table[name]["reason"]
    assert table["average_mutual_information"]["reason"] is None


def test_images_alone_are_enough_for_unsupervised_scores():
    images = DenseImages(np.random.default_rng(0).integers(256, size=(50, 1, 3, 1), dtype=np.uint8))
    dataset = types.SimpleNamespace(images=images)
    table = evaluation.evaluate(lambda x: x.reshape(len(x), 3), dataset, "fast", **SMALL)
    assert table["gaussian_total_correlation"]["reason"] is None
    assert "neither latents" in table["mcc"]["reason"]


def test_collapsed_codes_are_scored_and_bad_ones_explained():
    collapsed = evaluation.evaluate(
        lambda x: np.zeros((len(x), 3)), _dataset(), "standard", options=FEW_VOTES, **SMALL
    )
    for name, row in collapsed.items():
        if name not in ("dto", "ima_contrast", "singular_values"):
            assert row["reason"] is None and np.isfinite(row["score"]), name
    bad = evaluation.evaluate(lambda x: np.full((len(x), 3), np.nan), _dataset(), "fast", **SMALL)
    assert all("not finite" in row["reason"] for row in bad.values())
    short = evaluation.evaluate(lambda x: np.ones((3, 2)), _dataset(), "fast", **SMALL)
    assert all("(3, 2)" in row["reason"] for row in short.values())


def test_slot_codes_are_flattened_for_scores_and_kept_for_the_decoder():
    class Slots(Counting):
        def encode(self, images):
            return super().encode(images).reshape(-1, 2, 2)

        def decode(self, slots):
            assert slots.shape[1:] == (2, 2)
            return np.asarray(slots).reshape(-1, 1, 4, 1)

    names = ["mig", "reconstruction_rmse"]
    table = evaluation.evaluate(Slots(np.eye(4)), _dataset(), names, **SMALL)
    assert table["mig"]["score"] > 0.95
    assert table["reconstruction_rmse"]["score"] == pytest.approx(0, abs=1e-6)


def test_every_suite_names_scores_that_exist():
    for names in facts.suites().values():
        assert set(names) <= set(facts.names()) <= set(evaluation.__all__)
        assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("metrics", "options", "message"),
    [
        ("everything", None, "everything"),
        (["mig", "migg"], None, "migg"),
        ("fast", {"dci": {}}, "dci"),
        ("mig", {"mig": {"bins": 3}}, "the options of mig: got an unexpected keyword.*bins"),
        ("lms_tree", None, "the options of lms_tree: missing.*blocks"),
        ("pca_alignment", None, "needs weights and data, which a model and a data set alone"),
    ],
)
def test_unknown_names_are_errors(metrics, options, message):
    with pytest.raises(ValueError, match=message):
        evaluation.evaluate(Counting(), _dataset(), metrics, options=options)


def test_an_autoencoder_is_no_encoder():
    table = evaluation.evaluate(lambda images: images * 0.5, _dataset(), "mig,dto", **SMALL)
    reason = (
        "the model returns images, of shape [1, 4, 1], where codes are wanted: pass its encoder"
    )
    assert table["mig"]["reason"].startswith(reason)
    # Slots may have the shape of images without channels.
    slots = evaluation.evaluate(lambda images: images[..., 0], _dataset(), "mig", **SMALL)
    assert slots["mig"]["score"] > 0.95


@pytest.mark.parametrize(
    ("model", "dataset", "message"),
    [
        (
            "beta_vae/dsprites",
            None,
            r"the model is 'beta_.*load it, zoo.load\('beta_vae/dsprites'\)",
        ),
        (pathlib.Path("run"), None, r"load it, zoo.load\('run'\)"),
        (
            None,
            "her/squares",
            r"data set is 'her/squares': load it, zoo.data.load\('her/squares'\)",
        ),
        (
            None,
            (np.zeros((3, 2, 2, 1)), np.zeros((3, 1))),
            "a tuple, .*register .*zoo.data.register",
        ),
    ],
)
def test_what_is_to_be_loaded_first_is_said(model, dataset, message):
    given = model or Counting(), dataset or _dataset()
    with pytest.raises(evaluation.InputError, match=message) as error:
        evaluation.evaluate(*given, "fast", **SMALL)
    assert "\n" not in str(error.value)
    row = evaluation.evaluate({"encoder": abs}, _dataset(), "mig", **SMALL)["mig"]
    assert row["reason"].startswith("the model has no codes: it is a dict; pass its encoder")


@pytest.mark.parametrize("posterior", [lambda x: (x, x), lambda x: {"mean": x}])
def test_a_posterior_is_a_distribution_or_its_moments_by_name(posterior):
    model = types.SimpleNamespace(encode=Counting().encode, posterior=posterior)
    row = evaluation.evaluate(model, _dataset(), "polarized_regime", **SMALL)["polarized_regime"]
    assert row["reason"].startswith("the model's posterior returns a ") and not row["parts"]
    assert row["reason"].endswith(": return a distribution or {'mean', 'stddev'}")


class Curved(Autoencoder):
    """One whose decoder bends."""

    def decode(self, codes):
        import tensorflow as tf

        return tf.tanh(super().decode(codes)) / 2 + tf.sin(codes[:, None, ::-1, None]) / 4


@pytest.mark.parametrize(
    "name",
    ["deterministic_elbo", "curvature_diagonality", "expansion_error", "reconstruction_split"],
)
def test_scores_of_a_posterior_are_those_of_the_first_test_images(name):
    model, dataset = Curved(), _dataset()
    row = evaluation.evaluate(model, dataset, name, seed=3, **SMALL)[name]
    images = dataset.images[np.random.default_rng(3).integers(60, size=900)[600:700]]
    images = (images / np.float32(255)).astype(np.float32)
    posterior = model.posterior(images)
    values = {"decoder": model.decode, "observations": images, "posterior_means": posterior.mean()}
    values["posterior_variances"] = posterior.variance()
    known = facts.of(name)
    needed = [values[need] for need in known.needs]
    expected = getattr(evaluation, name)(*needed, **dict.fromkeys(known.settings, 3))
    assert row["reason"] is None
    assert row["score"] == pytest.approx(expected["score"], rel=1e-5) != 0
    plain = types.SimpleNamespace(encode=model.encode, decode=model.decode)
    table = evaluation.evaluate(plain, dataset, name, **SMALL)
    assert table[name]["reason"] == "the model has no posterior distribution"


def test_a_full_covariance_splits_as_it_is():
    scale = np.tril(np.full((4, 4), 0.1))
    covariances = np.broadcast_to(scale @ scale.T, (100, 4, 4))
    model = Curved()

    def named(images):
        means = model.encode(images)
        tril = np.broadcast_to(scale, (len(means), 4, 4))
        return {"mean": means, "stddev": np.sqrt((tril**2).sum(2)), "scale_tril": tril}

    def distribution(images):
        found = named(images)
        operator = types.SimpleNamespace(to_dense=lambda: found["scale_tril"])
        moments = {"mean": lambda: found["mean"], "variance": lambda: found["stddev"] ** 2}
        return types.SimpleNamespace(scale=operator, **moments)

    for posterior in (named, distribution):
        model.posterior = posterior
        inputs = Inputs(model, _dataset(), 0, (600, 300, 20, 20), 64)
        np.testing.assert_allclose(inputs.posterior_variances, covariances, rtol=1e-6)


def test_a_defect_costs_one_row_and_shows_its_traceback(capsys):
    class Defective(Autoencoder):
        def decode(self, codes):
            raise KeyError("not there")

    names = ["mig", "dto", "singular_values", "reconstruction_rmse", "mcc"]
    table = evaluation.evaluate(Defective(), _dataset(), names, **SMALL)
    assert table["mig"]["score"] > 0.95 and table["mcc"]["score"] > 0.95
    errors = capsys.readouterr().err
    for name in ("dto", "singular_values", "reconstruction_rmse"):
        assert table[name]["score"] is None
        assert table[name]["reason"] == "KeyError: 'not there'"
        assert "Traceback" in table[name]["parts"]["traceback"]
    assert 'raise KeyError("not there")' in errors
    assert "traceback" not in table["mig"]["parts"]


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: np.ones(2) + np.ones(3), "ValueError: operands could not be broadcast"),
        (lambda: [].index(3), "ValueError: 3 is not in list"),
        (lambda: {}["dci"], "KeyError: 'dci'"),
        (lambda: 1 / 0, "ZeroDivisionError: division by zero"),
    ],
)
def test_a_score_of_ours_that_fails_is_a_defect_whatever_it_raises(
    make, reason, monkeypatch, capsys
):
    @functools.wraps(evaluation.mig)
    def mig(codes, factors):
        return {"score": make()}

    monkeypatch.setattr(evaluation, "mig", mig)
    table = evaluation.evaluate(Counting(), _dataset(), ["mig", "mcc"], **SMALL)
    assert table["mig"]["score"] is None and table["mig"]["reason"].startswith(reason)
    assert "in mig" in table["mig"]["parts"]["traceback"] and table["mcc"]["score"] > 0.95
    assert capsys.readouterr().err == table["mig"]["parts"]["traceback"]


@pytest.mark.parametrize("what", ["chance", "interval"])
def test_a_chance_level_or_an_interval_that_fails_leaves_the_score(what, monkeypatch, capsys):
    calls = []

    @functools.wraps(evaluation.mig)
    def mig(codes, factors):
        calls.append(len(calls))
        if len(calls) > 1:
            raise IndexError("no such bin")
        return {"score": 0.5, "gaps": 1}

    monkeypatch.setattr(evaluation, "mig", mig)
    how = {"chance": True} if what == "chance" else {"bootstrap": 10}
    row = evaluation.evaluate(Counting(), _dataset(), "mig", **how, **SMALL)["mig"]
    assert row["score"] == 0.5 and row["reason"] is None and row[what] is None
    assert row[f"{what}_reason"] == "IndexError: no such bin"
    assert row["parts"]["gaps"] == 1 and "in mig" in row["parts"]["traceback"]
    assert capsys.readouterr().err == row["parts"]["traceback"]


@pytest.mark.parametrize("error", [ValueError("no such axis"), TypeError("not a tensor")])
def test_a_decoder_that_fails_on_its_own_codes_is_a_defect(error):
    def fails(codes):
        raise error

    model = Autoencoder()
    model.decode = fails
    table = evaluation.evaluate(model, _dataset(), ["dto", "block_hessian"], **SMALL)
    for row in table.values():
        assert row["reason"] == f"{type(error).__name__}: {error}"
        assert "in fails" in row["parts"]["traceback"]


def test_errors_of_input_are_one_line_and_no_defect(capsys):
    class Refusing(Autoencoder):
        def decode(self, codes):
            raise UserError("decode: codes of shape (20, 4), wanted [B, 3]")

    for model, reason in ((Refusing(), "wanted [B, 3]"), (Counting(), "no decoder")):
        row = evaluation.evaluate(model, _dataset(), "dto", **SMALL)["dto"]
        assert row["score"] is None and row["parts"] == {} and reason in row["reason"]
    assert capsys.readouterr().err == ""


def test_a_jacobian_that_failed_is_not_computed_again():
    calls = []

    class Failing(Autoencoder):
        def decode(self, codes):
            calls.append(len(calls))
            raise RuntimeError("out of memory")

    names = ["dto", "ima_contrast", "singular_values"]
    evaluation.evaluate(Failing(), _dataset(), names[:1], **SMALL)
    once = len(calls)
    table = evaluation.evaluate(Failing(), _dataset(), names, **SMALL)
    assert len(calls) == 2 * once > 0
    assert len({row["parts"]["traceback"] for row in table.values()}) == 1
    assert {row["reason"] for row in table.values()} == {"RuntimeError: out of memory"}


def test_an_encoder_that_fails_is_shown_once(capsys):
    def encode(images):
        raise ZeroDivisionError

    table = evaluation.evaluate(encode, _dataset(), "fast", **SMALL)
    assert {row["reason"] for row in table.values()} == {"ZeroDivisionError"}
    assert capsys.readouterr().err.count("Traceback") <= len(table)


@pytest.mark.parametrize(
    ("decode", "reason"),
    [
        ("stop_gradient", "not connected"),
        ("nan", "not finite"),
        ("dead", "no live latent"),
        ("numpy", "ndarray, not a TensorFlow tensor"),
    ],
)
def test_broken_decoders_have_reasons_instead_of_the_best_scores(decode, reason):
    import tensorflow as tf

    decoders = {
        "stop_gradient": lambda z: tf.stop_gradient(z) * 2.0,
        "nan": lambda z: z * np.nan,
        "dead": lambda z: z * 0.0,
        "numpy": np.tanh,
    }
    model = Autoencoder()
    model.decode = decoders[decode]
    table = evaluation.evaluate(
        model, _dataset(), ["mig", "dto", "ima_contrast", "singular_values"], **SMALL
    )
    assert table["mig"]["score"] > 0.95
    for name in ("dto", "ima_contrast", "singular_values"):
        assert table[name]["score"] is None and reason in table[name]["reason"]
        assert "traceback" not in table[name]["parts"]


def test_ranks_of_jacobians_are_told_by_the_precision_of_the_decoder():
    import tensorflow as tf

    weights = np.random.default_rng(0).normal(size=(4, 12)).astype(np.float32) / 4
    weights[3] = weights[:3].sum(0)
    model = Autoencoder()
    model.decode = lambda z: tf.tanh(z @ tf.constant(weights))
    table = evaluation.evaluate(model, _dataset(), "singular_values,ima_contrast", **SMALL)
    assert (table["singular_values"]["parts"]["rank"] == 3).all()
    assert table["ima_contrast"]["parts"]["rank_deficient"].all()


def test_plain_arrays_are_images():
    dataset = _dataset()
    pixels = dataset.images[np.arange(len(dataset))]
    expected = evaluation.evaluate(Autoencoder(), dataset, "fast", **SMALL)["mig"]["score"]
    for images in (pixels, (pixels / 255).astype(np.float32)):
        plain = types.SimpleNamespace(images=images, space=dataset.space)
        names = ["mig", "reconstruction_rmse"]
        table = evaluation.evaluate(Autoencoder(), plain, names, **SMALL)
        assert table["mig"]["score"] == expected
        assert table["reconstruction_rmse"]["score"] > 0
    floats = types.SimpleNamespace(images=pixels.astype(np.float32), space=dataset.space)
    reason = evaluation.evaluate(Counting(), floats, ["mig"], **SMALL)["mig"]["reason"]
    assert "floats from 0 to 255" in reason


def test_vectors_are_not_clamped():
    latents = np.random.default_rng(0).normal(scale=3, size=(200, 2)).astype(np.float32)

    class Shift:
        encode = staticmethod(lambda x: x)
        decode = staticmethod(lambda z: z + 1)

    dataset = Dataset("vectors", DenseImages(latents, maximum=1.0), latents=latents)
    table = evaluation.evaluate(Shift(), dataset, ["reconstruction_rmse"], **SMALL)
    assert table["reconstruction_rmse"]["score"] == pytest.approx(1)


def test_latents_and_masks_of_another_length_are_named():
    images = DenseImages(np.zeros((50, 2, 2, 1), np.uint8))
    short = types.SimpleNamespace(images=images, latents=np.zeros((20, 2)))
    reason = evaluation.evaluate(lambda x: x[:, 0, :, 0], short, ["mcc"], **SMALL)["mcc"]["reason"]
    assert reason == "the data set has 20 latents but 50 images"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_train": 0}, "num_train is 0"),
        ({"num_test": -5}, "num_test is -5"),
        ({"num_jacobian": 2.5}, "num_jacobian is 2.5"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"seed": [0, 1, 0]}, r"seed is \[0, 1, 0\]: give one, or a list of different ones"),
        ({"bootstrap": 3}, "bootstrap is 3: it must be at least 10, or 0"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_arguments_out_of_range(arguments, message):
    with pytest.raises(ValueError, match=message):
        evaluation.evaluate(Counting(), _dataset(), "fast", **(SMALL | arguments))


def test_too_few_images_are_named():
    one = types.SimpleNamespace(images=DenseImages(np.zeros((1, 1, 3, 1), np.uint8)))
    table = evaluation.evaluate(lambda x: x.reshape(len(x), 3), one, "fast", **SMALL)
    assert all(row["score"] is None for row in table.values())
    assert "too few" in table["gaussian_total_correlation"]["reason"]
    none = types.SimpleNamespace(images=DenseImages(np.zeros((0, 1, 3, 1), np.uint8)))
    with pytest.raises(ValueError, match="no images"):
        evaluation.evaluate(lambda x: x.reshape(len(x), 3), none, "fast", **SMALL)


def test_a_single_score_by_name():
    assert list(evaluation.evaluate(Counting(), _dataset(), "mig", **SMALL)) == ["mig"]


def test_udr_compares_the_model_with_others():
    def noisy(seed, stddev):
        def encode(images):
            codes = images.reshape(len(images), -1) @ np.diag([1.0, 1.0, 0.0, 1.0])
            return codes + np.random.default_rng(seed).normal(0, 0.001, codes.shape)

        def posterior(images):
            means = encode(images)
            variances = np.broadcast_to(np.square(stddev), means.shape)
            return types.SimpleNamespace(mean=lambda: means, variance=lambda: variances)

        return types.SimpleNamespace(encode=encode, posterior=posterior)

    models = [noisy(seed, [0.1, 0.1, 1.0, 0.1]) for seed in range(3)]
    table = evaluation.evaluate(models[0], _dataset(), "udr", others=models[1:], **SMALL)
    assert table["udr"]["parts"]["pairwise"].shape == (3, 3)
    kl = [np.array([1.0, 1.0, 0.0, 1.0])] * 3
    rows = np.random.default_rng(0).integers(60, size=900)[:600]
    codes = [model.encode(_dataset().images[rows] / 255) for model in models]
    expected = evaluation.udr(codes, kl)["model_scores"][0]
    assert table["udr"]["score"] == pytest.approx(expected, abs=0.01)
    alone = evaluation.evaluate(models[0], _dataset(), "udr", **SMALL)
    assert "give the others" in alone["udr"]["reason"]


def test_udr_of_a_table_is_that_of_its_model():
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(4, 4)))[0]
    alike = [Counting(), Counting(np.diag([1.0, -1.0, 0.0, 1.0]))]
    models = [Counting(turn), *alike]

    def udr(first, *others, **how):
        return evaluation.evaluate(first, _dataset(), "udr", others=others, **SMALL, **how)["udr"]

    deviating, agreeing = udr(*models), udr(*models[::-1])
    assert deviating["score"] < agreeing["score"] - 0.2
    for row in (deviating, agreeing):
        assert row["score"] == row["parts"]["model_scores"][0]
    mean = udr(*models, options={"udr": {"scored_model": None}})
    assert mean["score"] == pytest.approx(deviating["parts"]["model_scores"].mean())
    arrays = {"codes_of_models": [m.encode(_dataset().images[np.arange(60)] / np.float32(255))
                                  for m in models]}  # fmt: skip
    row = evaluation.evaluate_arrays(arrays, "udr")["udr"]
    assert row["score"] == pytest.approx(row["parts"]["model_scores"].mean())


def test_fid_compares_with_draws_from_the_prior():
    class Generator(Autoencoder):
        def draw_prior(self, count, seed):
            return np.random.default_rng(seed).uniform(size=(count, 4)).astype(np.float32) / 3

    def features(images):
        return images.reshape(len(images), -1)

    options = {"fid": {"features": features}}
    table = evaluation.evaluate(Generator(), _dataset(), "fid", options=options, **SMALL)
    assert table["fid"]["reason"] is None and table["fid"]["score"] < 0.5
    drawn = Generator()
    exported = types.SimpleNamespace(
        encode=drawn.encode, sample=lambda n, seed: drawn.decode(drawn.draw_prior(n, seed))
    )
    again = evaluation.evaluate(exported, _dataset(), "fid", options=options, **SMALL)
    assert again["fid"]["score"] == pytest.approx(table["fid"]["score"])
    without = evaluation.evaluate(Autoencoder(), _dataset(), "fid", options=options, **SMALL)
    assert without["fid"]["reason"] == "the model has no prior to draw from"


def test_domains_of_the_data_set_are_those_of_the_scored_rows():
    dataset = _dataset(extras={"domain": np.arange(60) // 20})
    table = evaluation.evaluate(Counting(), dataset, "within_domain_mcc", **SMALL)
    # The first factor has one value per domain: it varies in none.
    assert "constant in every domain" in table["within_domain_mcc"]["reason"]
    dataset = _dataset(extras={"domain": np.arange(60) % 2})
    table = evaluation.evaluate(Counting(), dataset, "within_domain_mcc", **SMALL)
    assert table["within_domain_mcc"]["score"] == pytest.approx(1, abs=1e-4)
    missing = evaluation.evaluate(Counting(), _dataset(), "within_domain_mcc", **SMALL)
    assert missing["within_domain_mcc"]["reason"] == "the data set has no domains"

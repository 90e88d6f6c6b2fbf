"""Dead codes, types, ranges and sizes: what scores take, and what they refuse in one line."""

import types

import numpy as np
import pytest
import tensorflow as tf

from zoo import evaluation
from zoo.evaluation import arrays

RNG = np.random.default_rng(0)
FACTORS = RNG.integers(4, size=(600, 2))
CODES = FACTORS + 0.05 * RNG.normal(size=(600, 2))
SPLIT = (CODES[:400], FACTORS[:400], CODES[400:], FACTORS[400:])


def _dead(dtype, rows=600):
    """Two columns of 1 and its neighbours in a type."""
    one = np.ones((), dtype)
    near = np.stack([one, np.nextafter(one, one + one), np.nextafter(one, one - one)])
    return near[np.random.default_rng(1).integers(3, size=(rows, 2))]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_the_rounding_noise_of_a_dead_code_tells_nothing(dtype):
    noise = _dead(dtype)
    assert (np.ptp(noise, axis=0) > 0).all()
    exact = np.ones_like(noise)

    def codes(dead):
        return np.hstack([CODES, dead]).astype(dtype)

    def split(dead):
        values = codes(dead)
        return values[:400], FACTORS[:400], values[400:], FACTORS[400:]

    for score in (
        lambda dead: evaluation.modularity(codes(dead), FACTORS),
        lambda dead: evaluation.mig(codes(dead), FACTORS, estimator="knn"),
        lambda dead: evaluation.dci(*split(dead)),
        lambda dead: evaluation.sap(*split(dead)),
        lambda dead: evaluation.explicitness(*split(dead)),
        lambda dead: evaluation.disentanglement_score(codes(dead), FACTORS, False),
        lambda dead: evaluation.irs(codes(dead), FACTORS),
        lambda dead: evaluation.lms_spearman(codes(dead), FACTORS),
        lambda dead: evaluation.lms_tree(*split(dead), [[0], [1], [2], [3]], latent_blocks=2),
        lambda dead: evaluation.gaussian_total_correlation(codes(dead)),
        lambda dead: evaluation.average_mutual_information(codes(dead)),
        lambda dead: evaluation.udr([codes(dead), CODES], correlation="spearman"),
    ):
        assert score(noise)["score"] == score(exact)["score"]
    assert evaluation.modularity(codes(noise), FACTORS)["score"] < 0.5
    assert evaluation.lms_spearman(noise, FACTORS)["score"] == 0


def test_whole_numbers_do_not_vary_by_rounding_but_have_a_range():
    expected = evaluation.mig(CODES, FACTORS)["score"]
    for factors in (FACTORS + 4006381333931, FACTORS + 2.0**48):
        assert evaluation.mig(CODES, factors)["score"] == expected
    large = np.where(FACTORS[:, :1] > 1, 1e19, 2e19)
    for factors in (large, (large / 2).astype(np.uint64)):
        with pytest.raises(evaluation.InputError, match="column 0 holds integers beyond 2.53"):
            evaluation.mig(CODES, factors)


@pytest.mark.parametrize("scale", [1e90, 1e-170])
def test_squares_of_continuous_factors_stay_in_range(scale):
    expected = evaluation.sap(*SPLIT, continuous=True)["score"]
    codes, factors, codes_test, factors_test = SPLIT
    largest = max(scale, 1)
    scaled = codes * largest, factors * scale, codes_test * largest, factors_test * scale
    assert evaluation.sap(*scaled, continuous=True)["score"] == pytest.approx(expected)


def test_ranks_of_noise_of_float64():
    codes = 1 + 1e-14 * np.random.default_rng(0).normal(size=(600, 2))
    assert evaluation.lms_spearman(codes, FACTORS)["score"] == 0
    assert evaluation.udr([codes, codes], correlation="spearman")["score"] == 0


def test_small_codes_far_from_zero_are_alive_as_far_as_their_type_knows():
    far = np.hstack([100 + 1e-2 * CODES, 100 + 1e-2 * CODES]).astype(np.float32)
    assert evaluation.mig(far[:, :2], FACTORS)["score"] > 0.9
    assert not evaluation.mig((1000 + 1e-5 * CODES).astype(np.float32), FACTORS)["score"]
    assert evaluation.mig(1000 + 1e-5 * CODES, FACTORS)["score"] > 0.9


class TorchLike:
    """A tensor with a gradient, or of bfloat16, as PyTorch has them."""

    def __init__(self, values, dtype="torch.float32", detached=False):
        self.values, self.dtype, self.detached = values, dtype, detached

    def detach(self):
        return TorchLike(self.values, self.dtype, True)

    def cpu(self):
        return self

    def float(self):
        return TorchLike(self.values, "torch.float32", self.detached)

    def __array__(self, dtype=None, copy=None):
        if not self.detached:
            raise RuntimeError("Can't call numpy() on Tensor that requires grad.")
        if self.dtype == "torch.bfloat16":
            raise TypeError("Got unsupported ScalarType BFloat16")
        return np.asarray(self.values, np.float32)


class FrameLike:
    """A data frame whose columns have types that can lack values."""

    def __init__(self, values):
        self.values = values

    def __array__(self, dtype=None, copy=None):
        return self.values.astype(object)

    def to_numpy(self, dtype=None):
        return self.values.astype(dtype)


def test_arrays_of_other_frameworks_are_converted():
    codes = CODES.astype(np.float32)
    expected = evaluation.mig(codes, FACTORS)["score"]
    bfloat16 = tf.cast(codes, tf.bfloat16)
    rounded = evaluation.mig(tf.cast(bfloat16, tf.float32).numpy(), FACTORS)["score"]
    assert evaluation.mig(TorchLike(codes), FACTORS)["score"] == expected
    assert evaluation.mig(FrameLike(codes), FrameLike(FACTORS))["score"] == expected
    for values in (bfloat16, bfloat16.numpy()):
        assert evaluation.mig(values, FACTORS)["score"] == rounded
    for values in (tf.constant(codes), tf.Variable(codes), codes.tolist()):
        assert evaluation.mig(values, FACTORS)["score"] == pytest.approx(expected, abs=1e-6)
    half = evaluation.mig(codes.astype(np.float16), FACTORS)["score"]
    assert half == pytest.approx(expected, abs=0.02)
    tensor = TorchLike(codes, "torch.bfloat16")
    assert evaluation.gaussian_total_correlation(tensor)["score"] >= 0
    jacobians = np.random.default_rng(0).normal(size=(3, 5, 2)).astype(np.float32)
    assert evaluation.dto(TorchLike(jacobians))["score"] == evaluation.dto(jacobians)["score"]
    latents = tf.cast(codes[:3], tf.bfloat16)
    assert evaluation.jacobian(tf.tanh, latents).shape == (3, 2, 2)
    assert evaluation.jacobian(tf.tanh, TorchLike(codes[:3])).shape == (3, 2, 2)
    images = np.random.default_rng(0).random((5, 4)).astype(np.float32)
    assert evaluation.reconstruction_rmse(images, lambda x: TorchLike(x))["score"] == 0


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (FrameLike(np.array([["a", "b"]] * 600)), "numpy array of numbers"),
        ([[1.0, 2.0], [3.0]], "numpy array of numbers"),
        (CODES.astype(object) + 1j, "of type"),
        (CODES.astype(str), "of type"),
        (CODES + 1j, "of type complex"),
    ],
)
def test_what_is_no_array_of_numbers_is_named(values, message):
    with pytest.raises(ValueError, match=message) as error:
        evaluation.mig(values, FACTORS)
    assert "codes" in str(error.value) and "\n" not in str(error.value)


def test_classes_that_training_lacks_are_refused():
    codes, factors, codes_test, factors_test = SPLIT
    factors_test = factors_test.copy()
    factors_test[7, 1] = 9
    for score in (evaluation.sap, evaluation.dci):
        with pytest.raises(ValueError, match="factors_test column 1 holds 9"):
            score(codes, factors, codes_test, factors_test)
    continuous = evaluation.sap(codes, factors, codes_test, factors_test, continuous=True)
    assert continuous["score"] > 0


def test_continuous_factors_are_told_by_flags_not_by_values():
    expected = evaluation.mig(CODES, FACTORS, estimator="knn")["score"]
    for score in (evaluation.mig, evaluation.modularity):
        with pytest.raises(ValueError, match="not made of integers"):
            score(CODES, FACTORS * 0.5, estimator="knn")
        with pytest.raises(ValueError, match="histogram"):
            score(CODES, FACTORS, categorical=[True, False])
    values = RNG.normal(size=(600, 2))
    quantities = evaluation.mig(values, values, estimator="knn", categorical=False)["score"]
    doubled = evaluation.mig(values, 2 * values, estimator="knn", categorical=False)["score"]
    assert quantities > 0.9 and doubled == pytest.approx(quantities, abs=1e-3)
    ordered = evaluation.mig(CODES, FACTORS, estimator="knn", categorical=False)["score"]
    halved = evaluation.mig(CODES, FACTORS * 0.5, estimator="knn", categorical=False)["score"]
    assert halved == pytest.approx(ordered, abs=0.01) and ordered != expected


@pytest.mark.parametrize("flags", ["yes", 2, [True, 3], [0.5, 1], None])
def test_flags_out_of_range(flags):
    with pytest.raises(ValueError, match="categorical is"):
        evaluation.disentanglement_score(CODES, FACTORS, flags)
    with pytest.raises(ValueError, match="categorical is"):
        evaluation.mig(CODES, FACTORS, estimator="knn", categorical=flags)


def test_codes_that_the_solver_never_ends_on():
    codes, factors, codes_test, factors_test = SPLIT
    with pytest.raises(ValueError, match="scale them down"):
        evaluation.sap(codes * 1e90, factors, codes_test * 1e90, factors_test)


@pytest.mark.parametrize("scale", [2.0**-20, 2.0**60])
def test_trees_do_not_see_the_scale_of_codes(scale):
    codes, factors, codes_test, factors_test = SPLIT
    scaled = (codes * scale, factors, codes_test * scale, factors_test)
    for score in (
        lambda *case: evaluation.dci(*case, predictor="sklearn"),
        lambda *case: evaluation.lms_tree(*case, 2),
    ):
        assert score(*scaled)["score"] == score(*SPLIT)["score"] > 0.9


def _rows(factors):
    return np.asarray(factors, float)


@pytest.mark.parametrize("number", [0, -1, 2.5, True, "3", None])
def test_numbers_out_of_range(number):
    calls = {
        "num_variance_estimate": lambda: evaluation.factor_vae_score(
            _rows, (4, 4), 0, num_variance_estimate=number
        ),
        "num_train": lambda: evaluation.beta_vae_score(_rows, (4, 4), 0, num_train=number),
        "num_eval": lambda: evaluation.factor_vae_score(_rows, (4, 4), 0, num_eval=number),
        "neighbours": lambda: evaluation.disentanglement_score(
            CODES, FACTORS, False, neighbours=number
        ),
    }
    if number is not None:
        calls |= {
            "num_bins": lambda: evaluation.irs(CODES, FACTORS, num_bins=number),
            "batch_size": lambda: evaluation.mcc(CODES, FACTORS, batch_size=number),
        }
    if number != 0 or number is False:
        calls["covariance_ddof"] = lambda: evaluation.mcc(CODES, FACTORS, covariance_ddof=number)
    for name, call in calls.items():
        with pytest.raises(ValueError, match=name) as error:
            call()
        assert "\n" not in str(error.value)


def test_limits_that_depend_on_the_rows():
    with pytest.raises(ValueError, match="num_variance_estimate is 1"):
        evaluation.factor_vae_score(_rows, (4, 4), 0, num_variance_estimate=1)
    for arguments in ({"covariance_ddof": 600}, {"covariance_ddof": 100, "batch_size": 100}):
        with pytest.raises(ValueError, match="covariance_ddof"):
            evaluation.mcc(CODES, FACTORS, **arguments)
    with pytest.raises(ValueError, match="num_bins"):
        evaluation.mig(CODES, FACTORS, num_bins=20.5)


def test_one_hot_masks_are_no_labels():
    masks = RNG.integers(4, size=(2, 8, 8))
    assert evaluation.ari(masks, masks)["score"] == 1
    for pair in ((np.eye(4)[masks], np.eye(4)[masks]), (np.eye(4)[masks], np.eye(4)[3 - masks])):
        with pytest.raises(ValueError, match="one-hot.*argmax"):
            evaluation.ari(*pair)


def test_types_are_known_by_the_names_that_frameworks_give_them():
    for values in (tf.zeros(2, tf.bfloat16), types.SimpleNamespace(dtype="torch.bfloat16")):
        assert arrays.epsilon(values) == 2**-7
    for values in (
        np.zeros(2, np.float32),
        tf.zeros(2),
        types.SimpleNamespace(dtype="torch.float32"),
    ):
        assert arrays.epsilon(values) == 2**-23
    for values in ([0.5], np.zeros(2), np.zeros(2, int), tf.zeros(2, tf.float64)):
        assert arrays.epsilon(values) == 2**-52

"""Frechet distance and reconstruction error: closed forms, bad covariances, missing weights."""

import numpy as np
import pytest

from zoo import evaluation
from zoo.errors import UserError
from zoo.evaluation import generative


def _images(count, seed=0, channels=3):
    rng = np.random.default_rng(seed)
    return rng.integers(256, size=(count, 4, 4, channels), dtype=np.uint8)


def _flat(images):
    return images.reshape(len(images), -1)


def test_frechet_distance_of_commuting_gaussians():
    # Shared eigenvectors: the sum of squared differences of means and of standard deviations.
    basis, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(4, 4)))
    std_1, std_2 = np.array([1.0, 2, 3, 0]), np.array([2.0, 2, 0, 0])
    mean_1, mean_2 = np.zeros(4), np.array([1.0, -2, 0, 0])
    result = generative.frechet_distance(
        mean_1, basis * std_1**2 @ basis.T, mean_2, basis * std_2**2 @ basis.T
    )
    assert result["mean_term"] == pytest.approx(5)
    assert result["covariance_term"] == pytest.approx(10)
    assert result["score"] == pytest.approx(15)


def test_frechet_distance_is_the_general_matrix_square_root():
    import scipy.linalg

    rng = np.random.default_rng(0)
    a, b = (m @ m.T for m in rng.normal(size=(2, 5, 5)))
    expected = np.trace(a + b - 2 * scipy.linalg.sqrtm(a @ b)).real
    found = generative.frechet_distance(np.zeros(5), a, np.zeros(5), b)
    assert found["score"] == pytest.approx(expected, rel=1e-9)


def test_frechet_distance_is_finite_for_singular_and_badly_scaled_covariances():
    thin = np.random.default_rng(0).normal(size=(50, 3)) * 1e-6
    singular = thin @ thin.T
    result = generative.frechet_distance(np.zeros(50), singular, np.zeros(50), np.eye(50))
    expected = np.trace(singular) + 50 - 2 * np.linalg.svd(thin, compute_uv=False).sum()
    assert result["score"] == pytest.approx(expected)
    same = generative.frechet_distance(np.zeros(50), singular, np.zeros(50), singular)
    assert 0 <= same["score"] < 1e-12


def test_fid_uses_the_sample_moments_of_the_features():
    real, other = _images(70), _images(90, seed=1)
    result = evaluation.fid(real, other, features=_flat, batch_size=16)
    a, b = (_flat(images / np.float32(255)) for images in (real, other))
    expected = generative.frechet_distance(
        a.mean(0), np.cov(a.T.astype(float)), b.mean(0), np.cov(b.T.astype(float))
    )
    assert result["score"] == pytest.approx(expected["score"], rel=1e-6)
    assert evaluation.fid(a, b)["score"] == pytest.approx(result["score"], rel=1e-6)
    assert evaluation.fid(real, real, features=_flat)["score"] == pytest.approx(0, abs=1e-9)


def test_fid_of_a_shift_is_its_square_even_far_from_the_origin():
    features = np.random.default_rng(0).normal(size=(200, 3))
    far = features + 1e6
    result = evaluation.fid(far, far + np.array([3.0, 0, 4]))
    assert result["score"] == pytest.approx(25, rel=1e-6)


def test_fid_reads_images_by_their_maximum():
    class Binary:
        maximum = 1.0

        def __init__(self, images):
            self.images = images

        def __len__(self):
            return len(self.images)

        def __getitem__(self, rows):
            return self.images[rows]

    bits = _images(40) > 127
    wrapped = evaluation.fid(Binary(bits.astype(np.uint8)), bits.astype(np.float32), _flat)
    assert wrapped["score"] == pytest.approx(0, abs=1e-9)


def test_fid_without_inception_weights_says_what_to_do(monkeypatch):
    import keras

    def unreachable(*args, **kwargs):
        raise Exception("URL fetch failure on https://example.org\nno route to host")

    monkeypatch.setattr(keras.applications, "InceptionV3", unreachable)
    with pytest.raises(UserError, match="Inception.*give `features`") as caught:
        evaluation.fid(_images(4), _images(4))
    assert "\n" not in str(caught.value)


def test_fid_does_not_take_another_failure_for_a_failed_download(monkeypatch):
    import keras

    def defective(*args, **kwargs):
        raise TypeError("of other origin")

    monkeypatch.setattr(keras.applications, "InceptionV3", defective)
    with pytest.raises(TypeError, match="of other origin"):
        evaluation.fid(_images(4), _images(4))


def test_inception_features_take_grey_and_colour_images(monkeypatch):
    import keras

    def tiny(include_top, pooling):
        assert not include_top and pooling == "avg"
        inputs = keras.Input((299, 299, 3))
        return keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(inputs))

    monkeypatch.setattr(keras.applications, "InceptionV3", tiny)
    features = generative.inception_features()
    grey = features(np.full((2, 8, 8, 1), 0.75, np.float32))
    np.testing.assert_allclose(grey, 0.5, atol=1e-5)
    colour = features(np.broadcast_to(np.float32([0, 0.5, 1]), (2, 8, 8, 3)))
    np.testing.assert_allclose(colour, [[-1, 0, 1]] * 2, atol=1e-5)


def test_rmse_is_averaged_over_batches_as_published():
    images = np.zeros((3, 2, 2, 1), np.float32)
    again = images + np.float32([0.1, 0.3, 0.6])[:, None, None, None]
    whole = evaluation.reconstruction_rmse(images, again)
    assert whole["score"] == pytest.approx(np.sqrt((0.01 + 0.09 + 0.36) / 3))
    np.testing.assert_allclose(whole["per_image"], [0.1, 0.3, 0.6], rtol=1e-6)
    batches = evaluation.reconstruction_rmse(images, again, batch_size=2)
    assert batches["score"] == pytest.approx((2 * np.sqrt(0.05) + 0.6) / 3)


def test_one_wrong_image_of_many_is_no_batch_of_its_own():
    images = np.zeros((1025, 2, 2, 1), np.float32)
    again = images.copy()
    again[-1] = 1
    score = evaluation.reconstruction_rmse(images, again)["score"]
    assert score == pytest.approx(np.sqrt(1 / 1025))
    outside = np.arange(1025) < 1
    parts = evaluation.reconstruction_rmse(images, again, out_of_support=outside)
    assert parts["in_support"] == pytest.approx(np.sqrt(1 / 1024))


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.float32([[0, 30, 255]]), r"floats from 0 to 255; give floats in \[0, 1\]"),
        (np.float32([[-1, 0, 1]]), "floats from -1 to 1"),
        (np.array([[0, 30, 256]]), r"integers from 0 to 256; give integers in 0\.\.255"),
        (np.array([[-1, 30, 25]], np.int16), "integers from -1"),
        (np.array([[0.5, None, 0.5]]), "object"),
        (np.array([["a", "b", "c"]]), "<U1"),
        (np.array([[0.5, np.inf, 0.5]]), "image 0 holds NaN or infinity"),
    ],
)
def test_images_of_another_range_or_type_are_refused(images, message):
    again = np.full((1, 3), 0.5, np.float32)
    for call in (
        lambda: evaluation.reconstruction_rmse(images, again),
        lambda: evaluation.reconstruction_rmse(images, lambda x: 0 * x),
        lambda: evaluation.fid(np.repeat(images, 3, 0), np.repeat(again, 3, 0), _flat),
    ):
        with pytest.raises(ValueError, match=message) as caught:
            call()
        assert "\n" not in str(caught.value)


def test_reconstructions_may_overshoot_but_not_be_infinite_or_of_another_type():
    images = np.full((2, 3), 0.5, np.float32)
    assert evaluation.reconstruction_rmse(images, images * 4 - 1)["score"] == pytest.approx(0.5)
    for again, message in (
        (images * np.inf, "holds NaN or infinity"),
        (images.astype(str), "of type"),
        (images.astype(object), "of type object"),
    ):
        for given in (again, lambda x, again=again: again):
            with pytest.raises(ValueError, match=message):
                evaluation.reconstruction_rmse(images, given)
    with pytest.raises(ValueError, match="integers"):
        evaluation.reconstruction_rmse(images, lambda x: np.full((2, 3), 128))
    bits = np.eye(3, dtype=bool)
    assert evaluation.reconstruction_rmse(bits, ~bits)["score"] == 1


def test_vectors_are_compared_as_they_are():
    vectors = np.float32([[-3, 0], [4, 1]])
    moved = evaluation.reconstruction_rmse(vectors, vectors + 2, clamped=False)
    assert moved["score"] == pytest.approx(2)
    with pytest.raises(ValueError, match="NaN or infinity"):
        evaluation.reconstruction_rmse(vectors, vectors * np.nan, clamped=False)


@pytest.mark.parametrize("batch_size", [0, -1, 2.5, True])
def test_batches_out_of_range(batch_size):
    with pytest.raises(ValueError, match="batch_size"):
        evaluation.reconstruction_rmse(_images(3), _images(3), batch_size=batch_size)
    with pytest.raises(ValueError, match="batch_size"):
        evaluation.fid(_images(3), _images(3), _flat, batch_size=batch_size)


@pytest.mark.parametrize(
    ("gaussians", "message"),
    [
        ((np.zeros(2), np.eye(3), np.zeros(3), np.eye(3)), "mean_1 of shape"),
        ((np.zeros(3), np.eye(3), np.zeros(1), np.eye(1)), "mean_1 has 3 entries and mean_2 1"),
        ((np.zeros(2), np.eye(2), np.zeros(2), np.ones(2)), "covariance_2 of shape"),
        ((np.zeros(2), np.array([[1, 2], [0, 1]]), np.zeros(2), np.eye(2)), "not symmetric"),
        ((np.zeros(2), -np.eye(2), np.zeros(2), np.eye(2)), "positive semidefinite"),
        ((np.zeros(2), np.eye(2), np.zeros(2), np.diag([1.0, -0.5])), "eigenvalue -0.5"),
        ((np.zeros(2), np.eye(2) * np.nan, np.zeros(2), np.eye(2)), "finite"),
    ],
)
def test_what_is_no_gaussian_is_refused(gaussians, message):
    with pytest.raises(ValueError, match=message):
        generative.frechet_distance(*gaussians)


def test_rmse_clamps_and_scales():
    images = np.array([[0, 255]], np.uint8)
    assert evaluation.reconstruction_rmse(images, np.array([[-3.0, 9.0]]))["score"] == 0
    assert evaluation.reconstruction_rmse(images, 255 - images)["score"] == 1
    halves = evaluation.reconstruction_rmse(images, lambda batch: 0 * batch + 0.5)
    assert halves["score"] == pytest.approx(0.5)


def test_rmse_inside_and_outside_the_support():
    images = np.zeros((4, 3), np.float32)
    again = np.float32([[0.1] * 3, [0.1] * 3, [0.7] * 3, [0.1] * 3])
    outside = np.array([False, False, True, False])
    result = evaluation.reconstruction_rmse(images, again, out_of_support=outside)
    assert result["in_support"] == pytest.approx(0.1)
    assert result["out_of_support"] == pytest.approx(0.7)
    none = evaluation.reconstruction_rmse(images, again, out_of_support=np.zeros(4, bool))
    assert none["out_of_support"] is None


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: evaluation.fid(_images(1), _images(4), _flat), "at least 2"),
        (lambda: evaluation.fid(_images(4), _images(4, channels=1), _flat), "features"),
        (lambda: evaluation.fid(np.ones((3, 2)) * np.nan, np.ones((3, 2))), "real"),
        (lambda: evaluation.reconstruction_rmse(_images(3), _images(2)), "2 reconstructions"),
        (lambda: evaluation.reconstruction_rmse(_images(3), lambda x: x[:, 0]), "reconstructed"),
        (lambda: evaluation.reconstruction_rmse(_images(0), _images(0)), "no images"),
        (lambda: evaluation.reconstruction_rmse(np.full((3, 2), np.nan), np.ones((3, 2))), "NaN"),
        (
            lambda: evaluation.reconstruction_rmse(_images(3), _images(3), out_of_support=[0, 1]),
            "3 booleans",
        ),
    ],
)
def test_bad_input_is_one_clear_line(call, message):
    with pytest.raises(ValueError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)

"""Frechet distance and reconstruction error: closed forms, bad covariances, missing weights."""

import numpy as np
import pytest

import evaluation
from evaluation import generative


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
    with pytest.raises(RuntimeError, match="give `features`") as caught:
        evaluation.fid(_images(4), _images(4))
    assert "\n" not in str(caught.value)


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
    assert batches["score"] == pytest.approx((np.sqrt(0.05) + 0.6) / 2)


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

"""Scores of generators of several domains, on generators and readings that are known."""

import numpy as np
import pytest

from zoo import evaluation
from zoo.data.dataset import Dataset, DenseImages
from zoo.evaluation import factor_reader

RNG = np.random.default_rng(0)
# Content, content, style: the last factor is distributed otherwise in the second domain.
SIZES = (3, 2, 4)


def _data(count: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    domains = np.repeat([0, 1], count // 2)
    content = [RNG.integers(0, n, count) for n in SIZES[:2]]
    weights = np.array([[4, 3, 2, 1], [1, 2, 3, 4]]) / 10
    style = (RNG.random(count)[:, None] > np.cumsum(weights, 1)[domains]).sum(1)
    return np.column_stack([*content, style]), domains


def _monotone(count: int = 2000) -> np.ndarray:
    """What an ideal generator makes of the same latents in each domain."""
    content = [RNG.integers(0, n, count) for n in SIZES[:2]]
    uniform = RNG.random(count)[:, None]
    weights = np.cumsum(np.array([[4, 3, 2, 1], [1, 2, 3, 4]]) / 10, 1)
    styles = [(uniform > w).sum(1) for w in weights]
    return np.stack(
        [np.column_stack([*content, style, np.full(count, u)]) for u, style in enumerate(styles)]
    )


def test_an_ideal_generator_keeps_all_content_and_moves_the_style_as_little_as_it_can():
    factors, domains = _data()
    read = np.column_stack([factors, domains])
    found = evaluation.domain_flip(_monotone(), read, factors, domains)
    assert found["score"] == found["score_of_data"] == 1
    assert (found["content"], found["style"]) == ([0, 1], [2])
    # The cumulative weights differ by .3, .4 and .3.
    np.testing.assert_allclose(found["transport"], [0, 0, 1], atol=0.1)
    np.testing.assert_allclose(found["shift"][2], found["transport"][2], atol=0.1)
    assert found["marginal_distance"].max() < 0.06
    assert found["kept"].tolist()[:2] == found["kept_of_data"].tolist()[:2] == [1, 1]
    assert found["domain_accuracy"] == found["domain_accuracy_of_data"] == 1


def test_a_generator_that_draws_anew_keeps_content_by_chance():
    factors, domains = _data()
    generated = np.stack([factors[RNG.permutation(len(factors))] for _ in range(2)])
    found = evaluation.domain_flip(generated, factors, factors, domains)
    assert found["score"] == pytest.approx(1 / 6, abs=0.03)
    np.testing.assert_allclose(found["kept"][:2], [1 / 3, 1 / 2], atol=0.04)
    assert "domain_accuracy" not in found
    # Half of each domain's images have the style of the other.
    assert found["marginal_distance"][2] == pytest.approx(0.2, abs=0.05)


def test_factors_that_are_read_badly_do_not_count():
    factors, domains = _data()
    read = factors.copy()
    wrong = RNG.random(len(read)) < 0.08
    read[wrong, 1] = 1 - read[wrong, 1]
    found = evaluation.domain_flip(_monotone()[..., :3], read, factors, domains)
    assert found["content"] == [0] and found["accuracy"][1] == pytest.approx(0.92, abs=0.02)
    assert found["score"] == 1
    read[:, 0] = 0
    with pytest.raises(evaluation.InputError, match=r"no content factor .* 0.3\d, 0.9\d, 1.00"):
        evaluation.domain_flip(_monotone()[..., :3], read, factors, domains)


def test_misreadings_show_in_pairs_of_the_data():
    factors, domains = _data()
    read = factors.copy()
    wrong = RNG.random(len(read)) < 0.04
    read[wrong, 1] = 1 - read[wrong, 1]
    found = evaluation.domain_flip(_monotone()[..., :3], read, factors, domains)
    assert found["content"] == [0, 1]
    # Both images of a pair are read right, or both wrong.
    assert found["score_of_data"] == pytest.approx(0.96**2 + 0.04**2, abs=0.02)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda g, r, f, d: (g[0], r, f, d), "give"),
        (lambda g, r, f, d: (g, r[:-1], f, d), "give"),
        (lambda g, r, f, d: (g[..., :2], r, f, d), "factors are read, and 3 are known"),
        (lambda g, r, f, d: (g[:1], r, f, d), "1 domains are generated"),
        (lambda g, r, f, d: (g, r, f, d + 1), "2 domains are generated"),
        (lambda g, r, f, d: (g - 1, r, f, d), "generated must be whole numbers from 0"),
        (lambda g, r, f, d: (g, r, f / 2, d), "factors must be whole numbers from 0"),
        (lambda g, r, f, d: (g, np.where(r, np.nan, r), f, d), "read holds nan"),
    ],
)
def test_bad_input(change, message):
    factors, domains = _data(400)
    given = change(_monotone(10)[..., :3], factors, factors, domains)
    with pytest.raises(evaluation.InputError, match=message):
        evaluation.domain_flip(*given)


def test_numbers_of_factors_may_be_whole_floats():
    factors, domains = _data(400)
    given = _monotone(10)[..., :3], factors, factors, domains
    expected = evaluation.domain_flip(*given)["score"]
    assert evaluation.domain_flip(*(each.astype(float) for each in given))["score"] == expected


def test_distances_by_a_reader_come_with_those_of_two_halves():
    real, other = RNG.normal(size=(400, 4)), RNG.normal(size=(400, 4)) + 1
    found = evaluation.reader_fid(real, other)
    assert found["score"] == pytest.approx(evaluation.fid(real, other)["score"])
    assert found["score"] > 10 * found["of_data"] > 0
    found = evaluation.reader_kid(real, other, seed=1)
    assert found["score"] == evaluation.kid(real, other, seed=1)["score"]
    assert found["score"] > 10 * abs(found["of_data"])


def _squares(count: int = 1000) -> Dataset:
    """Bright or dark squares, left or right; the domain makes them bright more often."""
    domain, place = np.repeat([0, 1], count // 2), np.arange(count) % 2
    bright = (np.random.default_rng(1).random(count) < np.where(domain, 0.8, 0.2)).astype(int)
    images = np.zeros((count, 8, 8, 1), np.uint8)
    for i in range(count):
        images[i, 2:6, 4 * place[i] : 4 * place[i] + 4] = 100 + 100 * bright[i]
    factors = np.column_stack([place, bright])
    return Dataset("squares", DenseImages(images), extras={"domain": domain, "factors": factors})


class _Generator:
    """Places from the first latent, brightness from the second and the domain."""

    latent_dim = 2

    def generate(self, latents, domain):
        images = np.zeros((len(latents), 8, 8, 1), np.float32)
        for i, ((place, light), u) in enumerate(zip(latents, domain, strict=True)):
            left = 4 * int(place > 0)
            bright = light > (-0.84 if u else 0.84)
            images[i, 2:6, left : left + 4] = (100 + 100 * bright) / 255
        return images

    def sample(self, count, seed):
        latents = np.random.default_rng(seed).normal(size=(count, 2))
        return self.generate(latents, np.arange(count) % 2)


def test_evaluate_trains_a_reader_once_and_scores_a_generator(tmp_path, monkeypatch):
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path))
    monkeypatch.setattr(factor_reader, "STEPS", 150)
    dataset, sizes = _squares(), {"num_train": 400, "num_test": 100}
    names = "domain_flip,reader_fid,reader_kid,mig"
    table = evaluation.evaluate(_Generator(), dataset, names, **sizes)
    flip = table["domain_flip"]
    assert flip["score"] == 1 and min(flip["parts"]["accuracy"]) > 0.95, flip
    assert flip["parts"]["content"] == [0] and flip["parts"]["style"] == [1]
    assert flip["parts"]["shift"][1] == pytest.approx(0.6, abs=0.15)
    assert table["reader_fid"]["score"] < 20 * table["reader_fid"]["parts"]["of_data"]
    assert table["mig"]["reason"] == "the model has no codes: it generates images"
    (kept,) = (tmp_path / "readers").iterdir()

    monkeypatch.setattr(factor_reader.FactorReader, "fit", None)
    again = evaluation.evaluate(_Generator(), dataset, names, **sizes)
    assert again["reader_fid"]["score"] == table["reader_fid"]["score"]
    kept.write_bytes(kept.read_bytes()[:50])
    broken = evaluation.evaluate(_Generator(), dataset, "reader_fid", **sizes)["reader_fid"]
    assert "TypeError" in broken["reason"]  # It is trained again, which is forbidden here.


def test_a_reader_needs_images_that_are_not_scored(tmp_path, monkeypatch):
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path))
    dataset = _squares()
    row = evaluation.evaluate(_Generator(), dataset, "reader_fid")["reader_fid"]
    assert row["score"] is None
    assert row["reason"] == (
        f"all {len(dataset)} images are scored, none is left to train the reader: lower num_train "
        "or num_test"
    )


def test_data_without_factors_or_domains_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path))
    dataset = _squares()
    for key, message in (("factors", "no factors"), ("domain", "no domains")):
        extras = {name: values for name, values in dataset.extras.items() if name != key}
        lacking = Dataset("squares", dataset.images, extras=extras)
        row = evaluation.evaluate(_Generator(), lacking, "domain_flip", num_train=200, num_test=100)
        assert message in row["domain_flip"]["reason"]

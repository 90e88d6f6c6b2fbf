"""Intervals over images: textbook standard errors, coverage in simulation, and what is refused."""

import numpy as np
import pytest
from scipy.stats import t

from zoo import evaluation
from zoo.evaluation import facts, intervals

TIMES = 20


def _interval(name: str, *needed, times: int = TIMES, seed: int = 0, function=None, **settings):
    function = function or getattr(evaluation, name)
    value = function(*needed, **settings)["score"]
    return intervals.interval(function, facts.of(name), needed, settings, value, times, seed)


def test_of_a_mean_it_is_the_textbook_interval():
    images = np.random.default_rng(0).normal(loc=5, size=(1000, 1))

    def mean(images, generated):
        return {"score": float(images.mean())}

    low, high = _interval("fid", images, images, times=4000, function=mean)
    error = images.std(ddof=1) / np.sqrt(1000)
    assert (low + high) / 2 == pytest.approx(images.mean(), abs=1e-9)
    assert (high - low) / 2 == pytest.approx(t.ppf(0.975, 3999) * error, rel=0.05)


def test_halves_are_resampled_apart_without_replacement_and_rows_stay_together():
    seen = []

    def score(codes, factors, codes_test, factors_test):
        assert (codes == factors).all() and (codes_test == factors_test).all()
        seen.append((tuple(codes[:, 0]), tuple(codes_test[:, 0])))
        return {"score": 0.5}

    train, test = np.arange(40)[:, None], 100 + np.arange(20)[:, None]
    assert _interval("sap", train, train, test, test, function=score) == (0.5, 0.5)
    for first, second in seen[1:]:
        assert len(set(first)) == 20 and set(first) <= set(range(40))
        assert len(set(second)) == 10 and set(second) <= set(range(100, 120))
    assert len({first for first, _ in seen[1:]}) == len({each for _, each in seen[1:]}) == TIMES


def test_scores_of_chosen_factors_are_drawn_anew_by_their_seeds():
    def score(represent, sizes, seed=0):
        return {"score": 0.5 + 0.01 * np.random.default_rng(seed).normal()}

    low, high = _interval("factor_vae_score", None, (2, 2), function=score, times=400, seed=3)
    assert (high - low) / 2 == pytest.approx(1.966 * 0.01, rel=0.15)


def test_scores_of_chosen_factors_without_a_seed_have_none(monkeypatch):
    monkeypatch.setattr(facts, "OWN", {})

    @evaluation.score(higher_is_better=True)
    def hers(represent, sizes):
        return {"score": 1.0}

    with pytest.raises(evaluation.UndefinedScoreError, match="no interval: .* takes no seed"):
        _interval("hers", None, (2, 2), function=hers)


def test_ends_stay_in_the_range_and_the_seed_decides():
    generator = np.random.default_rng(0)
    factors = generator.integers(2, size=(60, 2))
    codes = factors + 0.4 * generator.normal(size=factors.shape)
    first = _interval("mcc", codes, factors)
    assert first == _interval("mcc", codes, factors) != _interval("mcc", codes, factors, seed=1)
    low, high = _interval("mcc", codes, factors, function=lambda c, _: {"score": 1 - abs(c[0, 0])})
    assert low == 0 and high == 1


def _population(generator: np.random.Generator, rows: int) -> tuple[np.ndarray, np.ndarray]:
    factors = generator.integers((3, 4), size=(rows, 2))
    codes = factors @ np.array([[0.5, 0.2], [-0.3, 0.5]]) + 0.3 * generator.normal(size=(rows, 2))
    return codes, factors


@pytest.mark.parametrize("name", ["mcc", "mig"])
def test_nineteen_of_twenty_hold_the_mean_over_sets_of_images(name):
    function, generator = getattr(evaluation, name), np.random.default_rng(0)
    needed = [_population(generator, 200) for _ in range(200)]
    truth = np.mean([function(*each)["score"] for each in needed])
    ends = [_interval(name, *each, times=12) for each in needed[:80]]
    held = np.mean([low <= truth <= high for low, high in ends])
    assert 0.9 <= held <= 0.99


def test_a_score_that_divides_its_rows_itself_is_not_taken_for_more_uncertain_than_it_is():
    """Its own division of the rows changes with every subsample."""
    generator = np.random.default_rng(0)
    needed = [(*_population(generator, 200), False) for _ in range(30)]
    deviation = np.std([evaluation.disentanglement_score(*each)["score"] for each in needed])
    ends = [_interval("disentanglement_score", *each, times=10) for each in needed[:6]]
    half = np.mean([high - low for low, high in ends]) / 2
    assert 0.6 < half / (t.ppf(0.975, 9) * deviation) < 2


@pytest.mark.parametrize(
    ("name", "needed", "message"),
    [
        ("mixing_graph_f1", (np.ones((4, 2)), np.ones((4, 2), int)), "not of single images"),
        ("gaussian_total_correlation", (np.eye(15),), "15 rows are too few"),
        ("mig", (np.arange(40.0)[:, None], np.eye(40, 1, dtype=int)), "constant"),
    ],
)
def test_without_an_interval_there_is_a_reason(name, needed, message):
    with pytest.raises(evaluation.InputError, match=message):
        _interval(name, *needed)


def test_every_need_of_a_score_is_known():
    """A new score says of what its images are, or has no interval for a reason."""
    without = {"mean_1", "covariance_1", "mean_2", "covariance_2", "relative_kl_errors"}
    without |= {"mean_absolute_jacobian", "mixing_graph", "represent", "factors_by_domain"}
    needs = {need.removesuffix("_test") for name in facts.names() for need in facts.of(name).needs}
    assert needs - intervals._ROWS - intervals._WHOLE == without

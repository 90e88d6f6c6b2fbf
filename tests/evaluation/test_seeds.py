"""Several seeds in one table: means and deviations by hand, intervals, chance, what one lacks."""

import numpy as np
import pytest

from zoo import evaluation
from zoo.data.dataset import Dataset, DenseImages
from zoo.data.space import Factor, FactorSpace
from zoo.evaluation.seeds import over_seeds

ROWS = 300


def _arrays() -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    factors = generator.integers((3, 4), size=(ROWS, 2))
    return {"codes": factors + 0.5 * generator.normal(size=factors.shape), "factors": factors}


def test_rows_are_means_over_the_tables_of_single_seeds():
    how = {"chance": True, "bootstrap": 10}
    single = [evaluation.evaluate_arrays(_arrays(), "mcc,sap", seed=s, **how) for s in (4, 7, 1)]
    table = evaluation.evaluate_arrays(_arrays(), "mcc,sap", seed=[4, 7, 1], **how)
    for name, row in table.items():
        scores = [each[name]["score"] for each in single]
        assert row["per_seed"] == scores
        assert row["score"] == pytest.approx(np.mean(scores))
        assert row["seed_std"] == pytest.approx(np.std(scores, ddof=1))
        assert row["chance"] == pytest.approx(np.mean([each[name]["chance"] for each in single]))
        ends = np.mean([each[name]["interval"] for each in single], axis=0)
        assert row["interval"] == pytest.approx(ends)
        assert ends[0] < row["score"] < ends[1] and row["interval_reason"] is None
    # All rows are matched, whatever the seed; only the division for SAP depends on it.
    assert table["mcc"]["seed_std"] < 1e-12 < table["sap"]["seed_std"]
    first = single[0]["sap"]["parts"]["per_factor"]
    np.testing.assert_array_equal(table["sap"]["parts"]["per_factor"], first)


def test_a_score_that_one_seed_lacks_is_left_out_with_its_reason():
    def row(score, reason=None):
        return {"score": score, "reason": reason, "parts": {}, "seconds": 1.0,
                "encoding_seconds": 0.5, "chance": 0.1}  # fmt: skip

    merged = over_seeds([{"mig": row(0.2)}, {"mig": row(None, "factor 0 is constant")}], (3, 5))
    assert merged["mig"]["score"] is None and merged["mig"]["chance"] is None
    assert merged["mig"]["reason"] == "seed 5: factor 0 is constant"
    assert merged["mig"]["per_seed"] == [0.2, None] and merged["mig"]["seconds"] == 2


def test_seeds_draw_other_rows_of_a_data_set_and_encode_each_image_once():
    space = FactorSpace((Factor("a", np.arange(12)), Factor("b", np.arange(12))))
    values = space.factors(np.arange(144)).astype(np.uint8)
    dataset = Dataset("grid", DenseImages(values[:, None, :, None]), space=space)
    seen = []

    def encode(images):
        flat = np.asarray(images).reshape(len(images), 2) * 255
        seen.extend(map(tuple, np.round(flat).astype(int)))
        return np.sin(flat)

    sizes = {"num_train": 100, "num_test": 50, "batch_size": 8}
    table = evaluation.evaluate(encode, dataset, ["mcc", "mig"], seed=[0, 1], **sizes)
    # Two calls for codes, each with one batch that may be filled up.
    assert len(set(seen)) <= len(seen) < len(set(seen)) + 2 * 8
    again = evaluation.evaluate(encode, dataset, ["mcc", "mig"], seed=1, **sizes)
    assert table["mcc"]["per_seed"][1] == again["mcc"]["score"] != table["mcc"]["per_seed"][0]
    assert table["mcc"]["seed_std"] > 0


@pytest.mark.parametrize("seed", [[], [1, 1], [0.5], "zero", [0, -1]])
def test_wrong_seeds_are_one_line(seed):
    with pytest.raises(evaluation.InputError, match="seed"):
        evaluation.evaluate_arrays(_arrays(), "mig", seed=seed)


@pytest.mark.parametrize("times", [1, 9, -1, 2.5])
def test_too_few_resamplings_are_one_line(times):
    with pytest.raises(evaluation.InputError, match="bootstrap is"):
        evaluation.evaluate_arrays(_arrays(), "mig", bootstrap=times)

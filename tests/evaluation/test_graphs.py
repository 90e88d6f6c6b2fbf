"""F1 and SHD of mixing graphs: a case by hand, brute force over matchings, invariances."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from zoo import data, evaluation
from zoo.data.zoo_synthetic import memory


def test_a_graph_by_hand():
    graph = np.array([[1, 0], [1, 1], [0, 1], [0, 1]], bool)
    # The first learned latent is the second true one with an edge missed (0.3 < 0.5 * 2) and one
    # too many; the second is the first true one.
    jacobian = np.array([[1.5, -7.0], [2.0, 8.0], [-2.0, 0.1], [0.3, 0.0]])
    result = evaluation.mixing_graph_f1(jacobian, graph, threshold=0.5)
    assert result["matching"].tolist() == [1, 0]
    assert result["learned"].astype(int).tolist() == [[1, 1], [1, 1], [1, 0], [0, 0]]
    assert result["shd"] == 2
    assert result["precision"] == pytest.approx(4 / 5)
    assert result["recall"] == pytest.approx(4 / 5)
    assert result["score"] == pytest.approx(4 / 5)
    # The learned mixing beside the true one, whose latents it is in the order of.
    strengths = [[7 / 8, 0.75], [1, 1], [0.1 / 8, 1], [0, 0.15]]
    np.testing.assert_allclose(result["strengths"], strengths)
    np.testing.assert_array_equal(result["graph"], graph)


@pytest.mark.parametrize("seed", range(10))
def test_the_matching_is_the_best_of_all_for_f1_and_shd(seed):
    from sklearn.metrics import f1_score

    rng = np.random.default_rng(seed)
    graph, learned = rng.random((6, 4)) < 0.4, rng.random((6, 4)) < 0.5
    graph[0, 0] = True
    result = evaluation.mixing_graph_f1(learned * rng.uniform(1, 2, (6, 4)), graph)
    orders = [learned[:, order] for order in itertools.permutations(range(4))]
    best = max(f1_score(graph.ravel(), order.ravel()) for order in orders)
    assert result["score"] == pytest.approx(best)
    assert result["shd"] == min((graph != order).sum() for order in orders)
    matched = learned[:, result["matching"]]
    assert (graph != matched).sum() == result["shd"]


def test_order_scale_and_sign_of_latents_do_not_count():
    rng = np.random.default_rng(0)
    graph = rng.random((8, 3)) < 0.5
    jacobians = graph * rng.uniform(1, 2, (5, 8, 3)) * rng.choice([-1, 1], (5, 8, 3))
    turned = jacobians[:, :, [2, 0, 1]] * [1e-3, -50, 3]
    result = evaluation.mixing_graph_f1(turned, graph)
    assert (result["score"], result["shd"], result["precision"], result["recall"]) == (1, 0, 1, 1)
    assert result["matching"].tolist() == [1, 2, 0]


def test_dead_surplus_and_missing_latents():
    graph = np.eye(4, 3, dtype=bool) | np.eye(4, 3, -1, dtype=bool)
    dead = np.hstack([graph * 1.0, np.full((4, 1), 1e-9)])
    assert evaluation.mixing_graph_f1(dead, graph)["score"] == 1
    surplus = evaluation.mixing_graph_f1(np.hstack([graph, np.ones((4, 1))]), graph)
    assert surplus["shd"] == 4 and surplus["recall"] == 1
    assert surplus["precision"] == pytest.approx(6 / 10)
    missing = evaluation.mixing_graph_f1(graph[:, :2] * 1.0, graph)
    assert missing["matching"].tolist() == [0, 1, -1]
    assert (missing["shd"], missing["precision"]) == (2, 1)
    np.testing.assert_array_equal(missing["strengths"][:, 2], 0)
    assert missing["score"] == pytest.approx(2 * 4 / 10)
    faint = evaluation.mixing_graph_f1(graph * [1.0, 1.0, 1e-9], graph)
    assert not faint["learned"][:, 2].any() and not faint["strengths"][:, 2].any()
    nothing = evaluation.mixing_graph_f1(np.zeros((4, 3)), graph)
    assert (nothing["score"], nothing["precision"], nothing["shd"]) == (0, 0, 6)


def test_a_set_that_knows_its_graph_is_enough():
    """The true mixing as the decoder, with its latents in another order and scale."""
    dataset = data.load("zoo_synthetic/shared_pair_2[test]")
    source = memory.source("shared_pair_2")
    order, scale = [2, 0, 3, 1], np.array([1.0, 5, 0.2, 1], np.float32)
    latents = dict(zip(map(bytes, dataset.images[:]), dataset.latents, strict=True))
    decode = source.mixing.tensorflow()

    class Model:
        def encode(self, images):
            return np.stack([latents[bytes(x)] for x in np.asarray(images)])[:, order] * scale

        def decode(self, codes):
            return decode(tf.gather(codes / scale, np.argsort(order), axis=1))

    row = evaluation.evaluate(Model(), dataset, "mixing_graph_f1", num_jacobian=50)
    row = row["mixing_graph_f1"]
    assert row["score"] == 1 and row["parts"]["shd"] == 0, row
    assert np.argsort(order).tolist() == list(row["parts"]["matching"])

    images = data.load("zoo_synthetic/linear[test]")
    table = evaluation.evaluate(Model(), images, "mixing_graph_f1")
    assert table["mixing_graph_f1"]["reason"] == "the data set has no mixing graphs"


@pytest.mark.parametrize(
    ("jacobian", "graph", "options", "message"),
    [
        (np.ones((4, 2)), np.ones((3, 2)), {}, "of the same outputs"),
        (np.ones(4), np.ones((4, 2)), {}, "outputs, latents"),
        (np.ones((4, 2)), np.zeros((4, 2)), {}, "at least one edge"),
        (np.ones((4, 2)), np.full((4, 2), 0.5), {}, "True and False"),
        (np.full((4, 2), np.nan), np.ones((4, 2)), {}, "jacobian holds nan"),
        (np.ones((4, 2)), np.ones((4, 2)), {"threshold": 1.0}, "threshold is 1.0"),
    ],
)
def test_bad_input_is_one_clear_line(jacobian, graph, options, message):
    with pytest.raises(evaluation.InputError, match=message) as caught:
        evaluation.mixing_graph_f1(jacobian, graph, **options)
    assert "\n" not in str(caught.value)

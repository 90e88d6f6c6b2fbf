"""The suite of slots: a model whose slots are the halves of the image, scored on masks."""

import types

import numpy as np
import pytest
import tensorflow as tf

from zoo import evaluation
from zoo.data.dataset import DenseImages
from zoo.evaluation import facts
from zoo.evaluation.inputs import Inputs
from zoo.models.additive import AdditiveAutoencoder
from zoo.networks.dense import mlp_decoder, mlp_encoder


class _Images:
    """Images `[4, 4, 1]`; the left half is of one grey, the right of another."""

    maximum = 1.0

    def __init__(self, count: int = 32):
        self.greys = np.random.default_rng(0).uniform(0.2, 0.8, size=(count, 2)).astype(np.float32)
        self.array = np.repeat(np.repeat(self.greys[:, None], 4, 1), 2, 2)[..., None]

    def __len__(self):
        return len(self.array)

    def __getitem__(self, numbers):
        return self.array[numbers]


class _Halves:
    """Two slots of one latent, the greys; `mixing` of each reaches the other's half."""

    def __init__(self, mixing: float = 0.0):
        self.mixing = mixing

    def encode(self, images):
        return tf.stack([images[:, 0, 0], images[:, 0, 3]], axis=1)

    def decode(self, slots):
        mixed = (1 - self.mixing) * slots + self.mixing * tf.reverse(slots, [1])
        return tf.repeat(tf.repeat(tf.transpose(mixed, [0, 2, 1]), 4, 1), 2, 2)[..., None]

    def attention(self, slots):
        halves = tf.constant(np.repeat(np.eye(2), 2, axis=0)[None, None], tf.float32)
        return tf.tile(halves, [len(slots), 4, 1, 1])


def _dataset(**extras):
    return types.SimpleNamespace(images=_Images(), space=None, latents=None, extras=extras)


def _masks():
    """Both halves are objects; one column of the left is background."""
    return np.tile(np.array([0, 1, 2, 2]), (32, 4, 1))


def test_slots_that_are_the_objects_score_full_marks():
    table = evaluation.evaluate(_Halves(), _dataset(masks=_masks()), "slots", batch_size=8)
    scores = {name: row["score"] for name, row in table.items()}
    assert scores == pytest.approx(
        {"j_ari": 1, "jis": 1, "attention_ari": 1, "reconstruction_rmse": 0}, abs=1e-6
    )
    assert table["jis"]["parts"]["per_image"].shape == (11,)
    # A table is kept as text: no part has a number for every pixel.
    assert all(np.ndim(part) < 3 for row in table.values() for part in row["parts"].values())


@pytest.mark.parametrize("extra", ["true_slots", "positions"])
def test_slots_tell_the_objects_that_they_are(extra):
    images = _Images(600)
    true = {extra: images.greys[:, ::-1, None]}
    dataset = types.SimpleNamespace(images=images, space=None, latents=None, extras=true)
    scores = [
        evaluation.evaluate(model, dataset, "slot_identifiability_score", num_masked=5)
        for model in (_Halves(), _Mixing())
    ]
    row, mixing = (each["slot_identifiability_score"] for each in scores)
    assert row["score"] > 0.9 and row["parts"]["slot_of_latent"].tolist() == [1, 0]
    assert mixing["score"] < 0.3
    dataset.extras = {}
    table = evaluation.evaluate(_Halves(), dataset, "slot_identifiability_score")
    reason = table["slot_identifiability_score"]["reason"]
    assert reason == "the data set has no true slots"


class _Blocks(_Halves):
    """The same as flat codes, whose blocks say which is of which half: the second is the left's."""

    blocks = ((1,), (0,))

    def encode(self, images):
        return super().encode(images)[..., 0]

    def decode(self, codes):
        return super().decode(codes[..., None])


def test_blocks_of_latents_are_slots():
    images = _Images(600)
    dataset = _dataset(masks=np.tile(_masks()[:1], (600, 1, 1)))
    dataset.images, dataset.latents = images, images.greys
    names = ["slot_identifiability_score", "j_ari", "jis"]
    table = evaluation.evaluate(_Blocks(), dataset, names, num_masked=5)
    row = table["slot_identifiability_score"]
    assert row["score"] > 0.9 and row["parts"]["slot_of_latent"].tolist() == [1, 0]
    assert table["j_ari"]["score"] == 1 and table["jis"]["score"] == pytest.approx(1, abs=1e-6)
    mixed = evaluation.evaluate(_Blocks(0.2), dataset, "jis", num_masked=5)
    assert mixed["jis"]["score"] == pytest.approx(0.6, abs=1e-6)


def test_blocks_of_an_additive_decoder_are_slots_of_the_latents_that_follow_one_another():
    model = AdditiveAutoencoder(
        (10,),
        latent_dim=4,
        blocks=[[2, 0], [1, 3]],
        encoder=lambda shape: mlp_encoder(shape, units=(8,)),
        decoder=lambda latents, shape: mlp_decoder(latents, shape, units=(8,)),
    )
    vectors = np.random.default_rng(0).normal(size=(300, 10)).astype(np.float32)
    images = DenseImages(vectors, maximum=1.0)
    dataset = types.SimpleNamespace(images=images, space=None, latents=vectors[:, :6], extras={})
    inputs = Inputs(model, dataset, 0, (200, 100, 10, 10), 64)
    codes = inputs.codes_test
    np.testing.assert_array_equal(inputs.slots, codes[:, [[2, 0], [1, 3]]])
    np.testing.assert_array_equal(inputs.true_slots, inputs.latents_test.reshape(-1, 2, 3))
    decoded = inputs._slot_decoder(tf.constant(inputs.slots))
    np.testing.assert_array_equal(decoded, model.decode(codes))
    dataset.latents = vectors[:, :5]
    table = evaluation.evaluate(model, dataset, "slot_identifiability_score")
    reason = table["slot_identifiability_score"]["reason"]
    assert reason == "5 latents do not divide into 2 slots"


def test_trees_take_the_blocks_of_a_model_and_as_many_parts_of_the_latents():
    images = _Images(200)
    dataset = _dataset()
    dataset.images, dataset.latents = images, np.repeat(images.greys, 2, axis=1)

    def score(model, **options):
        given = {"lms_tree": options} if options else {}
        table = evaluation.evaluate(model, dataset, "lms_tree", options=given)
        return table["lms_tree"]

    found = score(_Blocks())
    assert found["score"] > 0.9 and found["parts"]["blocks"] == [[1], [0]]
    assert found["score"] == score(_Blocks(), blocks=[[1], [0]], latent_blocks=2)["score"]
    # Blocks that are given are of latents, too, as for arrays.
    assert "must hold each of the 4 columns" in score(_Blocks(), blocks=[[1], [0]])["reason"]
    unequal = _Additive()
    with pytest.raises(evaluation.InputError, match="the options of lms_tree: missing .*blocks"):
        score(unequal)


@pytest.mark.parametrize("blocks", [((0, 1),), ((0, 0), (1, 1)), ((0,), (1, 2)), ("a", "b"), 3])
def test_what_is_no_partition_into_blocks_of_one_size_is_no_slots(blocks):
    model, dataset = _Blocks(), _dataset(masks=_masks())
    model.blocks = blocks
    dataset.latents = dataset.images.greys
    table = evaluation.evaluate(model, dataset, ["slot_identifiability_score", "j_ari"])
    for row in table.values():
        assert row["reason"] == "the model's codes are not slots [N, slots, slot_dim]"


class _Additive:
    """A sum of a function of the codes 0 and 2 and of one of code 1."""

    blocks = ((0, 2), (1,))

    def encode(self, vectors):
        return vectors[:, :3]

    def decode(self, codes):
        first, second, third = tf.unstack(tf.convert_to_tensor(codes), axis=1)
        return tf.stack([tf.sin(first * third) + second**2, first + tf.exp(second)], axis=1)


def _vectors():
    dataset = _dataset()
    vectors = np.random.default_rng(0).uniform(0.2, 0.8, size=(12, 4)).astype(np.float32)
    dataset.images = DenseImages(vectors, maximum=1.0)
    return dataset


def test_an_additive_decoder_has_no_derivatives_across_its_blocks():
    model = _Additive()
    row = evaluation.evaluate(model, _vectors(), "block_hessian")["block_hessian"]
    assert row["score"] == 0 and row["parts"]["pairs"].shape == (2, 2)
    # A baseline of one block is judged latent by latent.
    model.blocks = ((0, 1, 2),)
    row = evaluation.evaluate(model, _vectors(), "block_hessian")["block_hessian"]
    assert row["score"] > 0.5 and row["parts"]["pairs"].shape == (3, 3)


@pytest.mark.parametrize(
    "name",
    [
        *("block_hessian", "interaction_order", "sufficient_nonlinearity"),
        *("sufficient_independence", "irreducibility"),
    ],
)
def test_scores_of_interaction_have_the_blocks_of_the_model(name):
    model = _Additive()
    for blocks, settings in (
        (model.blocks, {"blocks": [[0, 2], [1]]}),
        (np.array([[2, 0], [1, 3]]), {"blocks": [[2, 0], [1, 3]]}),
        (((0, 1, 2),), {}),
        (((0, 1), (1, 2)), {}),
        (["a", "layer"], {}),
    ):
        model.blocks = blocks
        inputs = Inputs(model, _vectors(), 0, (8, 4, 4, 4), 64)
        assert inputs.arguments(facts.of(name))[1] == settings


class _Mixing(_Halves):
    """Both slots hold both greys."""

    def encode(self, images):
        greys = images[:, 0, 0], images[:, 0, 3]
        return tf.stack([sum(greys) + 0.1 * greys[0], sum(greys) + 0.1 * greys[1]], axis=1)


def test_slots_that_mix_lose_what_they_mix():
    """Pixels depend by 0.8 and 0.2 on the slots: (0.8 - 0.5) / (1 - 0.5) = 0.6."""
    table = evaluation.evaluate(_Halves(0.2), _dataset(masks=_masks()), "slots", batch_size=8)
    assert table["jis"]["score"] == pytest.approx(0.6, abs=1e-6)
    assert table["j_ari"]["score"] == 1
    assert table["reconstruction_rmse"]["score"] > 0


def test_what_is_missing_is_said():
    model = types.SimpleNamespace(encode=_Halves().encode, decode=_Halves().decode)
    table = evaluation.evaluate(model, _dataset(masks=_masks()), "slots", batch_size=8)
    assert table["attention_ari"]["reason"] == "the model has no attention to slots"
    table = evaluation.evaluate(_Halves(), _dataset(), "slots", batch_size=8)
    assert table["j_ari"]["reason"] == "the data set has no masks"
    flat = types.SimpleNamespace(encode=lambda x: x[:, 0, :, 0], decode=lambda z: z)
    table = evaluation.evaluate(flat, _dataset(masks=_masks()), "j_ari", batch_size=8)
    assert table["j_ari"]["reason"] == "the model's codes are not slots [N, slots, slot_dim]"


def test_segments_are_those_of_the_attention():
    names = ["ari", "foreground_ari", "mbo", "miou"]
    table = evaluation.evaluate(_Halves(), _dataset(masks=_masks()), names, batch_size=8)
    assert table["foreground_ari"]["score"] == 1 > table["ari"]["score"]
    # The left object is half of its segment; the right one is all of it.
    for name in ("mbo", "miou"):
        assert table[name]["score"] == pytest.approx(0.75)
    missing = evaluation.evaluate(_Halves(), _dataset(), names, batch_size=8)
    assert missing["mbo"]["reason"] == "the data set has no masks"

"""Jacobians of decoders of other frameworks, by the recipes of the documentation.

The decoder is z -> sin(W z), whose Jacobian diag(cos(W z)) W is written by hand.
"""

import pathlib
import re
import types

import numpy as np
import pytest

from zoo import evaluation

README = (pathlib.Path(evaluation.__file__).parent / "README.md").read_text()
GENERATOR = np.random.default_rng(0)
WEIGHTS = GENERATOR.normal(size=(12, 3)).astype(np.float32)
CODES = GENERATOR.normal(size=(20, 3)).astype(np.float32)
JACOBIANS = np.cos(CODES @ WEIGHTS.T)[:, :, None] * WEIGHTS


def _recipe(name: str, **variables) -> np.ndarray:
    """The Jacobians that the documentation's block makes of `decoder` and `codes`."""
    (block,) = (b for b in re.findall(r"```python\n(.*?)```", README, re.S) if f"{name}.vmap(" in b)
    variables["evaluation"] = evaluation
    exec(block, variables)
    return variables["jacobians"]


def _check(jacobians) -> None:
    np.testing.assert_allclose(np.asarray(jacobians.tolist()), JACOBIANS, atol=1e-5)
    for score in (evaluation.dto, evaluation.ima_contrast):
        assert score(jacobians)["score"] == pytest.approx(score(JACOBIANS)["score"], abs=1e-4)


def test_pytorch():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    layer = torch.nn.Linear(3, 12, bias=False)
    layer.weight.data = torch.tensor(WEIGHTS)
    # The weights want gradients, and so do the Jacobians: they are taken as they are.
    _check(_recipe("torch", torch=torch, decoder=lambda z: layer(z).sin(),
                   codes=torch.tensor(CODES)))  # fmt: skip


class _Tensor:
    """As a tensor of PyTorch: it leaves its graph by `detach`, and `maximum` is a method."""

    def __init__(self, values):
        self._values, self.shape, self.dtype = values, values.shape, values.dtype

    def detach(self):
        return self

    cpu = detach

    def maximum(self, other):
        raise NotImplementedError

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self._values, dtype)

    def __len__(self):
        return len(self._values)

    def __getitem__(self, rows):
        return _Tensor(self._values[rows])


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_images_of_pytorch(dtype):
    images = GENERATOR.integers(0, 2, (300, 1, 2, 1)).astype(dtype) * dtype(255)
    images = images / 255 if dtype is np.float32 else images
    made = images[::-1]
    found = evaluation.reconstruction_rmse(_Tensor(images), _Tensor(made))["score"]
    assert found == evaluation.reconstruction_rmse(images, made)["score"]

    def encode(images):
        return images[:, 0, :, 0]

    latents = np.asarray(images[:, 0, :, 0], np.float32)
    datasets = (types.SimpleNamespace(images=each, latents=latents)
                for each in (images, _Tensor(images)))  # fmt: skip
    first, second = (evaluation.evaluate(encode, each, "mcc")["mcc"] for each in datasets)
    assert first["score"] == second["score"] == pytest.approx(1)


def test_jax():
    jax = pytest.importorskip("jax", reason="JAX is not installed")
    numpy = jax.numpy
    _check(_recipe("jax", jax=jax, decoder=lambda z: numpy.sin(numpy.asarray(WEIGHTS) @ z),
                   codes=numpy.asarray(CODES)))  # fmt: skip


def test_the_recipes_are_there():
    assert "jax.vmap(jax.jacfwd(decoder))" in README
    assert "torch.vmap(torch.func.jacfwd(decoder))" in README

"""Every shipped gin file makes a model of its data set's observations, and an optimiser."""

import gin
import keras
import pytest

from zoo import config
from zoo.models.base import Model
from zoo.training.job import Job

# Loading a data set to learn its shape would draw it first.
SHAPES = {
    "zoo_dsprites": (64, 64, 1),
    "zoo_shapes3d": (64, 64, 3),
    "zoo_balls": (64, 64, 3),
    "zoo_sprites": (64, 64, 3),
    "zoo_clevr6": (128, 128, 3),
    "mnist": (28, 28, 1),
    "fashion_mnist": (28, 28, 1),
    "celeb_a": (64, 64, 3),
    "zoo_synthetic/additive_1.0": (10,),
    "zoo_synthetic/gaussian": (5,),
    "zoo_synthetic/linear": (3,),
    "zoo_synthetic/nonlinear": (6,),
    "zoo_synthetic/nonlinear_aligned": (6,),
}


@pytest.fixture(autouse=True)
def _clean():
    yield
    gin.clear_config()


@pytest.mark.parametrize("file", [file for file in config.shipped() if "perturb" not in file])
def test_makes_its_model(file):
    config.parse([file])
    job = Job()
    name = job.dataset.partition("[")[0]
    shape = SHAPES.get(name, SHAPES.get(name.partition("/")[0]))
    assert shape, f"the shape of {job.dataset} is missing above"
    model = job.model(shape)
    assert isinstance(model, Model) and tuple(model.observation_shape) == shape
    assert isinstance(job.optimizer(), keras.optimizers.Optimizer)
    # A paper's own settings must reach the model that it trains, not one of its bases.
    bound = gin.query_parameter(f"{type(model).__name__}.latent_dim")
    assert model.latent_dim == bound


def test_networks_of_celeba_are_those_of_the_table():
    """Zietlow 2022, Table 3.1: filters, sides of the kernels and strides, nothing else."""
    config.parse(["gin/papers/zietlow/table_3_1_celeba.gin"])
    model = Job().model((64, 64, 3))
    networks = {
        keras.layers.Conv2D: (model.encoder, [(32, 4, 2), (32, 4, 2), (64, 4, 2), (64, 4, 2)]),
        keras.layers.Conv2DTranspose: (
            model.decoder,
            [(64, 4, 2), (32, 4, 2), (32, 4, 2), (3, 4, 2)],
        ),
    }
    for kind, (network, wanted) in networks.items():
        found = [layer for layer in network.layers if type(layer) is kind]
        assert [(x.filters, x.kernel_size[0], x.strides[0]) for x in found] == wanted
    dense = [
        x.units
        for n in (model.encoder, model.decoder)
        for x in n.layers
        if isinstance(x, keras.layers.Dense)
    ]
    assert dense == [64] and model.encoder.output_shape == (None, 1024)

"""Every shipped gin file makes a model of its data set's observations, and an optimiser."""

import math

import gin
import keras
import pytest

import zoo.configurables  # noqa: F401  registers what gin files name
from zoo import config, data
from zoo.models.base import Model
from zoo.training.settings import Settings

# Loading a data set to learn its shape would draw it first.
SHAPES = {
    "zoo_dsprites": (64, 64, 1),
    "zoo_shapes3d": (64, 64, 3),
    "zoo_balls": (64, 64, 3),
    "zoo_sprite_pairs": (64, 64, 3),
    "zoo_sprites": (64, 64, 3),
    "zoo_clevr6": (128, 128, 3),
    "mnist": (28, 28, 1),
    "fashion_mnist": (28, 28, 1),
    "celeb_a": (64, 64, 3),
    "zoo_domains/shapes3d_two": (64, 64, 3),
    "zoo_domains/shapes3d_two_32": (32, 32, 3),
    "zoo_domains/celeb_a_two": (64, 64, 3),
    "zoo_synthetic/additive_1.0": (10,),
    "zoo_synthetic/gaussian": (5,),
    "zoo_synthetic/linear": (3,),
    "zoo_synthetic/nonlinear": (6,),
    "zoo_synthetic/nonlinear_aligned": (6,),
    "zoo_synthetic/shared_pair_5": (4,),
}


@pytest.fixture(autouse=True)
def _clean():
    yield
    gin.clear_config()


@pytest.mark.parametrize("file", [file for file in config.shipped() if "perturb" not in file])
def test_makes_its_model(file):
    config.parse([file])
    settings = Settings()
    name = settings.dataset.partition("[")[0]
    shape = SHAPES.get(name, SHAPES.get(name.partition("/")[0]))
    assert shape, f"the shape of {settings.dataset} is missing above"
    model = settings.model(shape)
    assert isinstance(model, Model) and tuple(model.observation_shape) == shape
    assert isinstance(settings.optimizer(), keras.optimizers.Optimizer)
    # A paper's own settings must reach the model that it trains, not one of its bases.
    bound = gin.query_parameter(f"{type(model).__name__}.latent_dim")
    assert model.latent_dim == bound


def _shipped_of(paper: str) -> list[str]:
    files = [file for file in config.shipped() if f"papers/{paper}/" in str(file)]
    assert files
    return files


@pytest.mark.parametrize("file", _shipped_of("additive_decoders"))
def test_additive_decoders_are_selected_by_the_validation_loss_of_every_epoch(file):
    """As in the authors' code, on a fourth as many images as they are trained on."""
    config.parse([file])
    settings = Settings()
    trained, validated = data.load(settings.dataset), data.load(settings.validation_dataset)
    assert settings.select == "loss" and len(trained) == 4 * len(validated)
    assert settings.dataset.partition("[")[0] == settings.validation_dataset.partition("[")[0]
    assert not set(trained.ids) & set(validated.ids)
    assert settings.select_every == math.ceil(len(trained) / settings.batch_size)
    assert settings.steps % settings.select_every == 0


@pytest.mark.parametrize("file", _shipped_of("interaction_asymmetry"))
def test_slots_are_selected_on_as_many_images_as_the_authors_take(file):
    """The first 12 of every batch of 50: of 5,000 validation images of Sprites, 2,000 of CLEVR6."""
    config.parse([file])
    settings = Settings()
    images = {"zoo_sprites/full[validation]": 5_000, "zoo_clevr6/official[validation]": 2_000}
    assert settings.select_images == 12 * images[settings.validation_dataset] // 50


def test_networks_of_celeba_are_those_of_the_table():
    """Zietlow 2022, Table 3.1: filters, sides of the kernels and strides, nothing else."""
    config.parse(["gin/papers/zietlow/table_3_1_celeba.gin"])
    model = Settings().model((64, 64, 3))
    networks = {
        keras.layers.Conv2D: (model.encoder, [(32, 4, 2), (32, 4, 2), (64, 4, 2), (64, 4, 2)]),
        keras.layers.Conv2DTranspose: (
            model.decoder,
            [(64, 4, 2), (32, 4, 2), (32, 4, 2), (3, 4, 2)],
        ),
    }
    for kind, (network, wanted) in networks.items():
        found = [layer for layer in network.layers if isinstance(layer, kind)]
        assert [(x.filters, x.kernel_size[0], x.strides[0]) for x in found] == wanted
    dense = [
        x.units
        for n in (model.encoder, model.decoder)
        for x in n.layers
        if isinstance(x, keras.layers.Dense)
    ]
    assert dense == [64] and model.encoder.output_shape == (None, 1024)

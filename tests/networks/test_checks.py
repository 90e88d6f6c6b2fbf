"""Networks say in a line what they cannot be made of, whatever the data set and the config."""

import pytest

from zoo.errors import SettingError
from zoo.networks.additive import moment_encoder, object_decoder, resnet18_encoder
from zoo.networks.convolutional import conv_decoder, conv_encoder
from zoo.networks.dense import mlp_decoder, mlp_encoder
from zoo.networks.discriminators import mlp_discriminator
from zoo.networks.maxout import maxout_encoder
from zoo.networks.pair_discriminators import gan_decoder, match_discriminator, rank_discriminator
from zoo.networks.slot_decoders import broadcast_slot_decoder, transformer_slot_decoder
from zoo.networks.slot_encoders import slot_attention_encoder, transformer_slot_encoder
from zoo.networks.spectral import spectral_encoder
from zoo.networks.style_gan import style_discriminator, style_generator

IMAGES, VECTORS = (16, 16, 1), (10,)
POSITIVE = "give whole numbers of at least 1"
NOT_NEGATIVE = "give a number that is not negative"
SLOPE = "give a number from 0 to 1"
FOUR = "give one for each of four convolutions"
ENCODERS = conv_encoder, resnet18_encoder, moment_encoder, spectral_encoder
DECODERS = conv_decoder, object_decoder, gan_decoder


@pytest.mark.parametrize("network", [*ENCODERS, *DECODERS])
def test_vectors_are_refused_by_networks_of_images(network):
    arguments = (VECTORS,) if network in ENCODERS else (3, VECTORS)
    message = rf"^{network.__name__} takes images, not data of shape \(10,\); choose another netw"
    with pytest.raises(SettingError, match=message):
        network(*arguments)


@pytest.mark.parametrize(
    ("network", "arguments"),
    [
        (match_discriminator, (VECTORS, 3)),
        (rank_discriminator, (VECTORS, 3)),
        (style_discriminator, (VECTORS, 3)),
        (style_generator, (3, VECTORS)),
    ],
)
def test_vectors_are_refused_by_networks_of_gans(network, arguments):
    message = rf"^{network.__name__} takes images, not data of shape \(10,\); choose another data"
    with pytest.raises(SettingError, match=message):
        network(*arguments)


@pytest.mark.parametrize(
    ("network", "arguments", "setting", "message"),
    [
        (conv_encoder, (IMAGES,), {"layers": ((32, 4, 0),)}, POSITIVE),
        (conv_encoder, (IMAGES,), {"layers": (32, 4, 2)}, "give filters, side of the kernel and"),
        (conv_encoder, (IMAGES,), {"units": (0,)}, POSITIVE),
        (conv_decoder, (3, IMAGES), {"layers": ((32, 4),)}, "give filters, side of the kernel and"),
        (conv_decoder, (3, IMAGES), {"grid_filters": 0}, POSITIVE),
        (mlp_encoder, (VECTORS,), {"units": (0,)}, POSITIVE),
        (mlp_encoder, (VECTORS,), {"units": (2.5,)}, POSITIVE),
        (mlp_encoder, (VECTORS,), {"activation": "reluu"}, "'reluu'; give one of Keras"),
        (mlp_decoder, (3, VECTORS), {"units": (-1,)}, POSITIVE),
        (mlp_decoder, (3, VECTORS), {"activation": "reluu"}, "'reluu'; give one of Keras"),
        (object_decoder, (3, IMAGES), {"activation": "reluu"}, "'reluu'; give one of Keras"),
        (object_decoder, (3, IMAGES), {"filters": (4, 0)}, POSITIVE),
        (resnet18_encoder, (IMAGES,), {"filters": 0}, POSITIVE),
        (moment_encoder, (IMAGES,), {"order": 0}, POSITIVE),
        (spectral_encoder, (IMAGES,), {"filters": (0,)}, POSITIVE),
        (mlp_discriminator, (3,), {"units": (0,)}, POSITIVE),
        (maxout_encoder, (VECTORS,), {"units": (0,)}, POSITIVE),
        (transformer_slot_encoder, (IMAGES, 2, 4), {"layers": 0}, POSITIVE),
        (transformer_slot_encoder, (IMAGES, 2, 4), {"layers": -1}, POSITIVE),
        (transformer_slot_encoder, (IMAGES, 2, 4), {"heads": 0}, POSITIVE),
        (transformer_slot_encoder, (IMAGES, 2, 4), {"channels": 0}, POSITIVE),
        (transformer_slot_encoder, (IMAGES, 2, 4), {"strides": (0, 1, 1, 1)}, POSITIVE),
        (transformer_slot_encoder, (IMAGES, 2, 4), {"strides": (2, 2)}, FOUR),
        (slot_attention_encoder, (IMAGES, 2, 4), {"strides": (1,) * 5}, FOUR),
        (slot_attention_encoder, (IMAGES, 2, 4), {"channels": 0}, POSITIVE),
        (slot_attention_encoder, (IMAGES, 2, 4), {"hidden": 0}, POSITIVE),
        (slot_attention_encoder, (IMAGES, 2, 4), {"iterations": -1}, NOT_NEGATIVE),
        (transformer_slot_decoder, (2, 4, IMAGES), {"width": 0}, POSITIVE),
        (transformer_slot_decoder, (2, 4, IMAGES), {"slot_hidden": 0}, POSITIVE),
        (transformer_slot_decoder, (2, 4, IMAGES), {"query_width": 0}, POSITIVE),
        (transformer_slot_decoder, (2, 4, IMAGES), {"query_hidden": 0}, POSITIVE),
        (transformer_slot_decoder, (2, 4, IMAGES), {"layers": 0}, POSITIVE),
        (transformer_slot_decoder, (2, 4, IMAGES), {"heads": 0}, POSITIVE),
        (transformer_slot_decoder, (2, 4, IMAGES), {"octaves": 0}, POSITIVE),
        (broadcast_slot_decoder, (2, 4, IMAGES), {"channels": 0}, POSITIVE),
        (broadcast_slot_decoder, (2, 4, IMAGES), {"start": 0}, POSITIVE),
        (broadcast_slot_decoder, (2, 4, IMAGES), {"doublings": -1}, NOT_NEGATIVE),
        (style_generator, (3, IMAGES), {"filters": (4, 0)}, POSITIVE),
        (style_generator, (3, IMAGES), {"style_dim": 0}, POSITIVE),
        (style_generator, (3, IMAGES), {"mapping_layers": 0}, POSITIVE),
        (style_discriminator, (IMAGES, 2), {"filters": (4, 0)}, POSITIVE),
        (style_discriminator, (IMAGES, 2), {"embedding": 0}, POSITIVE),
        (style_discriminator, (IMAGES, 2), {"group": 0}, POSITIVE),
        (style_discriminator, (IMAGES, 2), {"group": -2}, POSITIVE),
        (match_discriminator, (IMAGES, 3), {"filters": (0,)}, POSITIVE),
        (match_discriminator, (IMAGES, 3), {"units": 0}, POSITIVE),
        (rank_discriminator, (IMAGES, 3), {"filters": (0,)}, POSITIVE),
        (rank_discriminator, (IMAGES, 3), {"units": 0}, POSITIVE),
        (mlp_discriminator, (3,), {"negative_slope": -0.2}, SLOPE),
        (mlp_discriminator, (3,), {"negative_slope": 1.5}, SLOPE),
        (resnet18_encoder, (IMAGES,), {"slope": -1.0}, SLOPE),
        (object_decoder, (3, IMAGES), {"slope": 2.0}, SLOPE),
        (gan_decoder, (3, IMAGES), {"slope": -1.0}, SLOPE),
        (spectral_encoder, (IMAGES,), {"slope": 2.0}, SLOPE),
        (spectral_encoder, (IMAGES,), {"slope": float("nan")}, SLOPE),
        (match_discriminator, (IMAGES, 3), {"slope": 2.0}, SLOPE),
        (rank_discriminator, (IMAGES, 3), {"slope": -0.1}, SLOPE),
    ],
)
def test_settings_that_cannot_be_are_named(network, arguments, setting, message):
    with pytest.raises(SettingError) as raised:
        network(*arguments, **setting)
    line = str(raised.value)
    assert line.startswith(f"{network.__name__}.{next(iter(setting))} is ") and message in line

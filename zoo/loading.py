"""Trained models, loaded: what `zoo.load` returns."""

import os
from typing import Any

import gin

from zoo import cli, config
from zoo.errors import SettingError
from zoo.hub import Pretrained
from zoo.hub import load as load_as


class Trained(Pretrained):
    """A loaded model that can be trained further, too; see `zoo.hub.Pretrained` for the rest."""

    def trainable(self) -> Any:
        """The Keras model with these weights, in float32, to be trained further.

        It is made anew at every call, of the config in the card, and belongs to no run. A model of
        one's own needs its module to be imported first.

            model = zoo.load("beta_vae/dsprites").trainable()
            model.bind(keras.optimizers.Adam(1e-4))
            model.update({"image": images}, tf.constant([0, 1]), tf.constant(0), replicas=1)

        Returns:
            A `zoo.models.base.Model`, which is a `keras.Model`.

        Raises:
            UserError: it is no model of `zoo.train`, or its config imports a module that has not
                been imported.
        """
        weights = self.path / "model.weights.h5"
        text = self.card.get("config") or ""
        if "train.model" not in config.bindings_of(text) or not weights.is_file():
            raise SettingError(
                f"{self!r} is no model that zoo.train exported: its card has no train.model, or "
                "its folder no model.weights.h5"
            )
        cli.import_tensorflow()
        import keras

        import zoo.configurables  # noqa: F401  registers what the config names

        before = keras.config.dtype_policy()
        keras.config.set_dtype_policy("float32")
        try:
            with config.read(text):
                make = gin.query_parameter("train.model").scoped_configurable_fn
                model = make(self.image_shape)
        finally:
            keras.config.set_dtype_policy(before)
        model.load_weights(weights)
        return model


def load(
    name_or_path: str | os.PathLike, version: str | None = None, hub: str | None = None
) -> Trained:
    """`zoo.hub.load`, which says what may be given and what is raised."""
    return load_as(name_or_path, version, Trained, hub)

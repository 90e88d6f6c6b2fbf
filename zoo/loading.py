"""Trained models, loaded: what `zoo.load` returns."""

import copy
import functools
import math
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import gin

from zoo import cli, config, gin_checks, gin_files
from zoo.errors import SettingError, UserError
from zoo.hub import Pretrained
from zoo.hub import load as load_as

# How far a score of weights in half precision may be from that in float32; of itself above 1.
TOLERANCE = 0.005


class Trained(Pretrained):
    """A loaded model that can be trained further, too; see `zoo.hub.Pretrained` for the rest."""

    def trainable(self) -> Any:
        """The Keras model with these weights, in float32, to be trained further.

        Every call builds a new one from the config in the card; it belongs to no run. For a model
        of your own, import its module first.

            model = zoo.load("beta_vae/dsprites").trainable()
            model.bind(keras.optimizers.Adam(1e-4))
            model.update({"image": images}, tf.constant([0, 1]), tf.constant(0), replicas=1)

        Returns:
            A `zoo.models.base.Model`, which is a `keras.Model`.

        Raises:
            UserError: it is no model of `zoo.train`; its config is of another state of this
                package, names what is not registered with gin, or imports a module that has not
                been imported.
        """
        if "train.model" not in config.bindings_of(self.card.get("config") or ""):
            raise SettingError(
                f"{self!r} is no model that zoo.train exported: its card has no train.model"
            )
        cli.import_tensorflow()
        import keras

        with gin.unlock_config():
            import zoo.configurables  # noqa: F401  registers what the config names
        from zoo.hub import weights

        before = keras.config.dtype_policy()
        keras.config.set_dtype_policy("float32")
        try:
            with config.read(self.card["config"]):
                # As gin does it where the parameter is used: a macro gives what it stands for.
                make = copy.deepcopy(gin.query_parameter("train.model"))
                model = make(self.image_shape)
        except gin_files.ConfigError as error:
            raise SettingError(
                f"{self!r} computes, but cannot be trained further here: {error}"
            ) from None
        except ValueError as error:
            # Gin's, where a reference is used that was not known when the config was read.
            name = gin_checks.unknown(str(error))
            if not name:
                raise
            raise SettingError(
                f"{self!r} computes, but cannot be trained further here: its config names "
                f"{name}, which is not registered with gin; define it or import its module "
                "first"
            ) from None
        finally:
            keras.config.set_dtype_policy(before)
        weights.assign(model, self.path)
        return model


def load(
    name_or_path: str | os.PathLike, version: str | None = None, hub: str | None = None
) -> Trained:
    """Loads a pretrained model by name, or an exported one by path.

    Every file is checked against its recorded sha256 before TensorFlow sees it. A name of this
    package's own hubs wins over a directory of the same name (write `./` before the latter), and a
    directory over a name of the hubs in `ZOO_HUB`.

    Args:
        name_or_path: a name of `zoo.names()`, the folder of a run, or of an exported model.
        version: of a named model; the newest if None.
        hub: the address of the hub whose model is meant: a folder, https or `hf://owner/repo`; by
            default the first that has the name.

    Raises:
        UserError: there is no such name, path or hub, or neither a hub nor a mirror has the model
            intact, or the folder holds no whole, unaltered model.
    """
    return load_as(name_or_path, version, Trained, hub)


def halve(
    path: str | os.PathLike, out: str | os.PathLike | None = None, trust: bool = False
) -> tuple[Mapping[str, Any], pathlib.Path]:
    """Exports a trained model again, with its weights in half precision, and scores it.

    The scores on its card become those of the model that is written. Nothing is
    written where rounding changes one by more than `TOLERANCE`.

    Args:
        path: of a run, or of an exported model.
        out: the folder to write; by default that of the exported model, which is replaced.
        trust: whether its config may import modules, as `zoo.config.parse` takes it.

    Returns:
        The card as written, and the folder.

    Raises:
        UserError: as `Trained.trainable`, a score or the images it is of have changed, or `out` is
            there and no exported model.
    """
    if not pathlib.Path(path).is_dir():
        raise SettingError(f"there is no folder {path}: name a run's, or an exported model's")
    trained = load(pathlib.Path(path))
    import zoo.configurables  # noqa: F401  registers what the config names
    from zoo import data, evaluation, runs, scoring
    from zoo.hub import export, weights
    from zoo.training.settings import Settings

    written = trained.path / "config.gin"
    config.parse([str(written)], trust=trust)
    settings = config.made(Settings)
    target = pathlib.Path(out or trained.path)
    export.require_replaceable(target)
    model, card = trained.trainable(), dict(trained.card)
    # Scores of the training that had no value are not among them.
    names = list(card.get("scores") or ())
    how = {"seed": settings.seed, "options": settings.options_of(names)}

    dataset = data.load(settings.test_dataset or settings.dataset) if names else None
    if dataset:
        otherwise = "publish the model as it is"
        scoring.require_same_images(trained, dataset, f"{path}: ", otherwise)

    def scores() -> dict[str, float]:
        if not names:
            return {}
        return scoring.headline(evaluation.evaluate(model, dataset, ",".join(names), **how))

    before = scores()
    weights.round_to_half(model)
    card |= {"scores": scores(), "weights": "float16"}
    # It is not what was published under it.
    card.pop("version", None)
    for name, value in before.items():
        now = card["scores"].get(name, math.inf)
        if not abs(now - value) <= TOLERANCE * max(1, abs(value)):
            raise UserError(
                f"{path}: {name} is {now:.4f} with weights in half precision and {value:.4f} "
                "without; nothing was written, publish the model as it is"
            )
    made_of = functools.partial(export.Exported, half=True)
    with runs.locked_around(target):
        return export.export(model, target, gin_files.read(written), card, made_of), target

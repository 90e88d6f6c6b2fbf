"""Writes a trained model as a SavedModel with its weights, config and card beside it."""

import io
import pathlib
import shutil
import tempfile
from collections.abc import Callable, Mapping

import keras
import tensorflow as tf

from zoo import files
from zoo.errors import UserError
from zoo.hub import endpoints, package
from zoo.models.base import Encoder, Generator


class Exported(tf.Module):
    """The endpoints that a model has, as `zoo.hub.endpoints` declares them.

    `tf.saved_model.load` returns them without this package. A model without decoder has `encode`
    and `posterior` at most.
    """

    def __init__(self, model: Encoder | Generator):
        super().__init__()
        self.model = model
        for endpoint in endpoints.DECLARED.values():
            if function := endpoint.of(model):
                specs = [_spec(name, model) for name in endpoint.arguments]
                setattr(self, endpoint.name, tf.function(function, specs, autograph=False))


def _spec(argument: str, model: Encoder | Generator) -> tf.TensorSpec:
    shape, dtype = endpoints.ARGUMENTS[argument]
    return tf.TensorSpec(shape(model), dtype, name=argument)


def export(
    model: keras.Model,
    folder: pathlib.Path,
    config: str,
    card: Mapping,
    made_of: Callable[..., tf.Module] = Exported,
) -> dict:
    """Writes `folder` at once or not at all; an older one is replaced.

    Args:
        model: its endpoints are written in the precision it was built with.
        folder: where.
        config: the operative gin text.
        card: see `zoo.hub.package.seal`.
        made_of: makes what is saved of the model.

    Returns:
        The card as written.

    Raises:
        UserError: TensorFlow cannot write it, as on a full disk.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = pathlib.Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        made = temporary / folder.name
        try:
            tf.saved_model.save(made_of(model), str(made))
        except tf.errors.OpError as error:
            raise UserError(
                f"the model could not be written to {folder} ({files.reason(error)}); "
                "free some disk space and run the same command again"
            ) from None
        # A stable name inside: the fingerprint TensorFlow adds differs from run to run.
        (made / "fingerprint.pb").unlink(missing_ok=True)
        _save_weights(model, made / "model.weights.h5")
        (made / "config.gin").write_text(config)
        written = package.seal(made, card)
        files.sync_tree(made)
        if folder.exists():
            folder.rename(temporary / "old")
        made.rename(folder)
        files.sync(folder.parent)
        return written
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


class _Memory(io.BytesIO):
    """A file in memory that has a name, which Keras asks for."""

    def __init__(self, path: pathlib.Path):
        super().__init__()
        self._path = path

    def __str__(self) -> str:
        return str(self._path)


def _save_weights(model: keras.Model, path: pathlib.Path) -> None:
    # HDF5 ends the process with a segmentation fault where the disk is full.
    memory = _Memory(path)
    model.save_weights(memory)
    # Versions of Keras that write to no file in memory have written to its name.
    if content := memory.getbuffer():
        path.write_bytes(content)

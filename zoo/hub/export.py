"""Writes a trained model as a SavedModel with its config and card beside it."""

import functools
import os
import pathlib
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence

import keras
import tensorflow as tf

from zoo import files
from zoo.errors import UserError
from zoo.hub import endpoints, package, weights
from zoo.models.base import Encoder, Generator


class Exported(tf.Module):
    """The endpoints that a model has, as `zoo.hub.endpoints` declares them.

    `tf.saved_model.load` returns them without this package. A model without decoder has `encode`
    and `posterior` at most. With `half` the weights are kept in float16, in half the space; the
    endpoints compute with them in the precision of the model.
    """

    def __init__(self, model: Encoder | Generator, half: bool = False):
        super().__init__()
        self.model, kept = weights.halved(model) if half else (model, [])
        for endpoint in endpoints.DECLARED.values():
            if function := endpoint.of(model):
                specs = [_spec(name, model) for name in endpoint.arguments]
                taken = _with_weights(function, kept) if half else function
                setattr(self, endpoint.name, tf.function(taken, specs, autograph=False))


def _spec(argument: str, model: Encoder | Generator) -> tf.TensorSpec:
    shape, dtype = endpoints.ARGUMENTS[argument]
    return tf.TensorSpec(shape(model), dtype, name=argument)


def _with_weights(
    function: Callable, kept: Sequence[tuple[keras.Variable, tf.Variable]]
) -> Callable:
    """A function of a model that takes these values for the model's own variables."""

    @functools.wraps(function)
    def call(*args):
        values = [(variable, tf.cast(copy, variable.dtype)) for variable, copy in kept]
        with keras.StatelessScope(state_mapping=values):
            return function(*args)

    return call


def require_replaceable(folder: pathlib.Path) -> None:
    """Refuses to write an exported model where something else is.

    Raises:
        UserError: `folder` is there, is not empty, and holds no exported model, or one that is
            published.
    """
    if not os.path.lexists(folder):
        return
    if folder.is_dir():
        names = {path.name for path in folder.iterdir()}
        if names >= {package.CARD, package.SAVED_MODEL}:
            _require_unpublished(folder)
            return
        if not names:
            return
    raise UserError(
        f"{folder} is there and is no exported model, so it is not replaced; name another folder "
        "or move it away"
    )


def _require_unpublished(folder: pathlib.Path) -> None:
    try:
        card = package.read_card(folder)
    except package.PackageError:
        return
    if "version" in card:
        raise UserError(
            f"{folder} holds {card.get('name')} {card['version']}, and a published version never "
            "changes; name another folder"
        )


def export(
    model: keras.Model,
    folder: pathlib.Path,
    config: str,
    card: Mapping,
    made_of: Callable[..., tf.Module] = Exported,
) -> dict:
    """Writes `folder` at once or not at all; an exported model there is replaced.

    Args:
        model: its endpoints are written in the precision it was built with.
        folder: where.
        config: the operative gin text.
        card: see `zoo.hub.package.seal`.
        made_of: makes what is saved of the model.

    Returns:
        The card as written.

    Raises:
        UserError: TensorFlow cannot write it, as on a full disk, or `require_replaceable`.
    """
    require_replaceable(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    prefix = files.temporary_prefix(folder.name)
    temporary = pathlib.Path(tempfile.mkdtemp(prefix=prefix, dir=folder.parent))
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
        (made / "config.gin").write_text(config, encoding="utf-8")
        written = package.seal(made, card)
        files.sync_tree(made)
        old = temporary / "old"
        try:
            if folder.exists():
                folder.rename(old)
            made.rename(folder)
        except BaseException:
            # Interrupted between the two: the older model is still the one there is.
            if old.exists() and not os.path.lexists(folder):
                old.rename(folder)
            raise
        files.sync(folder.parent)
        return written
    finally:
        shutil.rmtree(temporary, ignore_errors=True)

"""The weights of an exported model, by the names under which TensorFlow tracks them.

A SavedModel keeps its variables in a checkpoint, `variables/`, with a graph of the objects they
belong to. Models that the same code makes have the same graph, whatever Keras names their layers.
"""

import os

import keras
import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf.trackable_object_graph_pb2 import TrackableObjectGraph

from zoo.files import literal
from zoo.hub import package

_VARIABLE = (keras.Variable, tf.Variable)


def assign(model: keras.Model, folder: str | os.PathLike) -> None:
    """Gives a built model the weights of an exported one, in the types that its own have.

    Args:
        model: of the code and the config that made the exported one.
        folder: of the exported model, verified.

    Raises:
        PackageError: the weights there are those of another model; the model keeps its own.
    """
    tensors = _tensors(folder)
    nodes = TrackableObjectGraph.FromString(tensors["_CHECKPOINTABLE_OBJECT_GRAPH"]).nodes
    found = {}

    def walk(trackable: tf.Module, number: int) -> None:
        kept = {child.local_name: child.node_id for child in nodes[number].children}
        for name, child in tf.train.TrackableView.children(trackable).items():
            if name in kept and id(child) not in found:
                keys = [each.checkpoint_key for each in nodes[kept[name]].attributes]
                found[id(child)] = keys[0] if keys else ""
                walk(child, kept[name])

    for child in nodes[0].children:
        if child.local_name == "model":
            walk(model, child.node_id)
    for variable in model.weights:
        kept = tensors.get(found.get(id(variable)))
        if kept is None or kept.shape != tuple(variable.shape):
            raise package.PackageError(
                f"{folder} holds the weights of another model than its config makes here: for "
                f"{variable.path} {list(variable.shape)} it has "
                f"{'nothing' if kept is None else list(kept.shape)}"
            )
    for variable in model.weights:
        variable.assign(tensors[found[id(variable)]].astype(variable.dtype))


def _tensors(folder: str | os.PathLike) -> dict[str, np.ndarray | bytes]:
    """All that the checkpoint of an exported model holds, by name."""
    with literal(folder) as path:
        reader = tf.train.load_checkpoint(os.path.join(path, "variables", "variables"))
        return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


def round_to_half(model: keras.Model) -> None:
    """Rounds the weights of a model to values that float16 holds, as an export of half does.

    Raises:
        PackageError: one is too large.
    """
    for variable in model.weights:
        variable.assign(_half(variable.numpy()))


def halved(model: keras.Model) -> tuple[tf.Module, list[tuple[keras.Variable, tf.Variable]]]:
    """The weights of a model in half precision.

    Returns:
        A module that tracks them by the names by which the model tracks its own; and each variable
        of the model with its copy, of type float16 where it is of floats itself.
    """
    copies = {}
    pairs = []

    def copy(trackable: tf.Module) -> tf.Module:
        if id(trackable) not in copies:
            if isinstance(trackable, _VARIABLE):
                made = tf.Variable(_half(trackable.numpy()), trainable=False)
                pairs.append((trackable, made))
                copies[id(trackable)] = made
            else:
                copies[id(trackable)] = made = tf.Module()
                for name, child in tf.train.TrackableView.children(trackable).items():
                    setattr(made, name, copy(child))
        return copies[id(trackable)]

    return copy(model), pairs


def _half(value: np.ndarray) -> np.ndarray:
    if not np.issubdtype(value.dtype, np.floating):
        return value
    limit = np.finfo(np.float16).max
    if not (np.abs(value) <= limit).all():
        raise package.PackageError(f"weights are beyond {limit:g}, the largest number of float16")
    return value.astype(np.float16)

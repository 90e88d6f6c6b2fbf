"""Training from Python, as `python -m zoo.train` does it."""

import inspect
import os
import pathlib
import signal
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gin

from zoo import cli, config
from zoo.errors import SettingError
from zoo.loading import Trained, load


def fit(
    gin_file: str | os.PathLike | Sequence[str | os.PathLike],
    bindings: Mapping[str, Any] | Sequence[str] = (),
    run_dir: str | os.PathLike | None = None,
    callbacks: Sequence[Callable[[int, Mapping, Any], Any]] = (),
) -> Trained | None:
    """Trains a model from a gin file, or resumes a run, and loads the result.

    It is the same run as that of `python -m zoo.train` with these arguments: either resumes
    what the other began, and a finished run is only loaded. What gin was bound to before is bound
    again afterwards; the random seeds of Python, NumPy and Keras are left as the training set them.
    Modules that the gin file imports are found in the working directory, too, and are executed.

        model = zoo.fit("gin/beta_vae.gin", {"BetaVAE.beta": 8.0, "train.steps": 500}, "runs/beta8")
        model.encode(images)

    Args:
        gin_file: in the working directory or in the package; or several.
        bindings: what wins over the files, values by name or lines of gin. A value is what gin can
            hold, or a class or function registered with gin; a string that begins with `@` or `%`
            is a reference.
        run_dir: the folder of the run; by default `runs/<name of the gin file>`.
        callbacks: functions of the number of updates done, the record of the log (losses, rates and
            probes by name), and the Keras model; called with every record. An exception that one
            raises ends the training run, which resumes later from its last checkpoint.

    Returns:
        The run's model as `zoo.load(run_dir)` returns it; None where it has no `encode`, and is not
        exported.

    Raises:
        UserError: what the command reports in one line; nothing is lost.
        KeyboardInterrupt: as a notebook's stop button raises; the step is saved.
    """
    files = [gin_file] if isinstance(gin_file, str | os.PathLike) else gin_file
    files = [os.fspath(file) for file in files]
    if not files:
        raise SettingError("zoo.fit: give a gin file, for example gin/beta_vae.gin")
    folder = os.fspath(run_dir) if run_dir else cli.default_run_dir(files)
    if callable(callbacks):
        raise SettingError(f"zoo.fit: callbacks is {callbacks!r}; give a list of functions")
    for callback in callbacks:
        _check_callback(callback)
    cli.import_tensorflow(folder)
    with config.apart():
        with gin.unlock_config():
            import zoo.configurables  # noqa: F401  registers what gin files name
        from zoo.stopping import Stopped
        from zoo.training.run import train
        from zoo.training.settings import Settings

        # A name that is one of this package's, too, is given in full once that is registered.
        config.parse(files, config.as_bindings(bindings))
        try:
            train(config.made(Settings), folder, callbacks=callbacks)
        except Stopped as stopped:
            if stopped.code != 128 + signal.SIGINT:
                raise
            raise KeyboardInterrupt(f"{folder} is saved; the same call resumes it") from None
    exported = pathlib.Path(folder, "saved_model")
    return load(exported) if exported.is_dir() else None


def _check_callback(callback: Callable) -> None:
    if not callable(callback):
        raise SettingError(f"zoo.fit: the callback {callback!r} is no function")
    try:
        inspect.signature(callback).bind(0, {}, None)
    except TypeError as error:
        raise SettingError(
            f"zoo.fit: the callback {callback!r} must take (step, values, model): {error}"
        ) from None
    except ValueError:
        # What is not written in Python may tell no signature.
        return

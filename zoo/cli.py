"""What every command shares: fast parsing, one-line errors, exit codes."""

import argparse
import contextlib
import errno
import os
import pathlib
import sys
import tempfile
from collections.abc import Callable, Sequence

from zoo.errors import UserError


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line."""

    def error(self, message: str):
        """Prints the error and exits with code 2."""
        self.exit(2, f"{self.prog}: error: {message}; see {self.prog} --help\n")


def gin_arguments(
    module: str, description: str, example: str, argv: Sequence[str] | None
) -> argparse.Namespace:
    """Parses what commands take that train by gin files: `gin_file`, `gin_bindings`, `run_dir`.

    Args:
        module: of the command.
        description: for `--help`.
        example: a gin file to name where none is given.
        argv: the arguments; the process's if None.
    """
    parser = Parser(prog=f"python -m {module}", description=description)
    parser.add_argument(
        "--gin_file",
        action="append",
        default=[],
        metavar="FILE",
        help="a gin config, found in the working directory or in the package; repeatable",
    )
    parser.add_argument(
        "--gin_bindings",
        action="append",
        default=[],
        metavar="BINDING",
        help="one more binding, for example 'BetaVAE.beta = 8'; repeatable, wins over the files",
    )
    parser.add_argument(
        "--run_dir", help="the folder of the run (default: runs/<name of the gin file>)"
    )
    options = parser.parse_args(argv)
    if not options.gin_file:
        parser.error(f"give a --gin_file, for example --gin_file={example}")
    from zoo import config

    files = [config.find(file) for file in options.gin_file]
    options.run_dir = options.run_dir or f"runs/{pathlib.Path(files[0]).stem}"
    return options


def import_tensorflow(run_dir: str | None = None) -> None:
    """Imports TensorFlow without the notes that its libraries write to stderr on the way.

    Args:
        run_dir: a run that is gone on with: TensorFlow gets the settings that it was begun with.
    """
    if run_dir:
        from zoo import machine, runs

        machine.restore(runs.RunFolder(pathlib.Path(run_dir)).facts().get("machine"))
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with tempfile.TemporaryFile() as notes, contextlib.ExitStack() as after:
        sys.stderr.flush()
        stderr = os.dup(2)
        after.callback(os.close, stderr)
        after.callback(os.dup2, stderr, 2)
        os.dup2(notes.fileno(), 2)
        import tensorflow as tf

        tf.config.list_logical_devices()


def run(main: Callable[[Sequence[str] | None], None], argv: Sequence[str] | None = None) -> None:
    """Calls a command's `main`, turning what went wrong into one line and exit code 2."""
    try:
        main(argv)
    except UserError as error:
        # Gin appends where it was called from; the first line is ours.
        _fail(str(error).splitlines()[0])
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        where = f" while writing {error.filename}" if error.filename else ""
        _fail(f"no space left on the disk{where}; free some and run the same command again")
    except KeyboardInterrupt:
        print("\ninterrupted; the same command goes on from the last checkpoint", file=sys.stderr)
        sys.exit(130)


def _fail(message: str) -> None:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(2)

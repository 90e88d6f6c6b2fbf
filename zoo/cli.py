"""What every command shares: fast parsing, one-line errors, exit codes, diagnostics.

A command is two functions, of which `command` makes one:

    def _parse(argv): ...            its arguments, a namespace: nothing heavy is imported here

    @cli.command(_parse)
    def main(options): ...           does it

    if __name__ == "__main__":
        cli.run(main)

Results (tables, JSON, paths) go to standard output. Progress and diagnostics go through
`absl.logging` to standard error, without prefix and past progress bars: `logging.info` for
progress, `logging.warning` for what a user should know of, which `warning: ` precedes.
"""

import argparse
import contextlib
import errno
import functools
import logging as standard_logging
import os
import pathlib
import select
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Sequence

from absl import app, flags, logging
from absl.flags import argparse_flags

from zoo import stopping
from zoo.errors import UserError

# Where a file cannot be written or read as it is named, and what of it a user can mend.
_DENIED = errno.EACCES, errno.EPERM, errno.EROFS
_PLACES = *_DENIED, errno.EISDIR, errno.ENOTDIR, errno.ENAMETOOLONG
_PACKAGE = os.path.dirname(os.path.abspath(__file__))
_VERBOSITY = (
    "--verbosity=-1 leaves out progress, --verbosity=1 shows more; --helpfull names all flags"
)


class Parser(argparse_flags.ArgumentParser):
    """An argument parser whose errors are one line; it also takes absl's flags."""

    def __init__(self, **options):
        super().__init__(**{"epilog": _VERBOSITY, **options})

    def error(self, message: str):
        """Prints the error and exits with code 2."""
        self.exit(2, f"{self.prog}: error: {message}; see {self.prog} --help\n")

    def parse_known_args(self, args=None, namespace=None):
        """As argparse's; a bad value of one of absl's flags is an error like any other."""
        # What an earlier command of this process was given is not meant for this one.
        flags.FLAGS["verbosity"].unparse()
        try:
            return super().parse_known_args(args, namespace)
        except flags.Error as error:
            self.error(" ".join(str(error).split()))


def command(parse: Callable[[Sequence[str]], argparse.Namespace]) -> Callable:
    """Makes a command of a function of its options.

    Args:
        parse: the arguments, without the program's name, to the options.

    Returns:
        A decorator. What it returns takes arguments, the process's if None, and does the command in
        this process, where errors are exceptions.
    """

    def decorate(execute: Callable[[argparse.Namespace], None]) -> Callable:
        @functools.wraps(execute)
        def main(argv: Sequence[str] | None = None) -> None:
            options = parse(sys.argv[1:] if argv is None else argv)
            _log_plainly()
            execute(options)

        main.parse, main.execute = parse, execute
        return main

    return decorate


def add_gin(parser: Parser, when: str = "") -> None:
    """Adds the arguments `gin_file` and `gin_bindings`; `when` stands before their help."""
    parser.add_argument(
        "--gin_file",
        action="append",
        default=[],
        metavar="FILE",
        help=f"{when}a gin config, found in the working directory or in the package; repeatable",
    )
    parser.add_argument(
        "--gin_bindings",
        action="append",
        default=[],
        metavar="BINDING",
        help=f"{when}one more binding, for example 'BetaVAE.beta = 8'; repeatable, wins over the "
        "files",
    )


def gin_arguments(
    module: str, description: str, example: str, argv: Sequence[str]
) -> argparse.Namespace:
    """Parses what commands take that train by gin files.

    These are `gin_file`, `gin_bindings`, `run_dir` and `start_over`.

    Args:
        module: of the command.
        description: for `--help`.
        example: a gin file to name where none is given.
        argv: the arguments.
    """
    parser = Parser(prog=f"python -m {module}", description=description)
    add_gin(parser)
    parser.add_argument(
        "--run_dir", help="the folder of the run (default: runs/<name of the gin file>)"
    )
    parser.add_argument(
        "--start_over",
        action="store_true",
        help="train from step 0 again where the folder has checkpoints and none can be read",
    )
    options = parser.parse_args(argv)
    if not options.gin_file:
        parser.error(f"give a --gin_file, for example --gin_file={example}")
    options.run_dir = options.run_dir or default_run_dir(options.gin_file)
    return options


def add_imports(parser: Parser, what: str = "data sets or scores") -> None:
    """Adds `--import`, of modules with parts of a user's own."""
    parser.add_argument(
        "--import",
        dest="imports",
        action="append",
        default=[],
        metavar="MODULE",
        help=f"a module of yours with {what}, also from the working directory; repeatable",
    )


def do_imports(modules: Sequence[str]) -> None:
    """Imports the modules that were given by `--import`; a ConfigError where there is none."""
    from zoo import config

    for module in modules:
        config.import_module(module, "--import: ")


def add_trust(parser: Parser) -> None:
    """Adds `--trust` to a command that reads a config which it finds in a folder."""
    parser.add_argument(
        "--trust",
        action="store_true",
        help="let the config in that folder import modules, which are executed; see SECURITY.md",
    )


def default_run_dir(gin_files: Sequence[str]) -> str:
    """The folder of a run whose folder is not named; a ConfigError where a gin file is missing."""
    from zoo import config

    files = [config.find(file) for file in gin_files]
    return f"runs/{files[0].stem}"


def import_tensorflow(run_dir: str | None = None) -> None:
    """Imports TensorFlow without the notes that its libraries write to stderr on the way.

    Args:
        run_dir: a run that is resumed: TensorFlow gets the settings that the run began with.
    """
    if run_dir:
        from zoo import machine, runs

        machine.restore(runs.RunFolder(pathlib.Path(run_dir)).facts().get("machine"))
    workers = "TF_CONFIG" in os.environ
    # Where another worker is gone, TensorFlow writes a page about what we say in a line.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3" if workers else "2")
    with tempfile.TemporaryFile() as notes, contextlib.ExitStack() as after:
        sys.stderr.flush()
        stderr = os.dup(2)
        after.callback(os.close, stderr)
        after.callback(os.dup2, stderr, 2)
        os.dup2(notes.fileno(), 2)
        import tensorflow as tf

        # Workers must meet before TensorFlow looks for devices.
        if not workers:
            tf.config.list_logical_devices()


def run(main: Callable, argv: Sequence[str] | None = None) -> None:
    """Runs a command to the end of the process by `absl.app.run`.

    What a user can mend becomes one line and exit code 2; with `ZOO_TRACEBACK=1` its traceback is
    printed too. SIGTERM, SIGHUP and SIGINT end it with 143, 129 and 130 (`zoo.stopping`), a reader
    that leaves (`| head`) with 141 (`piped`). Everything else is a defect of ours and stays a
    traceback.

    Args:
        main: what `command` made, or a function of the arguments.
        argv: the arguments without the program's name; the process's if None.
    """
    arguments = sys.argv if argv is None else [sys.argv[0], *argv]
    parse, execute = getattr(main, "parse", list), getattr(main, "execute", main)

    def parsed(arguments: Sequence[str]):
        options = parse(arguments[1:])
        flags.FLAGS.mark_as_parsed()
        return options

    def logged(options) -> None:
        _log_plainly()
        execute(options)

    try:
        with stopping.watched(), piped():
            app.run(logged, argv=arguments, flags_parser=parsed)
    except UserError as error:
        # Gin appends where it was called from; the first line is ours.
        _fail(str(error).splitlines()[0])
    except OSError as error:
        # Of the two that a move names, the second is meant, the first a temporary file.
        place = error.filename2 or error.filename
        if error.errno in _PLACES and place:
            _fail(f"{place}: {error.strerror}; name another place, or change its rights")
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        where = f" while writing {error.filename}" if error.filename else ""
        what = "no space left on the disk"
        if error.errno == errno.EFBIG:
            what = "the limit on the size of files is reached"
        _fail(f"{what}{where}; make room and run the same command again")
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        sys.exit(130)


@contextlib.contextmanager
def piped() -> Iterator[None]:
    """Within, a reader of standard output that leaves ends the process with 141, as SIGPIPE would.

    Other pipes that break are errors as ever.
    """
    try:
        try:
            yield
        finally:
            # None where it was closed before the process began (`>&-`).
            if sys.stdout:
                sys.stdout.flush()
    except BrokenPipeError:
        poll = select.poll()
        poll.register(sys.stdout.fileno(), 0)
        if not any(events & select.POLLERR for _, events in poll.poll(0)):
            raise
        # The interpreter flushes once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)


def _fail(message: str) -> None:
    if os.environ.get("ZOO_TRACEBACK", "") not in ("", "0"):
        traceback.print_exc()
    print(f"error: {message}", file=sys.stderr)
    sys.exit(2)


def _log_plainly() -> None:
    """Lets log lines be their text, on standard error and above progress bars."""
    logging.use_absl_handler()
    handler = logging.get_absl_handler()
    handler.setFormatter(_Line())
    handler.python_handler.setStream(_StandardError())
    if not any(isinstance(known, _Ours) for known in handler.filters):
        handler.addFilter(_Ours())
    if flags.FLAGS["verbosity"].using_default_value:
        flags.FLAGS.verbosity = logging.INFO


class _Line(standard_logging.Formatter):
    """The text, after `warning: ` or `error: ` where it is one."""

    def format(self, record: standard_logging.LogRecord) -> str:
        level = record.levelname.lower() + ": " if record.levelno > standard_logging.INFO else ""
        return level + super().format(record)


class _Ours(standard_logging.Filter):
    """Passes the progress of this package only, of others warnings: theirs takes --verbosity=1."""

    def filter(self, record: standard_logging.LogRecord) -> bool:
        ours = os.path.abspath(record.pathname).startswith(_PACKAGE + os.sep)
        return ours or record.levelno > standard_logging.INFO or logging.get_verbosity() > 0


class _StandardError:
    """The standard error of the moment; progress bars make way for what is written."""

    def write(self, text: str) -> None:
        bars = sys.modules.get("tqdm")
        with bars.tqdm.external_write_mode(sys.stderr) if bars else contextlib.nullcontext():
            sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()

    def close(self) -> None:
        """The process's own stream is not ours to close."""

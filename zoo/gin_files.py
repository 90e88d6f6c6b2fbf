"""Gin files as text: where they are, and the statements in them, whatever is registered with gin.

A file is read here and nowhere else: what is wrong with it is one line that names file and line.
"""

import contextlib
import difflib
import io
import pathlib
import re
from collections.abc import Iterator

import gin
from gin import config_parser

from zoo import files
from zoo.errors import UserError

# Where relative paths of gin files are looked up after the working directory: they are in zoo/gin.
ROOT = pathlib.Path(__file__).parent
# Characters of a name in a message.
_SHOWN = 200


class ConfigError(UserError):
    """A gin file or binding that cannot be used."""


def find(path: str) -> pathlib.Path:
    """The gin file of that name, in the working directory or among the configs of the package.

    Raises:
        ConfigError: there is none; the message names the nearest.
    """
    for candidate in (pathlib.Path(path), ROOT / path):
        if _is_file(candidate):
            return candidate
    shown = " ".join(str(path).split())[:_SHOWN]
    nearest = difflib.get_close_matches(shown, shipped(), n=1, cutoff=0.0)
    hint = f"; the nearest is {nearest[0]}" if nearest else ""
    raise ConfigError(f"{shown}: no such gin file{hint}")


def absolute(path: str) -> str:
    """A gin file's name that is good in any working directory: the package's stay as they are."""
    return str(pathlib.Path(path).absolute()) if _is_file(pathlib.Path(path)) else str(path)


def shipped() -> list[str]:
    """The gin files that come with the package, as given to `--gin_file`."""
    return sorted(p.relative_to(ROOT).as_posix() for p in (ROOT / "gin").glob("**/*.gin"))


def read(path: pathlib.Path) -> str:
    """The text of a gin file.

    Raises:
        ConfigError: it cannot be read, or is no text in UTF-8.
    """
    try:
        return files.read_text(path)
    except files.FileError as error:
        raise ConfigError(str(error)) from None


def opened(path: str) -> io.StringIO:
    """A gin file as gin reads it, by the name that an `include` has for it."""
    found = find(path)
    text = io.StringIO(read(found))
    # Gin puts it into its messages.
    text.name = str(found)
    return text


def statements(path: pathlib.Path, _within: tuple[pathlib.Path, ...] = ()) -> Iterator:
    """The statements of a gin file, those of included files in their place.

    Raises:
        ConfigError: the text is no gin, an included file is missing, or files include one another
            in a circle.
    """
    within = (*_within, path.resolve())
    for statement in _parsed(opened(str(path)), str(path)):
        if not isinstance(statement, config_parser.IncludeStatement):
            yield statement
            continue
        place = f"{path}:{statement.location.line_num}: "
        try:
            included = find(statement.filename)
        except ConfigError as error:
            raise ConfigError(f"{place}{error}") from None
        if included.resolve() in within:
            raise ConfigError(f"{place}{included} is included in a circle; remove this line")
        yield from statements(included, within)


def statements_of(binding: str) -> Iterator:
    """The statements of a text that is in no file.

    Raises:
        ConfigError: as `statements`.
    """
    for statement in _parsed(binding, f"binding {binding!r}"):
        if isinstance(statement, config_parser.IncludeStatement):
            yield from statements(find(statement.filename))
        else:
            yield statement


def place_of(location: config_parser.Location, binding: str | None = None) -> str:
    """What stands before a message of a statement: `file:line: `, or the binding."""
    if location.filename:
        return f"{location.filename}:{location.line_num}: "
    return f"binding {binding!r}: " if binding else ""


@contextlib.contextmanager
def told(name: str, lines: bool = True) -> Iterator[None]:
    """Within, what gin's parser raises becomes a ConfigError of one line.

    Only the syntax of a text may be at stake there: whatever is raised is taken to be about it.

    Args:
        name: of the text.
        lines: whether the number of the line is said, too.
    """
    try:
        yield
    except ConfigError:
        raise
    except SyntaxError as error:
        place = f"{name}:{error.lineno}: " if lines else f"{name}: "
        shown = f": {error.text.strip()}" if error.text else ""
        raise ConfigError(_line(f"{place}{error.msg}{shown}")) from None
    except KeyError as error:
        # Of a name that several modules have, which have been imported.
        why, _, place = str(error).replace('"', "").partition("\n")
        line = re.search(r"line (\d+)", place)
        where = f"{name}:{line[1]}" if line and lines else name
        raise ConfigError(_line(f"{where}: {why} Write one of them in full.")) from None
    except RecursionError:
        raise ConfigError(f"{name}: its brackets are nested too deeply") from None
    except Exception as error:
        why = str(error) or type(error).__name__
        raise ConfigError(_line(f"{name} is no gin text: {why}")) from None


def _parsed(text: str | io.StringIO, name: str) -> Iterator:
    """Statements of one text."""
    with told(name, lines=hasattr(text, "name")):
        yield from config_parser.ConfigParser(text, gin.config.ParserDelegate(skip_unknown=True))


def _line(message: str) -> str:
    return " ".join(message.split())


def _is_file(path: pathlib.Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        # The name is too long, or holds a character that no name can.
        return False

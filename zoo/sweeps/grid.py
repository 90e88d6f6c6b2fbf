"""The grid of a sweep: values of bindings, seeds, and a folder for each run."""

import ast
import dataclasses
import hashlib
import itertools
import json
import pathlib
import re
from collections.abc import Iterator, Mapping, Sequence

from zoo import gin_files, gin_text, machine, runs
from zoo.errors import UserError
from zoo.files import atomic, temporary_prefix
from zoo.scheduling.jobs import Job, Step

PRECISION = "train.precision"
_FILE = "sweep.json"
_OPENING, _CLOSING = "([{", ")]}"
# Bytes: the longest name of a file, and what is left of a longer one.
_LONGEST, _SHOWN = 255, 150


@dataclasses.dataclass(frozen=True)
class Axis:
    """A binding and the values it takes.

    Attributes:
        name: of the binding, `BetaVAE.beta`.
        values: as a gin file has them.
    """

    name: str
    values: tuple[str, ...]

    @property
    def short(self) -> str:
        """The parameter alone."""
        return self.name.rpartition(".")[2]


@dataclasses.dataclass(frozen=True)
class Point:
    """One value of every axis.

    Attributes:
        name: of its folder, `beta=4`.
        values: by the names of the axes, as written.
    """

    name: str
    values: dict[str, str]

    @property
    def bindings(self) -> list[str]:
        """As gin has them."""
        return [f"{name} = {value}" for name, value in self.values.items()]


@dataclasses.dataclass(frozen=True)
class Sweep:
    """Trainings of all values of some bindings.

    Attributes:
        gin_files: as `zoo.train` takes them.
        bindings: that all runs have.
        axes: the bindings that differ.
        seeds: how many runs, of seeds 0, 1, ..., each point has.
        out: the folder of all.
        precision: of the runs that leave it to the machine and have not begun; None leaves it
            there.
    """

    gin_files: tuple[str, ...]
    bindings: tuple[str, ...]
    axes: tuple[Axis, ...]
    seeds: int
    out: pathlib.Path
    precision: str | None = None

    @property
    def names(self) -> list[str]:
        """Of the axes: the parameter alone, or the binding where two have the same parameter."""
        shorts = [axis.short for axis in self.axes]
        return [a.short if shorts.count(a.short) == 1 else a.name for a in self.axes]

    def points(self) -> list[Point]:
        """The product of the values."""
        names, points = self.names, []
        for values in itertools.product(*(axis.values for axis in self.axes)):
            pairs = zip(names, values, strict=True)
            name = ",".join(f"{name}={_as_file(value)}" for name, value in pairs)
            chosen = zip((axis.name for axis in self.axes), values, strict=True)
            points.append(Point(_cut(name), dict(chosen)))
        return points

    def folder(self, point: Point, seed: int) -> pathlib.Path:
        """Of a run."""
        return self.out / point.name / f"seed{seed}"

    def jobs(self) -> list[Job]:
        """All runs: the first seed of every point, then the second, and so on."""
        begun = self.precisions(self._left_to_machine()) if self.precision else {}
        chosen = {folder: own or self.precision for folder, own in begun.items()}
        points = self.points()
        return [
            self._job(point, seed, chosen.get(self.folder(point, seed)))
            for seed in range(self.seeds)
            for point in points
        ]

    def probes(self) -> Iterator[Point]:
        """Few points that have every value once."""
        points = self.points()
        seen: set[tuple[str, str]] = set()
        for point in points:
            new = set(point.values.items()) - seen
            if new:
                seen |= new
                yield point

    def require_same(self) -> None:
        """Raises a UserError where the folder holds something else than this sweep.

        It may have had fewer values and seeds.
        """
        path = self.out / _FILE
        if path.exists():
            before, now = _read(path), self._facts()
            changed = [
                f"{key}: {_listed(before.get(key))} -> {_listed(now[key])}"
                for key in ("gin_files", "bindings", "axes")
                if _listed(before.get(key)) != _listed(now[key])
            ]
            changed += _differences(before.get("settings"), now["settings"])
            if changed:
                raise UserError(
                    f"{self.out} holds another sweep ({'; '.join(changed)}); choose another --out "
                    "or the same settings"
                )
        elif self.out.exists() and not (self.out.is_dir() and self._is_new()):
            raise UserError(f"{self.out} is there and holds no sweep; choose another --out")

    def of_one_precision(self, environment: Mapping[str, str] | None = None) -> "Sweep":
        """The sweep with one precision for all runs that leave it to the machine.

        It is the one that the folder has; else that of a run that has begun, else this machine's.

        Args:
            environment: of the workers, see `machine.precision`.
        """
        points = self._left_to_machine()
        if not points:
            return self
        begun = self.precisions(points)
        path = self.out / _FILE
        kept = _read(path).get("precision") if path.exists() else None
        chosen = machine.common_precision([kept, *begun.values()], environment)
        return dataclasses.replace(self, precision=chosen)

    def precisions(self, points: Sequence[Point]) -> dict[pathlib.Path, str | None]:
        """What each run of some points has begun in, by its folder; None where it has not."""
        folders = [self.folder(point, seed) for seed in range(self.seeds) for point in points]
        return {folder: _begun_precision(folder) for folder in folders}

    def claim(self) -> "Sweep":
        """Binds the folder to this sweep, see `require_same`; returns the one to run.

        It has the precision of the folder, where another machine has claimed that meanwhile.
        """
        self.require_same()
        path = self.out / _FILE
        try:
            with atomic(path, new=True) as temporary:
                temporary.write_text(self._text(), encoding="utf-8")
        except FileExistsError:
            self.require_same()
            kept = self.precision and _read(path).get("precision")
            bound = dataclasses.replace(self, precision=kept or self.precision)
            runs.write_text(path, bound._text())
            return bound
        return self

    def _text(self) -> str:
        return json.dumps(self._facts(), indent=1) + "\n"

    def _facts(self) -> dict:
        return {
            "gin_files": list(self.gin_files),
            "bindings": list(self.bindings),
            "axes": {axis.name: list(axis.values) for axis in self.axes},
            "seeds": self.seeds,
            "precision": self.precision,
            "settings": self._settings(),
        }

    def _is_new(self) -> bool:
        """Whether the folder holds nothing but what another machine writes just now."""
        return all(path.name.startswith(temporary_prefix(_FILE)) for path in self.out.iterdir())

    def _settings(self) -> dict[str, str]:
        """What the gin files bind, which somebody may edit between two commands."""
        return gin_text.of_files(self.gin_files)

    def _left_to_machine(self) -> list[Point]:
        """The points whose runs leave their precision to the machine."""
        settings = self._settings()
        return [point for point in self.points() if self._is_auto(point, settings)]

    def _is_auto(self, point: Point, settings: Mapping[str, str]) -> bool:
        """Whether the runs of a point leave their precision to the machine."""
        bound = settings.get(PRECISION, "")
        for binding in (*self.bindings, *point.bindings):
            if _name(binding) == PRECISION:
                bound = binding.partition("=")[2]
        return bound.strip(" '\"") == machine.AUTO

    def _job(self, point: Point, seed: int, precision: str | None) -> Job:
        folder = self.folder(point, seed)
        bindings = [*self.bindings, *point.bindings, f"train.seed = {seed}"]
        bindings += [f"{PRECISION} = {precision!r}"] * (precision is not None)
        # Whole paths, as a worker on another machine has its own working directory.
        arguments = (
            *(f"--gin_file={gin_files.absolute(file)}" for file in self.gin_files),
            f"--run_dir={folder.absolute()}",
            *(f"--gin_bindings={binding}" for binding in bindings),
        )
        return Job(f"{point.name} seed {seed}", folder, (Step("DONE", "zoo.train", arguments),))


def axis(text: str) -> Axis:
    """The axis of a `--set`, such as `BetaVAE.beta=1,2,4,8`; commas in brackets are the values'.

    Raises:
        UserError: it is none.
    """
    name, equals, values = (part.strip() for part in text.partition("="))
    if not equals or not re.fullmatch(r"[\w./]*\w\.\w+", name):
        raise UserError(f"--set={text!r}: give name.parameter=value,value,...")
    found = _split(values)
    if not all(found):
        raise UserError(f"--set={text!r}: a value is empty")
    values = []
    for value in found:
        try:
            values.append(_read_value(value))
        except (ValueError, SyntaxError):
            raise UserError(
                f"--set={text!r}: {value} is no value; a text needs quotes, a reference @"
            ) from None
    if twice := [k for k, value in enumerate(values) if values.index(value) < k]:
        raise UserError(f"--set={text!r}: {found[twice[0]]} is there twice")
    folders = [_as_file(value) for value in found]
    if shared := [k for k, folder in enumerate(folders) if folders.index(folder) < k]:
        first = found[folders.index(folders[shared[0]])]
        raise UserError(
            f"--set={text!r}: {first} and {found[shared[0]]} would share the folder "
            f"{folders[shared[0]]}; write one otherwise, or sweep it with another --out"
        )
    return Axis(name, tuple(found))


def require_apart(axes: Sequence[Axis], bindings: Sequence[str] = ()) -> None:
    """Raises a UserError where two axes have one name, or one of them or a binding is the seed."""
    names = [axis.name for axis in axes]
    if twice := [name for name in names if names.count(name) > 1]:
        raise UserError(f"--set names {twice[0]} twice; give all its values at once")
    if "train.seed" in names:
        raise UserError("--set=train.seed: seeds are made by --seeds")
    if "train.seed" in map(_name, bindings):
        raise UserError("--gin_bindings: train.seed is bound; seeds are made by --seeds")


def _split(text: str) -> list[str]:
    """The parts between commas that stand in no brackets and no quotes."""
    parts, depth, quote = [""], 0, ""
    for letter in text:
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        elif letter in _OPENING or letter in _CLOSING:
            depth += 1 if letter in _OPENING else -1
        elif letter == "," and not depth:
            parts.append("")
            continue
        parts[-1] += letter
    return [part.strip() for part in parts]


def _read_value(text: str):
    """What a value is; its text where that is no number, string or collection of them.

    gin's references and macros name what only the packages of a run know; to Python True is 1.
    """
    if set("@%") & set(text):
        return text
    value = ast.literal_eval(text)
    return text if isinstance(value, bool) else value


def _as_file(value: str) -> str:
    """A value as a part of a file's name; of brackets within brackets a hash tells the rest."""
    name = re.sub(r"[^\w.+-]+", "_", value.strip("'\"")).strip("_") or "_"
    if sum(value.count(bracket) for bracket in _OPENING) < 2:
        return name
    return f"{name}-{_hash(''.join(value.split()))}"


def _cut(name: str) -> str:
    """A folder's name that is not longer than a file system takes; where it is cut a hash ends it.

    Names that a file system takes stay as they are, and so do the folders of runs.
    """
    if len(name.encode()) <= _LONGEST:
        return name
    return f"{name.encode()[:_SHOWN].decode(errors='ignore')}-{_hash(name)}"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _begun_precision(folder: pathlib.Path) -> str | None:
    try:
        return runs.RunFolder(folder).recorded(PRECISION)
    except UserError:
        # Damaged: its run says so.
        return None


def _name(binding: str) -> str:
    return binding.partition("=")[0].strip()


def _differences(before, now: Mapping[str, str]) -> list[str]:
    """What gin files bind otherwise than before; sweeps of earlier versions have not noted it."""
    if not isinstance(before, dict):
        return []
    return [
        f"{name}: {before.get(name, 'unbound')} -> {now.get(name, 'unbound')}"
        for name in sorted({*before, *now})
        if before.get(name) != now.get(name)
    ]


def _listed(value) -> str:
    """A list, or the names of an object, in a line."""
    return ", ".join(map(str, value or ())) or "none"


def _read(path: pathlib.Path) -> dict:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise UserError(f"{path} is damaged; choose another --out")
    return found

"""Programs of the explorer: calls of its kernels, and where in memory each tensor lies."""

import base64
import copy
import dataclasses
import gzip
import math
import struct
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

# A constant of at least this many numbers is stored in 16 bits.
_SHORT = 256
# Tensors begin at multiples of four numbers.
_ALIGNED = 4


class Value(NamedTuple):
    """A tensor: its shape, and its buffer, or the constant -1 - k where that is negative."""

    shape: tuple[int, ...]
    buffer: int

    @property
    def size(self) -> int:
        """How many numbers it has."""
        return math.prod(self.shape)

    def reshaped(self, shape: Sequence[int]) -> "Value":
        """The same numbers in another shape."""
        return Value(tuple(shape), self.buffer)


@dataclasses.dataclass
class Step:
    """A call of a kernel: its inputs (buffers, at most three), its output, its integers."""

    kernel: str
    inputs: tuple[int | None, ...]
    out: int
    integers: tuple[int, ...]


class Constants:
    """The constants of a model's programs, each kept once.

    Integers are kept as they are, and so are short tensors. The numbers of others are rounded to
    16 bits, -32767 to 32767 times a scale for each entry of the last axis: an error of at most
    1.6e-5 of the largest number of its column, where half precision has up to 4.9e-4 of the number
    itself.
    """

    def __init__(self):
        self._arrays: list[np.ndarray] = []
        self._known: dict[tuple, int] = {}

    def add(self, array: np.ndarray) -> Value:
        """A constant as a tensor."""
        array = np.ascontiguousarray(array, np.float32)
        key = (array.shape, array.tobytes())
        if key not in self._known:
            self._known[key] = len(self._arrays)
            self._arrays.append(array)
        return Value(array.shape, -1 - self._known[key])

    def array(self, value: Value) -> np.ndarray:
        """The numbers of a constant."""
        return self._arrays[-1 - value.buffer].reshape(value.shape)

    def packed(self, used: Mapping[int, int]) -> tuple[list[list], bytes]:
        """What is stored of the constants that are used.

        Args:
            used: the place of each stored constant, by its number here.

        Returns:
            For each its kind (`f` float32, `i` integers of 16 bits, `q` rounded), the number of
            entries and of scales; and the bytes of all: first those of 32 bits, then the low
            halves of those of 16 bits, then their high halves, which compress better apart.
        """
        kinds, wide, narrow = [], [], []
        for number in sorted(used, key=used.get):
            array = self._arrays[number]
            if (array == np.rint(array)).all() and np.abs(array).max(initial=0) < 2**15:
                kinds.append(["i", array.size, 0])
                narrow.append(array.astype("<i2"))
            elif array.size < _SHORT or array.ndim < 2:
                kinds.append(["f", array.size, 0])
                wide.append(array.astype("<f4"))
            else:
                columns = array.reshape(-1, array.shape[-1])
                scales = np.abs(columns).max(0) / 32767
                scales = np.where(scales > 0, scales, 1).astype("<f4")
                kinds.append(["q", array.size, len(scales)])
                wide.append(scales)
                narrow.append(np.rint(columns / scales).astype("<i2"))
        halves = np.frombuffer(b"".join(part.tobytes() for part in narrow), np.uint8)
        wide = b"".join(part.tobytes() for part in wide)
        return kinds, wide + halves[::2].tobytes() + halves[1::2].tobytes()


class Builder:
    """Collects the steps of one program."""

    def __init__(self, constants: Constants):
        self.constants, self.steps = constants, []
        self._sizes: list[int] = []
        # Results that a later step has taken over, and the steps that recompute them.
        self._absorbed: dict[int, Step] = {}

    def buffer(self, shape: Sequence[int]) -> Value:
        """A new tensor."""
        self._sizes.append(math.prod(shape))
        return Value(tuple(int(size) for size in shape), len(self._sizes) - 1)

    def step(
        self,
        kernel: str,
        inputs: Sequence[Value | None],
        integers: Sequence[int],
        out: Value | Sequence[int],
    ) -> Value:
        """Adds a call; `out` is a tensor to write to, or the shape of a new one."""
        for value in inputs:
            self._recompute(value)
        out = out if isinstance(out, Value) else self.buffer(out)
        buffers = tuple(value and value.buffer for value in inputs)
        self.steps.append(Step(kernel, buffers, out.buffer, tuple(int(i) for i in integers)))
        return out

    def _recompute(self, value: Value | None) -> None:
        """Adds the step of a value that was taken over, which another step takes after all."""
        if value and (step := self._absorbed.pop(value.buffer, None)):
            self.steps.append(step)

    def extended(self, value: Value, bias: Value | None, relu: bool) -> Value | None:
        """A value plus a bias or made positive by the step that makes it, if that can.

        Args:
            value: what a step `matmul` or `overlap` has made.
            bias: what is added to the last axis, or None.
            relu: whether negative results become zero.
        """
        # An earlier step takes it as it is: equal calls of two traces are one.
        if any(value.buffer in step.inputs for step in self.steps):
            return None
        made = [step for step in self.steps if step.out == value.buffer]
        if len(made) != 1 or made[0].kernel not in ("matmul", "overlap"):
            return None
        (step,) = made
        first, second, before = (*step.inputs, None, None)[:3]
        # The value may have another shape than the step gave it.
        columns = step.integers[3 if step.kernel == "matmul" else 2]
        if step.integers[-1] or (bias is not None and (before is not None or bias.size != columns)):
            return None
        self._absorbed[value.buffer] = dataclasses.replace(step)
        result = self.buffer(value.shape)
        step.inputs = (first, second, before if bias is None else bias.buffer)
        step.out, step.integers = result.buffer, (*step.integers[:-1], int(relu))
        return result

    def planned(self, inputs: Mapping[str, Value], outputs: Mapping[str, Value]) -> dict:
        """The program as the page takes it; constants keep the numbers they have here.

        Steps whose results nothing takes are left out.

        Steps of constants alone are marked: they run once. Their results stay; the other tensors
        share memory where they are not needed at the same time.
        """
        for value in outputs.values():
            self._recompute(value)
        self._drop_unused({value.buffer for value in outputs.values()})
        once = self._once({value.buffer for value in inputs.values()})
        first = {value.buffer: -1 for value in inputs.values()}
        last = {value.buffer: len(self.steps) for value in (*outputs.values(), *inputs.values())}
        for number, step in enumerate(self.steps):
            first.setdefault(step.out, number)
            for buffer in (*step.inputs, step.out):
                if buffer is not None and buffer >= 0:
                    last[buffer] = max(last.get(buffer, -1), number)
        for buffer in once:
            first[buffer], last[buffer] = -1, len(self.steps)
        places, size = _places(self._sizes, first, last)

        def at(buffer: int | None) -> int | None:
            return buffer if buffer is None or buffer < 0 else places[buffer]

        def described(values: Mapping[str, Value]) -> dict:
            return {
                name: {"at": at(value.buffer), "shape": value.shape}
                for name, value in values.items()
            }

        return {
            "size": size,
            "inputs": described(inputs),
            "outputs": described(outputs),
            "steps": [
                [
                    step.kernel,
                    [at(buffer) for buffer in (*step.inputs, None, None, None)[:3]],
                    at(step.out),
                    list(step.integers),
                    int(step.out in once),
                ]
                for step in self.steps
            ],
        }

    def _drop_unused(self, wanted: set[int]) -> None:
        kept = []
        for step in reversed(self.steps):
            if step.out in wanted:
                wanted = wanted.union(step.inputs)
                kept.append(step)
        self.steps = kept[::-1]

    def _once(self, inputs: set[int]) -> set[int]:
        """The buffers that depend on no input."""
        changing = set(inputs)
        for step in self.steps:
            if any(buffer in changing for buffer in step.inputs if buffer is not None):
                changing.add(step.out)
        return {step.out for step in self.steps} - changing


def bits(number: float) -> int:
    """A float32 as the integer of the same bits, which is how kernels take one."""
    return struct.unpack("<i", struct.pack("<f", number))[0]


def stored(programs: Mapping[str, dict], constants: Constants) -> tuple[dict, str]:
    """Programs and their constants as JSON values, and the numbers of the constants.

    The numbers are compressed by gzip and in base64. Programs name their constants by the places in
    what is stored.
    """
    programs = copy.deepcopy(dict(programs))
    used: dict[int, int] = {}

    def renamed(buffer):
        if buffer is None or buffer >= 0:
            return buffer
        return -1 - used.setdefault(-1 - buffer, len(used))

    for program in programs.values():
        for step in program["steps"]:
            step[1] = [renamed(buffer) for buffer in step[1]]
        for value in program["outputs"].values():
            value["at"] = renamed(value["at"])
    kinds, numbers = constants.packed(used)
    numbers = gzip.compress(numbers, 9, mtime=0)
    return {"programs": programs, "constants": kinds}, base64.b64encode(numbers).decode()


def _places(sizes, first, last) -> tuple[dict[int, int], int]:
    """The first place of every buffer, so that those of one time do not overlap; and the end."""
    placed: list[tuple[int, int, int]] = []
    places, end = {}, 0
    for buffer in sorted(first, key=lambda buffer: (-sizes[buffer], buffer)):
        length = -(-sizes[buffer] // _ALIGNED) * _ALIGNED
        beside = sorted(
            (at, until)
            for at, until, other in placed
            if first[other] <= last[buffer] and first[buffer] <= last[other]
        )
        at = 0
        for start, until in beside:
            if start - at >= length:
                break
            at = max(at, until)
        placed.append((at, at + length, buffer))
        places[buffer], end = at, max(end, at + length)
    return places, end

"""What this processor does best: the precision of training runs, and TensorFlow's oneDNN kernels.

bfloat16 is twice as fast as float32 on processors with matrix units for it (AMX), and several times
slower on those that lack its instructions. TensorFlow leaves oneDNN off on processors without
neural-network instructions, although its convolutions are faster there, too.

Nothing here imports TensorFlow before something has to be measured.
"""

import contextlib
import dataclasses
import functools
import json
import os
import pathlib
import platform
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping

from zoo import cores
from zoo.data import cache
from zoo.errors import UserError
from zoo.files import atomic

AUTO, FLOAT32, BFLOAT16 = "auto", "float32", "mixed_bfloat16"
PRECISIONS = (AUTO, FLOAT32, BFLOAT16)

_ONEDNN = "TF_ENABLE_ONEDNN_OPTS"
# Beside that variable, also for child processes: it is this package's choice, not the user's.
_OURS = "ZOO_CHOSE_ONEDNN"
# The processors on which TensorFlow itself turns oneDNN on (`IsMKLEnabled` in its core/util).
_NEURAL = {"avx512_vnni", "avx512_bf16", "avx_vnni", "amx_tile", "amx_int8", "amx_bf16"}
# What a measurement must show before bfloat16, which is less exact, is taken.
_WORTH = 1.1
_CPUINFO, _DEVICES = pathlib.Path("/proc/cpuinfo"), pathlib.Path("/dev")


@dataclasses.dataclass(frozen=True)
class Precision:
    """A Keras dtype policy and why it was taken."""

    name: str
    reason: str


@functools.cache
def _cpuinfo() -> dict[str, str]:
    """The first processor's lines of /proc/cpuinfo; nothing where there is no such file."""
    if not _CPUINFO.is_file():
        return {}
    first = _CPUINFO.read_text(errors="replace").split("\n\n")[0].splitlines()
    pairs = (line.partition(":") for line in first)
    return {key.strip(): value.strip() for key, _, value in pairs}


def processor() -> str:
    """The name of the processor, as its maker gives it."""
    return _cpuinfo().get("model name") or platform.processor() or platform.machine()


def features() -> frozenset[str]:
    """The instruction sets of the processor, in Linux's names; empty where they are not known."""
    info = _cpuinfo()
    return frozenset((info.get("flags") or info.get("Features") or "").split())


def prepare() -> None:
    """Turns oneDNN on where it helps, unless the user has chosen or TensorFlow is imported."""
    if _ONEDNN not in os.environ and not _too_late() and _left_off():
        _choose(True)


def restore(recorded: Mapping | None) -> None:
    """Takes the oneDNN setting that a run began with, unless it is too late or the user's.

    Args:
        recorded: what `describe` gave then; None for a new run.
    """
    wanted = (recorded or {}).get("onednn")
    own = _ONEDNN in os.environ and _OURS not in os.environ
    if wanted not in (None, onednn()) and not own and not _too_late():
        _choose(wanted)


def difference(recorded: Mapping | None) -> str:
    """What of a run's record makes other bits here, as a line; empty where nothing does."""
    before = (recorded or {}).get("onednn")
    if before in (None, onednn()):
        return ""
    names = {True: "with oneDNN", False: "without oneDNN"}
    return (
        f"the run began {names[before]} and resumes {names[onednn()]} ({_ONEDNN}): "
        "its numbers will differ in their last bits from those of an uninterrupted run"
    )


def onednn() -> bool:
    """Whether TensorFlow uses oneDNN in this process, as its environment says."""
    setting = os.environ.get(_ONEDNN)
    if setting is None:
        return bool(_is_linux_x86() and features() & _NEURAL)
    return setting.lower() in ("1", "true")


def describe() -> dict:
    """What a run's manifest keeps: `processor`, `cores`, `threads` and `onednn`."""
    available = cores.count()
    threads = os.environ.get("TF_NUM_INTRAOP_THREADS", "0")
    return {
        "processor": processor(),
        "cores": available,
        "threads": int(threads) or available if threads.isdigit() else available,
        "onednn": onednn(),
    }


def precision(
    asked: str = AUTO, recorded: str | None = None, environment: Mapping[str, str] | None = None
) -> Precision:
    """The precision of a training run.

    Args:
        asked: `auto`, or a Keras dtype policy, which is taken as it is.
        recorded: what the run began with; `auto` keeps it.
        environment: variables of the process that trains beside those of this one; which GPU it
            sees, if any.

    Raises:
        UserError: TensorFlow cannot compute in it here.
    """
    if asked == AUTO and not recorded and not _too_late() and _has_gpus():
        return _measured_elsewhere(environment or {})
    if asked == AUTO:
        chosen = Precision(recorded, "the run began in it") if recorded else _best()
    else:
        chosen = Precision(asked, "as configured")
    if chosen.name == BFLOAT16:
        try:
            _speedup()
        except _tensorflow().errors.OpError as error:
            raise UserError(
                f"precision {chosen.name} ({chosen.reason}) cannot be computed on this machine "
                f"({processor()}: {str(error).splitlines()[0]}); train with precision "
                f"{FLOAT32!r} in another --run_dir"
            ) from None
    return chosen


def common_precision(
    begun: Iterable[str | None], environment: Mapping[str, str] | None = None
) -> str:
    """The precision of runs that are to be compared and leave it to the machine.

    It is the first that one of them has recorded, or else this machine's.

    Args:
        begun: what runs have recorded, None for those that have not begun.
        environment: as of `precision`.
    """
    return next(filter(None, begun), None) or precision(environment=environment).name


def slow(chosen: Precision) -> str:
    """A line that says how much slower a precision is than float32 here; empty if it is not."""
    if chosen.name != BFLOAT16 or _speedup() >= 1:
        return ""
    return (
        f"{BFLOAT16} is {1 / _speedup():.1f} times slower than {FLOAT32} on this processor "
        f"({processor()}, measured with a convolution and a matrix product)"
    )


def _best() -> Precision:
    gpu, found = _gpu(), features()
    # What the processor has says nothing of what a GPU is fast with.
    name = gpu or processor()
    if not gpu and "amx_bf16" in found:
        return Precision(BFLOAT16, f"{name} has matrix units for bfloat16 (AMX)")
    if not gpu and _is_linux_x86() and "avx512_bf16" not in found:
        return Precision(FLOAT32, f"{name} has no instructions for bfloat16")
    try:
        factor = _speedup()
    except _tensorflow().errors.OpError:
        return Precision(FLOAT32, f"{name} cannot compute in bfloat16")
    return Precision(
        BFLOAT16 if factor >= _WORTH else FLOAT32,
        f"on {name} bfloat16 was measured to be {factor:.1f} times as fast as float32",
    )


def _has_gpus() -> bool:
    return any(_DEVICES.glob("nvidia[0-9]*"))


def _gpu() -> str:
    """The GPU that TensorFlow, which is imported for that, computes on; empty where none is."""
    if not (_too_late() or _has_gpus()):
        return ""
    config = _tensorflow().config
    devices = config.get_visible_devices("GPU")
    if not devices:
        return ""
    return config.experimental.get_device_details(devices[0]).get("device_name", "the GPU")


def _measured_elsewhere(environment: Mapping[str, str]) -> Precision:
    """`precision` of a process of its own: this one would keep the memory of a GPU from workers."""
    code = (
        "import json, tensorflow; from zoo import machine; chosen = machine.precision(); "
        "print(json.dumps([chosen.name, chosen.reason]))"
    )
    path = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    answer = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment, **path},
        stdout=subprocess.PIPE,
        text=True,
    )
    if answer.returncode:
        return Precision(FLOAT32, "bfloat16 could not be measured on the GPU")
    return Precision(*json.loads(answer.stdout.splitlines()[-1]))


def _is_linux_x86() -> bool:
    return sys.platform == "linux" and platform.machine() in ("x86_64", "AMD64")


def _too_late() -> bool:
    """Whether TensorFlow, which reads its settings when it is imported, has been."""
    return "tensorflow" in sys.modules


def _left_off() -> bool:
    """Whether TensorFlow leaves oneDNN off on a processor that has what it is fast with."""
    return _is_linux_x86() and "avx2" in features() and not features() & _NEURAL


def _choose(on: bool) -> None:
    os.environ[_ONEDNN] = str(int(on))
    os.environ[_OURS] = "1"


@functools.cache
def _speedup() -> float:
    """How many times as fast as float32 bfloat16 is here; measured once and kept in the cache."""
    devices = [d.device_type for d in _tensorflow().config.list_logical_devices()]
    name = ", ".join(filter(None, (processor(), _gpu())))
    key = f"{name}, TensorFlow {_tensorflow().__version__}, oneDNN {onednn()}, {devices}"
    path = cache.directory() / "machine.json"
    known = _read(path)
    if not isinstance(known.get(key), int | float):
        seconds = {kind: _measure(kind) for kind in ("float32", "bfloat16")}
        known[key] = seconds["float32"] / seconds["bfloat16"]
        # Where it cannot be kept, as in a read-only cache, it is measured again.
        with contextlib.suppress(OSError), atomic(path) as temporary:
            temporary.write_text(json.dumps(known, indent=1) + "\n")
    return float(known[key])


def _read(path: pathlib.Path) -> dict:
    """What was measured before; a file that cannot be read is ignored, and measured again."""
    try:
        known = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _measure(kind: str) -> float:
    """Seconds of a convolution and a matrix product with their gradients, the best of five.

    On processors they are processor seconds, which other processes hardly change: on two busy cores
    the wall time of one precision was now and then half that of the other.
    """
    tf = _tensorflow()
    gpu = bool(tf.config.list_logical_devices("GPU"))
    clock = time.perf_counter if gpu else time.process_time
    images, kernel = tf.ones([32, 32, 32, 32], kind), tf.ones([4, 4, 32, 32], kind)
    rows, matrix = tf.ones([64, 1024], kind), tf.ones([1024, 256], kind)

    @tf.function(autograph=False)
    def work(images, kernel, rows, matrix):
        with tf.GradientTape() as tape:
            tape.watch([images, kernel, rows, matrix])
            convolved = tf.nn.relu(tf.nn.conv2d(images, kernel, 2, "SAME"))
            total = tf.reduce_sum(convolved) + tf.reduce_sum(tf.linalg.matmul(rows, matrix))
        return [tf.reduce_sum(g) for g in tape.gradient(total, [images, kernel, rows, matrix])]

    def once() -> float:
        begun = clock()
        [value.numpy() for value in work(images, kernel, rows, matrix)]
        return clock() - begun

    once()
    return min(once() for _ in range(5))


def _tensorflow():
    import tensorflow

    return tensorflow

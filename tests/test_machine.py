"""What a processor does best: decided by its features, then by measuring; never over the user."""

import itertools
import json
import os
import subprocess
import sys

import pytest
import tensorflow as tf

from zoo import machine
from zoo.errors import UserError

AMX = "fma avx2 avx512f avx512_vnni avx512_bf16 amx_tile amx_bf16"
AVX512 = "fma avx2 avx512f avx512_vnni avx512_bf16"
AVX2 = "fma avx avx2"


@pytest.fixture
def processor(monkeypatch, tmp_path):
    """Makes this machine one with the given features, bfloat16 being so many times as fast."""

    def become(flags: str, speedup: float = 1.0, kind: str = "x86_64"):
        path = tmp_path / "cpuinfo"
        path.write_text(
            f"processor\t: 0\nmodel name\t: Test CPU\nflags\t\t: {flags}\n\nprocessor\t: 1\n"
        )
        monkeypatch.setattr(machine, "_CPUINFO", path)
        monkeypatch.setattr(machine.platform, "machine", lambda: kind)
        monkeypatch.setattr(machine.sys, "platform", "linux")
        monkeypatch.setattr(machine, "_measure", lambda k: 1.0 if k == "float32" else 1 / speedup)
        monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
        for cached in (machine._cpuinfo, machine._speedup):
            cached.cache_clear()

    for name in ("TF_ENABLE_ONEDNN_OPTS", "ZOO_CHOSE_ONEDNN"):
        monkeypatch.delenv(name, raising=False)
    yield become
    for cached in (machine._cpuinfo, machine._speedup):
        cached.cache_clear()


@pytest.mark.parametrize(
    ("flags", "speedup", "expected"),
    [
        (AMX, 0.1, "mixed_bfloat16"),  # features decide, nothing is measured
        (AVX2, 9.0, "float32"),
        (AVX512, 1.5, "mixed_bfloat16"),
        (AVX512, 1.05, "float32"),
        (AVX512, 0.3, "float32"),
    ],
)
def test_auto_takes_features_first_and_measures_where_they_leave_it_open(
    processor, flags, speedup, expected
):
    processor(flags, speedup)
    chosen = machine.precision()
    assert chosen.name == expected and "Test CPU" in chosen.reason


@pytest.mark.parametrize(
    ("flags", "speedup", "expected"), [(AVX2, 1.5, "mixed_bfloat16"), (AMX, 0.5, "float32")]
)
def test_a_gpu_is_measured_whatever_the_processor_has(
    processor, monkeypatch, tmp_path, flags, speedup, expected
):
    processor(flags, speedup)
    config, details = tf.config, {"device_name": "Test GPU"}
    monkeypatch.setattr(config, "get_visible_devices", lambda kind: [kind])
    monkeypatch.setattr(config.experimental, "get_device_details", lambda device: details)
    chosen = machine.precision()
    assert chosen.name == expected and "on Test GPU bfloat16 was measured" in chosen.reason
    assert "Test CPU, Test GPU" in (tmp_path / "cache" / "machine.json").read_text()


@pytest.mark.parametrize("code", [0, 1])
def test_a_driver_takes_no_memory_of_a_gpu_to_measure_it(processor, monkeypatch, tmp_path, code):
    processor(AMX)
    (tmp_path / "nvidia0").touch()
    monkeypatch.setattr(machine, "_DEVICES", tmp_path)
    monkeypatch.setattr(machine, "_too_late", lambda: False)
    monkeypatch.setattr(machine, "_tensorflow", lambda: pytest.fail("imported"))
    answer = subprocess.CompletedProcess([], code, 'a warning\n["mixed_bfloat16", "measured"]\n')
    monkeypatch.setattr(machine.subprocess, "run", lambda *_, **__: answer)
    assert machine.precision().name == ("float32" if code else "mixed_bfloat16")


def test_what_is_measured_is_what_workers_will_have(processor, monkeypatch, tmp_path):
    processor(AMX)
    (tmp_path / "nvidia0").touch()
    monkeypatch.setattr(machine, "_DEVICES", tmp_path)
    monkeypatch.setattr(machine, "_too_late", lambda: False)
    asked = []

    def answer(command, env, **_):
        asked.append((env.get("CUDA_VISIBLE_DEVICES"), env["ZOO_CACHE"]))
        return subprocess.CompletedProcess(command, 0, '["float32", "measured"]\n')

    monkeypatch.setattr(machine.subprocess, "run", answer)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    hidden = {"CUDA_VISIBLE_DEVICES": "-1"}
    assert machine.common_precision([None], hidden) == "float32"
    machine.common_precision(["float32"], hidden)
    machine.common_precision([])
    cache = str(tmp_path / "cache")
    assert asked == [("-1", cache), (None, cache)]


def test_a_processor_of_unknown_features_is_measured(processor):
    processor("", 2.0, "arm64")
    assert machine.precision().name == "mixed_bfloat16"
    processor("", 0.9, "aarch64")
    # Another processor name would be another entry; here the first measurement is what is kept.
    assert machine.precision().name == "mixed_bfloat16"


def test_a_cache_that_cannot_be_written_stops_nothing(processor, monkeypatch, tmp_path):
    processor(AVX512, 3.0)
    (tmp_path / "file").write_text("mine")
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "file" / "cache"))
    assert machine.precision().name == "mixed_bfloat16"


def test_a_measurement_is_kept_and_a_damaged_file_measured_anew(processor, monkeypatch, tmp_path):
    processor(AVX512, 3.0)
    machine.precision()
    path = tmp_path / "cache" / "machine.json"
    (key,) = json.loads(path.read_text())
    assert "Test CPU" in key and tf.__version__ in key
    machine._speedup.cache_clear()
    monkeypatch.setattr(machine, "_measure", lambda kind: pytest.fail("measured twice"))
    assert machine.precision().name == "mixed_bfloat16"
    machine._speedup.cache_clear()
    path.write_text("[broken")
    monkeypatch.setattr(machine, "_measure", lambda kind: 1.0)
    assert machine.precision().name == "float32"


def test_a_begun_run_keeps_its_precision_under_auto_only(processor):
    processor(AVX2, 0.125)
    assert machine.precision("auto", "mixed_bfloat16").name == "mixed_bfloat16"
    assert machine.precision("float32", "mixed_bfloat16").name == "float32"


def test_slow_precision_is_said_with_the_measured_factor(processor):
    processor(AVX2, 0.125)
    assert "8.0 times slower than float32" in machine.slow(machine.precision("mixed_bfloat16"))
    assert not machine.slow(machine.precision("float32"))
    processor(AMX, 2.0)
    assert not machine.slow(machine.precision("mixed_bfloat16"))


def test_a_precision_that_cannot_be_computed_is_one_line(processor, monkeypatch):
    processor(AVX2)

    def refuse(kind):
        raise tf.errors.UnimplementedError(None, None, "no kernel for bfloat16\nat ...")

    monkeypatch.setattr(machine, "_measure", refuse)
    with pytest.raises(
        UserError, match=r"cannot be computed on this machine \(Test CPU: no kernel"
    ):
        machine.precision("auto", "mixed_bfloat16")
    processor(AVX512)
    monkeypatch.setattr(machine, "_measure", refuse)
    assert machine.precision().name == "float32"


def test_the_measurement_computes_in_both_precisions():
    assert machine._measure("float32") > 0 and machine._measure("bfloat16") > 0


def test_the_measurement_takes_processor_time(monkeypatch):
    # Wall time on busy cores had the faster precision the slower one, and a run took the other.
    ticks = itertools.count()
    monkeypatch.setattr(machine.time, "process_time", lambda: next(ticks))
    assert machine._measure("float32") == 1


def _prepared(monkeypatch, imported: bool = False) -> str | None:
    monkeypatch.setattr(machine, "_too_late", lambda: imported)
    machine.prepare()
    return os.environ.get("TF_ENABLE_ONEDNN_OPTS")


def test_onednn_is_turned_on_where_tensorflow_leaves_it_off(processor, monkeypatch):
    processor(AVX2)
    assert not machine.onednn()
    assert _prepared(monkeypatch) == "1" and machine.onednn()


def test_onednn_is_left_alone_elsewhere(processor, monkeypatch):
    processor(AVX512)
    assert _prepared(monkeypatch) is None and machine.onednn()
    processor(AVX2, kind="aarch64")
    assert _prepared(monkeypatch) is None
    processor("sse4_1")
    assert _prepared(monkeypatch) is None
    processor(AVX2)
    assert _prepared(monkeypatch, imported=True) is None


def test_a_users_setting_is_never_changed(processor, monkeypatch):
    processor(AVX2)
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    assert _prepared(monkeypatch) == "0" and not machine.onednn()
    machine.restore({"onednn": True})
    assert os.environ["TF_ENABLE_ONEDNN_OPTS"] == "0"
    assert "began with oneDNN and resumes without" in machine.difference({"onednn": True})


def test_a_begun_run_gets_its_own_setting_back(processor, monkeypatch):
    processor(AVX2)
    assert _prepared(monkeypatch) == "1"
    machine.restore({"onednn": False})
    assert not machine.onednn() and not machine.difference({"onednn": False})
    for nothing in (None, {}, {"onednn": False}):
        assert not machine.difference(nothing)


def test_what_is_said_is_what_tensorflow_does():
    """`onednn` repeats a rule of TensorFlow: here it is compared with TensorFlow's own answer."""
    code = (
        "import tensorflow as tf; from zoo import machine; "
        "from tensorflow.python.util import _pywrap_util_port as port; "
        "print(machine.onednn() == port.IsMklEnabled())"
    )
    environment = {k: v for k, v in os.environ.items() if "ONEDNN" not in k}
    answer = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True
    )
    assert answer.stdout.split() == ["True"], answer.stderr

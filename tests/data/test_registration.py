"""The builders are known to TFDS after `import zoo`, outside the checkout, in both orders."""

import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("modules", ["zoo, tensorflow_datasets", "tensorflow_datasets, zoo"])
def test_registered_in_a_fresh_process(tmp_path, modules):
    code = f"""
import {modules}
builder = tensorflow_datasets.builder("zoo_dsprites/noisy", data_dir={str(tmp_path)!r})
print(builder.info.full_name, "value_x_position" in builder.info.features)
"""
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.split() == ["zoo_dsprites/noisy/3.0.0", "True"]


def test_importing_data_leaves_tensorflow_alone(tmp_path):
    code = "import sys, zoo; zoo.data.names(); print('tensorflow' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code]
    output = subprocess.check_output(command, cwd=tmp_path, env=environment, text=True)
    assert output.strip() == "False"

"""Every command and every example of the README is run, here or by CI."""

import importlib.util
import pathlib
import re
import subprocess
import sys

import pytest

import zoo

ROOT = pathlib.Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
CI = (ROOT / ".ci" / "run").read_text()
# Shell lines of the README that are run otherwise: which file runs them, and as what.
ELSEWHERE = {
    "make train": (".ci/run", "python -m zoo.train --gin_file=gin/beta_vae.gin"),
    "make test": (".ci/run", "make test"),
    "pip install .": ("tests/test_wheel.py", "build_meta.build_wheel"),
    "python -m zoo.train --gin_file=gin/beta_vae.gin": (".ci/run", "--gin_file=gin/beta_vae.gin"),
    "python -m zoo.train --gin_file=gin/beta_vae.gin --run_dir=runs/beta8 "
    "--gin_bindings='BetaVAE.beta = 8.0'": (".ci/run", "--gin_bindings="),
    "python -m zoo.evaluate --model=beta_vae/dsprites": (
        ".ci/run",
        "zoo.evaluate --model=beta_vae/dsprites",
    ),
    "python -m zoo.report runs/beta_vae runs/beta8 --out=runs/compared.html": (
        ".ci/run",
        "zoo.report ",
    ),
    "python -m zoo.export --format=onnx --model=beta_vae/dsprites --out=onnx": (
        ".ci/run",
        "zoo.export --format=onnx --model=beta_vae/dsprites",
    ),
    "python -m zoo.evaluate --run=runs/beta_vae": (".ci/run", "zoo.evaluate --run="),
    "python -m zoo.evaluate --codes=codes.npz --out=scores.csv --html=scores.html": (
        "tests/test_evaluate_arrays.py",
        '[f"--codes={file}"',
    ),
    **dict.fromkeys(
        (
            "python -m zoo.export --loop --gin_file=gin/linear_vae.gin "
            "--run_dir=runs/linear_vae --out=job",
            "python job/run_loop.py job --minutes=10",
            "python -m zoo.import_loop job --run_dir=runs/linear_vae",
            "python -m zoo.train --gin_file=gin/linear_vae.gin --run_dir=runs/linear_vae",
        ),
        ("tests/portable/test_loops.py", "test_the_commands_of_the_readme"),
    ),
    "python -m zoo.reproduce --list": (".ci/run", "zoo.reproduce --list"),
    "python -m zoo.reproduce --table=zietlow/3.3 --budget=cpu --rows='*synth_lin' --seeds=3": (
        ".ci/run",
        "zoo.reproduce --table=zietlow/3.3",
    ),
    "python -m zoo.sweep --gin_file=gin/beta_vae.gin --set='BetaVAE.beta=1,2,4,8' --seeds=5 "
    "--out=runs/beta": (".ci/run", "zoo.sweep --gin_file=gin/beta_vae.gin --set="),
    "python -m zoo.reproduce --table=zietlow/3.3 --jobs=4 --for=8h": (
        ".ci/run",
        "--table=zietlow/3.3",
    ),
    "python -m zoo.reproduce --table=zietlow/3.3 --engine=ray --address=head-node:6379": (
        "tests/scheduling/test_ray.py",
        "on_ray.Ray(",
    ),
    "python -m zoo.reproduce --table=zietlow/3.3 --engine=slurm --jobs=20 "
    "--slurm=partition=gpu --slurm=gpus_per_node=1": (
        "tests/scheduling/test_slurm.py",
        "on_slurm.Slurm(",
    ),
}


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.M | re.S)


def test_every_shell_command_is_run_somewhere(tmp_path):
    for block in _blocks("sh"):
        for line in block.splitlines():
            command = line.split("  #")[0].split("    ")[0].strip()
            if command in ELSEWHERE:
                path, text = ELSEWHERE[command]
                assert text in (ROOT / path).read_text(), f"{path} does not run {command!r}"
            else:
                assert command.startswith("python -m zoo.data.preview "), f"{command!r} is not run"
                arguments = command.split()[1:]
                subprocess.run([sys.executable, *arguments], cwd=tmp_path, check=True)
                assert (tmp_path / "preview.png").stat().st_size > 1000


def test_the_example_script_runs():
    assert "`python examples/score_numpy.py`" in README
    answer = subprocess.run(
        [sys.executable, ROOT / "examples" / "score_numpy.py"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "DCI disentanglement" in answer.stdout


@pytest.mark.parametrize("number", range(len(_blocks("python"))))
def test_python_examples_run(number, tmp_path):
    block = _blocks("python")[number]
    for library in re.findall(r"^import (torch|jax)\b", block, re.M):
        if importlib.util.find_spec(library) is None:
            pytest.skip(f"{library} is not installed")
    subprocess.run([sys.executable, "-c", block], cwd=tmp_path, check=True)


def test_links_and_pictures_exist():
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


def test_the_table_of_pretrained_models_lists_them_all(monkeypatch):
    monkeypatch.delenv("ZOO_HUB", raising=False)
    table = README.split("\n## Pretrained models")[1].split("\n\n")[1]
    rows = re.findall(r"^\|(.*?)\|", table, re.M)
    assert sorted(re.findall(r"`(\S+)`", " ".join(rows))) == zoo.names()

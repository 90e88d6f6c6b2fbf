"""The wheel holds everything a user needs outside a checkout."""

import os
import pathlib
import shutil
import subprocess
import sys
import zipfile

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> pathlib.Path:
    """A wheel of this checkout, unpacked as pip would install it."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    listed = subprocess.run(
        ["git", "-C", ROOT, "ls-files", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        text=True,
    )
    if listed.returncode:
        pytest.skip("the files of the project are listed by git, and this is no checkout")
    for name in listed.stdout.splitlines():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_symlink() or (ROOT / name).is_file():
            shutil.copy(ROOT / name, source / name, follow_symlinks=False)
    built = subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, source],
        capture_output=True,
        text=True,
    )
    assert built.returncode == 0, built.stderr
    (archive,) = folder.glob("*.whl")
    with zipfile.ZipFile(archive) as file:
        file.extractall(folder / "site")
    return folder / "site"


def test_everything_of_the_checkout_is_in_the_wheel(wheel):
    files = {p.relative_to(wheel).as_posix() for p in wheel.rglob("*") if p.is_file()}
    for pattern, home in (
        ("zoo/**/*", ""),
        ("gin/**/*.gin", "zoo/"),
        ("data/**/*.py", "zoo/"),
        ("evaluation/**/*", "zoo/"),
    ):
        for path in ROOT.glob(pattern):
            name = path.relative_to(ROOT).as_posix()
            if path.is_file() and "__pycache__" not in name and path.name[0] != ".":
                assert home + name in files, f"{name} is not in the wheel"
    for folder in (ROOT / "data").glob("zoo_*"):
        for name in ("README.md", "CITATIONS.bib", "TAGS.txt", "checksums.tsv"):
            assert f"zoo/data/{folder.name}/{name}" in files


def test_nothing_else_reaches_site_packages(wheel):
    assert {path.name for path in wheel.iterdir() if path.suffix != ".dist-info"} == {"zoo"}


def test_gin_files_are_found_from_anywhere(wheel, tmp_path):
    code = (
        "from zoo import config\n"
        "print(config.find('gin/beta_vae.gin'), 'gin/beta_vae.gin' in config.shipped())"
    )
    found = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": str(wheel), "PATH": ""},
        capture_output=True,
        text=True,
    )
    assert found.stdout.split() == [str(wheel / "zoo/gin/beta_vae.gin"), "True"], found


def test_a_project_with_packages_of_the_same_names(wheel, tmp_path):
    """Both are theirs, and ours work beside them."""
    for name in ("data", "evaluation"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(f"OWNER = 'their {name}'\n")
    code = (
        "import data, evaluation, zoo\n"
        "print(data.OWNER, evaluation.OWNER, sep=', ')\n"
        "print(len(zoo.data.load('zoo_synthetic/linear').images) > 0)\n"
        "print(zoo.evaluation.mig([[0.0], [1.0]] * 10, [[0], [1]] * 10)['score'])\n"
        "import tensorflow_datasets as tfds\n"
        "print(tfds.builder('zoo_dsprites/noisy', data_dir='.').name)\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": f"{tmp_path}:{wheel}", "PATH": "", "ZOO_CACHE": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
    )
    lines = ["their data, their evaluation", "True", "1.0", "zoo_dsprites"]
    assert answer.stdout.splitlines() == lines, answer.stderr


@pytest.mark.parametrize("name", ["data", "evaluation"])
def test_a_bare_name_is_refused(name):
    answer = subprocess.run(
        [sys.executable, "-c", f"import {name}"], cwd=ROOT, capture_output=True, text=True
    )
    last = answer.stderr.strip().splitlines()[-1]
    assert last == f"ImportError: this package is zoo.{name}: `from zoo import {name}`"


EXAMPLES = {
    "own_model": ["runs/own_objective: MCC", "runs/own_model: MCC", "step 200: loss"],
    "own_data": ["Dataset 'own/shapes': 72 observations 16 x 16 x 1 uint8", "'mig': "],
    "own_score": ["separation: "],
}


@pytest.fixture(scope="module")
def user(wheel, tmp_path_factory):
    """An empty folder with the examples, and what runs Python there with the wheel."""
    folder = tmp_path_factory.mktemp("user")
    for name in EXAMPLES:
        shutil.copy(ROOT / "examples" / f"{name}.py", folder)
    environment = {**os.environ, "PYTHONPATH": str(wheel), "ZOO_CACHE": str(folder / "cache")}

    def run(*arguments: str) -> str:
        answer = subprocess.run(
            [sys.executable, *arguments],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert answer.returncode == 0, answer.stderr
        assert "ERROR" not in answer.stderr and "Warning" not in answer.stderr, answer.stderr
        return answer.stdout + answer.stderr

    return run


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_of_own_parts_run_and_commands_take_their_runs(user, name):
    printed = user(f"{name}.py")
    for text in EXAMPLES[name]:
        assert text in printed
    folder = {"own_model": "runs/own_objective"}.get(name, f"runs/{name}")
    again = user("-m", "zoo.train", f"--gin_file={folder}/config.gin", f"--run_dir={folder}")
    assert f"{folder} is finished" in again

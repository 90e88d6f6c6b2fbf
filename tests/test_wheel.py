"""The wheel holds everything a user needs outside a checkout."""

import copy
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
    # What pip has the back end of pyproject.toml do, in one process instead of three.
    build = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"
    built = subprocess.run(
        [sys.executable, "-c", build, folder], cwd=source, capture_output=True, text=True
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
    "own_table": ["runs/own/posterior.md"],
}


NOTEBOOK = "own_parts.ipynb"


@pytest.fixture(scope="module")
def environment(wheel, tmp_path_factory):
    """A user's: the wheel is installed, and nothing of the home directory is read or written."""
    home = str(tmp_path_factory.mktemp("home"))
    return {
        **os.environ,
        **dict.fromkeys(("HOME", "ZOO_CACHE", "IPYTHONDIR", "JUPYTER_DATA_DIR"), home),
        "PYTHONPATH": str(wheel),
    }


@pytest.fixture(scope="module")
def user(environment, tmp_path_factory):
    """An empty folder but for the examples, and what runs Python there."""
    folder = tmp_path_factory.mktemp("user")
    for name in EXAMPLES:
        shutil.copy(ROOT / "examples" / f"{name}.py", folder)

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


@pytest.fixture(scope="module")
def printed(user):
    """What each example prints; their runs are then there."""
    return {name: user(f"{name}.py") for name in EXAMPLES}


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_of_own_parts_run(printed, name):
    for text in EXAMPLES[name]:
        assert text in printed[name]


@pytest.mark.usefixtures("printed")
def test_the_command_takes_their_runs(user):
    runs = ["runs/own_objective", "runs/own_data", "runs/own_score"]
    # One process, because TensorFlow takes seconds to import.
    again = user(
        "-c",
        "import sys\nfrom zoo import train\nfor run in sys.argv[1:]:\n"
        "    train.main([f'--gin_file={run}/config.gin', f'--run_dir={run}'])",
        *runs,
    )
    assert [run for run in runs if f"{run} is finished" not in again] == []


def test_the_notebook_runs_twice(environment, tmp_path, monkeypatch):
    """Every cell once, and then every cell once more, as after changing one."""
    nbclient = pytest.importorskip("nbclient", reason="pip install nbclient ipykernel")
    import nbformat

    for name in ("IPYTHONDIR", "JUPYTER_DATA_DIR", "HOME"):
        monkeypatch.setenv(name, environment[name])
    notebook = nbformat.read(ROOT / "examples" / NOTEBOOK, as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    notebook.cells = copy.deepcopy(cells) + copy.deepcopy(cells)
    for number, cell in enumerate(notebook.cells):
        cell.id = str(number)
    client = nbclient.NotebookClient(notebook, resources={"metadata": {"path": str(tmp_path)}})
    client.execute(env=environment)
    data, fit, plot = (
        next(i for i, cell in enumerate(cells) if text in cell.source)
        for text in ("data.register", "zoo.fit", "plt.figure")
    )
    for start in (0, len(cells)):
        once = [_shown(cell) for cell in notebook.cells[start : start + len(cells)]]
        assert "Dataset 'own/discs': 64 observations 16 x 16 x 1 uint8" in once[data]
        assert "'separation': " in once[fit] and "image/png" in once[plot]
        losses = "the run was finished already" if start else "{100: "
        assert f"loss at each step: {losses}" in once[fit]
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]


def _shown(cell) -> str:
    """What a cell printed and displayed, with the names of the formats."""
    return str([output.get("text") or output.get("data") for output in cell.outputs])

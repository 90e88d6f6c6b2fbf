"""The wheel holds everything a user needs outside a checkout."""

import pathlib
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
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
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
    for pattern, home in (("gin/**/*.gin", "zoo/"), ("zoo/**/*", ""), ("evaluation/**/*", "")):
        for path in ROOT.glob(pattern):
            name = path.relative_to(ROOT).as_posix()
            if path.is_file() and "__pycache__" not in name:
                assert home + name in files, f"{name} is not in the wheel"
    for folder in (ROOT / "data").glob("zoo_*"):
        for name in ("README.md", "CITATIONS.bib", "TAGS.txt", "checksums.tsv"):
            assert f"data/{folder.name}/{name}" in files
    assert not any(name.split("/")[0] in ("tests", "gin", "benchmarks") for name in files)


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


def test_a_stranger_called_data_is_named(wheel, tmp_path):
    (tmp_path / "data.py").write_text("")
    answer = subprocess.run(
        [sys.executable, "-c", "import zoo"],
        cwd=tmp_path,
        env={"PYTHONPATH": f"{tmp_path}:{wheel}", "PATH": ""},
        capture_output=True,
        text=True,
    )
    last = answer.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: zoo needs its own package 'data'"), answer
    assert str(tmp_path / "data.py") in last

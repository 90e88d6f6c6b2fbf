"""Every paper stands on its own: its gin files, its folder, its README."""

import ast
import importlib
import pathlib
import re

import gin
import pytest
from gin import config_parser

import zoo
import zoo.configurables
from zoo import config, gin_text
from zoo.papers import catalog

FILES = [file for file in config.shipped() if file.startswith("gin/papers/")]
# Folder of gin files -> what a header says of where they are from.
SOURCES = {
    "additive_decoders": "Lachapelle et al. 2023|Lachapelle, Mahajan, Mitliagkas",
    "disentanglement_lib": "Locatello et al. 2019",
    "interaction_asymmetry": "Brady, von Kuegelgen, Lachapelle",
    "seams": 'Allen, "Unpicking Data at the Seams"',
    "slow_disentanglement": "Klindt et al. 2021",
    "synergy": "Li, Fan et al. 2025",
    "weak_disentangle": "Shu et al. 2020",
    "zietlow": "Zietlow 2022",
}
PAPERS = pathlib.Path(zoo.__file__).parent / "papers"
FOLDERS = sorted(path.name for path in PAPERS.iterdir() if (path / "__init__.py").exists())


@pytest.fixture(autouse=True)
def _clean():
    yield
    gin.clear_config()


def header(file: str) -> str:
    """The comments that a gin file begins with, as one line."""
    lines = config.find(file).read_text().splitlines()
    end = next(k for k, line in enumerate(lines) if not line.startswith("#"))
    return " ".join(line.lstrip("# ") for line in lines[:end])


@pytest.mark.parametrize("file", FILES)
def test_a_papers_gin_includes_no_other(file):
    text = config.find(file).read_text()
    delegate = gin.config.ParserDelegate(skip_unknown=True)
    statements = [*config_parser.ConfigParser(text, delegate)]
    assert statements
    assert not any(isinstance(s, config_parser.IncludeStatement) for s in statements)
    bound = gin_text.of_text(text)
    root = "perturb" if "perturb." in "".join(bound) else "train"
    assert {f"{root}.name", f"{root}.dataset", f"{root}.optimizer", f"{root}.steps"} <= bound.keys()


@pytest.mark.parametrize("file", FILES)
def test_a_papers_gin_says_where_it_is_from(file):
    assert re.search(SOURCES[file.split("/")[2]], header(file))


@pytest.mark.parametrize("file", FILES)
def test_every_component_that_a_papers_gin_binds_is_used(file):
    """Nothing is left over from a file that it was copied from."""
    bound = gin_text.of_file(config.find(file))
    used, left = set(), ["perturb" if "perturb.name" in bound else "train"]
    while left:
        name = left.pop()
        used.add(name)
        values = [v for key, v in bound.items() if key.rpartition(".")[0] == name]
        found = {n for value in values for n in re.findall(r"@([\w./]+)", value)}
        left += found - used
    assert {key.rpartition(".")[0] for key in bound} <= used


@pytest.mark.parametrize("file", [file for file in FILES if "/perturb_" in file])
def test_restarts_of_a_perturbation_are_of_its_data(file):
    bound = gin_text.of_file(config.find(file))
    restarts = bound["perturb.restarts"].strip("'")
    bindings = ast.literal_eval(bound.get("perturb.bindings", "()"))
    config.parse([restarts], bindings)
    found = gin_text.of_config(restarts, bindings)
    assert found["train.dataset"] == bound["perturb.dataset"]
    assert found["VAE.latent_dim"] == bound["perturb.min_active"]
    assert bound["perturb.dataset"].strip("'").split("/")[0].removeprefix("zoo_") in file


def test_the_catalogue_has_every_papers_folder():
    assert {module.split(".")[2] for module in catalog.PAPERS} == {*FOLDERS}
    assert len(FOLDERS) >= 4


@pytest.mark.parametrize("paper", FOLDERS)
def test_a_papers_readme_has_its_tables_and_nothing_that_is_not_there(paper):
    text = (PAPERS / paper / "README.md").read_text()
    for table in importlib.import_module(f"zoo.papers.{paper}.tables").TABLES:
        assert re.search(rf"--table={re.escape(table.name)}\b[` ]", text), table.name
        assert table.name.startswith(f"{paper}/")
    named = set(re.findall(r"--table=([\w./]+)", text))
    assert named <= set(catalog.tables())
    for file in re.findall(r"`(gin/[\w/]+\.gin)`", text):
        assert config.find(file).exists()
    for name in set(
        re.findall(r"`(zoo\.(?:models|networks|evaluation|training|perturbation)[\w.]*)`", text)
    ):
        module, _, last = name.rpartition(".")
        try:
            importlib.import_module(name)
        except ModuleNotFoundError:
            assert hasattr(importlib.import_module(module), last), name

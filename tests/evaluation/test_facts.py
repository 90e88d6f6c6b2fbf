"""The facts of every score: complete, true of what it returns, the same wherever they are read."""

import importlib
import inspect
import math
import pathlib
import re
import subprocess
import sys
import types

import numpy as np
import pytest

from zoo import evaluation
from zoo.data.dataset import Dataset, DenseImages
from zoo.data.space import Factor, FactorSpace
from zoo.evaluation import citations, facts, index, score_table
from zoo.evaluation.inputs import Inputs

ROOT = pathlib.Path(evaluation.__file__).resolve().parent.parent
SIZES = {"num_train": 600, "num_test": 300, "num_jacobian": 20, "batch_size": 64}
OPTIONS = {
    f"{name}_score": {"num_train": 200, "num_eval": 100} for name in ("factor_vae", "beta_vae")
}
# Of the axes of the toy model's parts.
LENGTHS = {"latent": 4, "factor": 3, "true_latent": 3, "rank": 4, "sample": 20}


@pytest.mark.parametrize("name", facts.names())
def test_facts_are_complete_and_fit_the_function(name):
    function, known = getattr(evaluation, name), facts.of(name)
    assert function.facts is known and known.name == name
    assert known.about and known.about[0].isupper() and not known.about.endswith(".")
    assert known.source and any(character.isdigit() for character in known.source)
    assert known.range[0] < known.range[1]
    assert known.chance is None or known.range[0] <= known.chance <= known.range[1]
    assert {axis for axes in known.axes.values() for axis in axes} <= set(facts.AXES)
    assert set(known.suites) <= set(facts.suites())
    parameters = inspect.signature(function).parameters
    required = [
        p.name
        for p in parameters.values()
        if p.default is p.empty and p.kind is not p.VAR_KEYWORD and p.name not in known.settings
    ]
    assert len(known.needs) >= len(required)
    assert set(known.settings) <= set(parameters)
    inspect.signature(function).bind_partial(*known.needs)
    if known.suites:
        made = {"seed", *vars(Inputs)}
        assert made >= {*known.needs, *known.settings}


def test_index_and_modules_hold_the_same_scores():
    modules = sorted(path.stem for path in (ROOT / "evaluation").glob("[a-z]*.py"))
    decorated = {}
    for module in modules:
        values = vars(importlib.import_module(f"zoo.evaluation.{module}")).values()
        functions = [v for v in values if inspect.isfunction(v) and hasattr(v, "facts")]
        decorated |= {f.__name__: module for f in functions if f.__module__.endswith(f".{module}")}
    assert decorated == index.MODULE_OF_SCORE
    assert not set(index.MODULE_OF) & set(modules), "importing the module would hide the function"
    for name in evaluation.__all__:
        assert getattr(evaluation, name).__name__ == name


def test_every_score_has_a_test():
    sources = "".join(
        path.read_text(encoding="utf-8")
        for path in (ROOT / "tests" / "evaluation").glob("test_*.py")
        if path != pathlib.Path(__file__)
    )
    assert [name for name in facts.names() if not re.search(rf"\b{name}\b", sources)] == []


def test_names_facts_and_suites_need_no_tensorflow():
    code = (
        "import sys\nfrom zoo import evaluation\n"
        "assert 'numpy' not in sys.modules or 'scipy' not in sys.modules\n"
        "assert len(dir(evaluation)) > 40\n"
        "from zoo.evaluation import facts\n"
        "assert facts.suites()['fast'] and facts.of('block_hessian').needs\n"
        "assert 'tensorflow' not in sys.modules and 'keras' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_suites_hold_one_another():
    suites = {name: set(scores) for name, scores in facts.suites().items()}
    assert suites["fast"] < suites["standard"] < suites["full"]
    assert set(facts.suites()) == {"fast", "standard", "full", "slots"}
    assert {"j_ari", "jis", "attention_ari"} <= suites["slots"]


def test_an_unknown_score_is_named():
    with pytest.raises(evaluation.InputError, match="unknown score 'migg'.*mig"):
        facts.of("migg")


@pytest.mark.parametrize("name", ["README.md", "evaluation/README.md"])
def test_documentation_has_the_facts(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    assert "<!-- scores: " in text
    assert score_table.updated(text) == text, f"run python -m zoo.evaluation.score_table {name}"
    assert score_table.updated(text.replace("`mig`", "`gim`")) == text


class Toy:
    """Images of one row, the factors; codes are these times a matrix, the decoder goes back."""

    def __init__(self, matrix, offset: float, spread: float, variance):
        self.matrix, self.offset, self.spread = np.asarray(matrix, np.float32), offset, spread
        self.variance = np.asarray(variance)

    def encode(self, images):
        return images.reshape(len(images), -1) @ self.matrix

    def decode(self, codes):
        import tensorflow as tf

        pixels = tf.convert_to_tensor(codes) @ np.linalg.pinv(self.matrix)
        return (pixels + self.offset)[:, None, :, None]

    def posterior(self, images):
        means = self.spread * self.encode(images)
        variances = np.broadcast_to(self.variance, means.shape)
        return types.SimpleNamespace(mean=lambda: means, variance=lambda: variances)


@pytest.fixture(scope="module")
def tables():
    """The full suite for a perfect model, whose third pixel is constant, and for a bad one."""
    sizes = (3, 4, 1, 5)
    axes = [Factor(f"f{i}", tuple(map(float, range(n))), i == 0) for i, n in enumerate(sizes)]
    space = FactorSpace(tuple(axes))
    factors = space.factors(np.arange(len(space)))
    pixels = (factors * 255 // np.maximum(np.array(sizes) - 1, 1)).astype(np.uint8)
    dataset = Dataset("toy", DenseImages(pixels[:, None, :, None]), space=space)
    good = Toy(np.diag([1.0, 0.7, 0.5, 1.3]), 0.0, 4.0, [0.01, 0.01, 1.0, 0.01])
    mixing = np.outer([1.2, 1.1, 0.9, 1.0], [1.0, 1.1, 0.9, 1.2])
    bad = Toy(mixing, 0.2, 0.5, [0.3, 0.3, 0.3, 0.3])
    return [
        evaluation.evaluate(model, dataset, "full", options=OPTIONS, **SIZES)
        for model in (good, bad)
    ]


@pytest.mark.parametrize("name", facts.suites()["full"])
def test_values_parts_and_directions_are_as_stated(tables, name):
    known, (good, bad) = facts.of(name), (table[name] for table in tables)
    for row in (good, bad):
        assert row["reason"] is None
        assert known.range[0] <= row["score"] <= known.range[1]
        for part, axes in known.axes.items():
            assert np.shape(row["parts"][part]) == tuple(LENGTHS[axis] for axis in axes), part
    if known.higher_is_better is True:
        assert good["score"] > bad["score"]
        assert not known.is_share or math.isfinite(known.range[0])
    elif known.higher_is_better is False:
        assert good["score"] < bad["score"]


def test_properties():
    assert facts.of("factor_vae_score").interventional and not facts.of("irs").interventional
    assert facts.of("attention_ari").is_share and not facts.of("reconstruction_rmse").is_share
    assert facts.of("modularity").parts_over("latent") == ["per_code"]
    assert facts.of("dci").parts_over("latent", "factor") == ["importance"]


def test_every_source_is_linked():
    sources = {facts.of(name).source for name in facts.names()}
    assert sources == set(citations.ARXIV) | set(citations.ELSEWHERE)
    assert all(re.fullmatch(r"\d{4}\.\d{4,5}", number) for number in citations.ARXIV.values())
    urls = [citations.url(source) for source in citations.ARXIV]
    assert len(set(urls)) == len(urls) and all(u.startswith("https://arxiv.org/") for u in urls)
    assert "[Chen et al. 2018](https://arxiv.org/abs/1802.04942)" in score_table.every()
    assert "[Jaccard 1912](https://doi.org/10.1111/j" in score_table.every()


@pytest.mark.parametrize("name", facts.names())
def test_the_documentation_of_a_score_ends_with_its_source(name):
    *_, head, last = inspect.getdoc(getattr(evaluation, name)).splitlines()
    source = facts.of(name).source
    assert (head, last) == ("Source:", f"    {source}, {citations.url(source)}")
    assert last.partition(", https://")[2]

"""`python -m zoo.perturb` from restarts to a SavedModel that the perturbed data sets read."""

import contextlib
import io
import json
import pathlib
import re
import shutil
import subprocess
import sys

import gin
import numpy as np
import pytest
import tensorflow as tf
import toy
from PIL import Image

import zoo.configurables  # noqa: F401  registers what gin files name
from zoo import config
from zoo import perturb as command
from zoo.data import perturbation
from zoo.errors import UserError
from zoo.hub import package
from zoo.optim.schedules import at
from zoo.perturbation import choice
from zoo.perturbation.publishing import usage
from zoo.perturbation.settings import Settings as PerturbationSettings
from zoo.training import selection
from zoo.training.checkpoints import Checkpoints
from zoo.training.settings import Settings

HERE = pathlib.Path(__file__).parent
ARGUMENTS = (
    f"--gin_file={HERE / 'perturb_toy.gin'}",
    f"--gin_bindings=perturb.restarts = '{HERE.parent / 'fixtures' / 'toy.gin'}'",
)


@pytest.fixture(autouse=True)
def _clean():
    yield
    gin.clear_config()


@pytest.fixture(scope="module")
def printed():
    """What the command of `run` has printed, once it has run."""
    return io.StringIO()


@pytest.fixture(scope="module")
def run(tmp_path_factory, printed):
    """A finished run."""
    folder = tmp_path_factory.mktemp("perturb") / "run"
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        command.main([*ARGUMENTS, f"--run_dir={folder}"])
    (folder.parent / "used.gin").write_text(config.operative())
    return folder


@pytest.fixture
def restarts(run, tmp_path):
    """A folder in which only the restarts are done."""
    shutil.copytree(run / "restarts", tmp_path / "run" / "restarts")
    return tmp_path / "run"


@pytest.fixture
def failing(fails):
    """The line with which the command fails in a folder."""

    def call(folder, *bindings):
        extra = [f"--gin_bindings={binding}" for binding in bindings]
        return fails(command.main, *ARGUMENTS, f"--run_dir={folder}", *extra)

    return call


def test_what_the_network_would_replace_is_found_before_the_restarts(failing, tmp_path):
    (tmp_path / "perturbation").write_text("")
    assert "perturbation is there and is no exported model" in failing(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["perturbation"]


def records(folder):
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [
        {k: v for k, v in json.loads(line).items() if k not in ("time_s", "images_per_s")}
        for line in lines
    ]


def tensors(folder):
    reader = tf.train.load_checkpoint(tf.train.latest_checkpoint(folder / "checkpoints"))
    names = reader.get_variable_to_shape_map()
    return {n: reader.get_tensor(n) for n in names if "OBJECT_GRAPH" not in n and "save_c" not in n}


def test_the_choice_is_written_with_all_scores(run):
    written = json.loads((run / "choice.json").read_text())
    scores = {
        f"restarts/seed{seed}": json.loads(
            (run / "restarts" / f"seed{seed}" / "scores.json").read_text()
        )["mig"]["score"]
        for seed in (0, 1)
    }
    assert {r["path"]: r["mig"] for r in written["runs"]} == scores
    assert written["disentangled"] == [max(scores, key=scores.get)]
    assert written["entangled"] == [min(scores, key=scores.get)]
    gap = max(scores.values()) - min(scores.values())
    assert written["groups"] == [{"active_latents": 2, "runs": 2, "gap": gap, "taken": True}]
    assert (written["gap"], written["active_latents"], written["min_active"]) == (gap, 2, 0)
    assert json.loads((run / "manifest.json").read_text())["choice"] == written


def test_the_choice_is_shown_before_m_is_trained(run, printed):
    best, worst = json.loads((run / "choice.json").read_text())["runs"]
    text = printed.getvalue()
    shown = (
        f"restarts by active latents: 2 of 2 (MIG {worst['mig']:.3f} to {best['mig']:.3f})\n"
        f"disentangled: {run / best['path']} (MIG {best['mig']:.3f}, 2 active latents)\n"
        f"entangled: {run / worst['path']} (MIG {worst['mig']:.3f}, 2 active latents)\n"
        f"MIG gap: {best['mig'] - worst['mig']:.3f}\n"
    )
    assert shown in text and text.index(shown) > text.index("restart of seed 1")
    assert text.index(shown) < text.index("report: ")


def test_all_that_the_training_of_m_has_used_is_in_its_config(run):
    texts = (run / "config.gin").read_text(), (run.parent / "used.gin").read_text()
    claimed, used = map(config.bindings_of, texts)
    assert claimed == used and {"perturb.epsilon", "mlp_decoder.units", "Adam.l2"} <= claimed.keys()


def test_every_record_has_the_gaps_and_the_variation(run):
    log = records(run)
    assert len(log) == 8
    for record in log:
        for kind in ("entangled", "disentangled"):
            assert np.isfinite(record[f"reconstruction_gap_{kind}"])
        assert record["variation"] > 1e-3


def test_the_data_set_is_made_of_the_export(run, tmp_path, monkeypatch):
    base = toy.load("squares", None)
    made = perturbation.perturbed(base, 0.2, run / "perturbation", tmp_path)
    images = base.images[:].astype(float)
    change = np.abs(made[:] - 255 * images)
    assert 0 < change.max() <= 0.2 * 255 + 0.5
    network = tf.saved_model.load(run / "perturbation")
    values = tf.constant(base.space.values(base.space.factors(np.arange(128))), tf.float32)
    expected = perturbation.folded(images + 0.2 * network.perturb(values).numpy())
    assert np.abs(made[:] / 255 - expected).max() < 0.501 / 255 + 1e-6
    np.testing.assert_allclose(
        network.render(network.scalar(values)), network.perturb(values), atol=1e-6
    )
    monkeypatch.setenv(perturbation.ENVIRONMENT, str(run / "perturbation"))
    assert perturbation.find("toy") == run / "perturbation"


@pytest.mark.parametrize(
    ("dataset", "epsilon", "line"),
    [
        ("zoo_dsprites", 0.1, "ZOO_PERTURBATION=run/perturbation for zoo.data.load('zoo_dsprites/"),
        ("zoo_shapes3d/official[train]", 0.175, "ZOO_PERTURBATION=run/perturbation for zoo.data."),
        ("zoo_dsprites/rendered", 0.2, "perturbed(zoo.data.load('zoo_dsprites/rendered'), 0.2, "),
        (
            "zoo_dsprites/color",
            0.1,
            "zoo.data.perturbation.perturbed(zoo.data.load('zoo_dsprites/c",
        ),
        ("smallnorb", 0.1, "zoo.data.perturbation.perturbed(zoo.data.load('smallnorb'), 0.1, "),
        ("rooms[train]", 0.1, "zoo.data.perturbation.perturbed(zoo.data.load('rooms'), 0.1, 'run/"),
    ],
)
def test_how_to_use_it_is_true_of_its_data_set_and_epsilon(dataset, epsilon, line):
    said = usage({"dataset": dataset, "epsilon": epsilon}, "run")
    assert line in said and ("ZOO_PERTURBATION" in line) == ("ZOO_PERTURBATION" in said)
    assert repr("my run/perturbation") in usage({"dataset": dataset, "epsilon": epsilon}, "my run")


def test_the_card_says_where_it_comes_from(run):
    card = package.verify(run / "perturbation")
    assert (card["epsilon"], card["dataset"], card["steps"]) == (0.2, "toy", 24)
    assert card["factors"] == ["size", "x", "y"]
    assert card["choice"]["runs"][0]["mig"] >= card["choice"]["runs"][1]["mig"]
    assert "perturb.epsilon = 0.2" in card["config"]
    last = records(run)[-1]
    assert card["losses"]["loss"] == last["loss"]


def test_the_card_of_a_selected_step_has_its_losses(run, tmp_path, monkeypatch):
    monkeypatch.setattr(selection, "mean_loss", lambda *_: lambda step: abs(step - 9.0))
    folders = tuple(str(run / "restarts" / f"seed{seed}") for seed in (0, 1))
    bindings = (
        *(f"perturb.runs = {folders}", "perturb.seeds = ()", "perturb.restarts = ''"),
        *("perturb.select = 'loss'", "perturb.select_every = 3"),
        "perturb.validation_dataset = 'toy'",
    )
    folder = tmp_path / "run"
    command.main([*ARGUMENTS, f"--run_dir={folder}", *(f"--gin_bindings={b}" for b in bindings)])
    card = package.verify(folder / "perturbation")
    assert (card["selected_step"], card["steps"]) == (9, 24)
    (record,) = (record for record in records(folder) if record["step"] == 9)
    assert card["losses"]["loss"] == record["loss"] != records(folder)[-1]["loss"]


def test_pictures_and_report(run):
    for name in ("perturbed", "scalar", "reconstruction_losses"):
        picture = np.array(Image.open(run / "images" / f"{name}.png").convert("RGB"))
        assert picture.std() > 5
    assert "reconstruction losses" in (run / "report" / "index.html").read_text().lower()
    assert (run / "DONE").exists()


def weights(path):
    """The variables of an exported VAE by their names below it."""
    file = tf.train.load_checkpoint(str(path / "variables" / "variables"))
    names = [name for name in file.get_variable_to_shape_map() if name.startswith("model/")]
    return {name.removeprefix("model/"): file.get_tensor(name) for name in names}


def test_the_decoders_start_from_the_chosen_runs_and_the_encoders_stay(run):
    written = json.loads((run / "choice.json").read_text())
    trained = list(tensors(run).values())
    for kind in ("disentangled", "entangled"):
        chosen = weights(run / written[kind][0] / "saved_model")
        assert len(chosen) == 10
        for name, before in chosen.items():
            apart = [np.abs(now - before).max() for now in trained if np.shape(now) == before.shape]
            if name.startswith("decoder"):
                # 18 steps of Adam at 1e-3.
                assert 0 < min(apart) < 0.03, name
            else:
                assert min(apart) == 0, name


def test_finished_runs_instead_of_restarts_and_an_interruption(run, tmp_path, monkeypatch):
    """The end is that of an uninterrupted training, to the bit."""

    class Interrupted(Exception):
        pass

    save = Checkpoints.save

    def failing_save(self, step):
        if step == 18:
            raise Interrupted
        return save(self, step)

    folders = tuple(str(run / "restarts" / f"seed{seed}") for seed in (0, 1))
    bindings = (f"perturb.runs = {folders}", "perturb.seeds = ()", "perturb.restarts = ''")
    broken = tmp_path / "run"
    arguments = [*ARGUMENTS, f"--run_dir={broken}", *(f"--gin_bindings={b}" for b in bindings)]
    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "save", failing_save)
        with pytest.raises(Interrupted):
            command.main(arguments)
    assert records(broken)[-1]["step"] == 18 and not (broken / "perturbation").exists()
    command.main(arguments)
    written = json.loads((broken / "choice.json").read_text())
    assert {r["path"] for r in written["runs"]} == set(folders)
    assert records(broken) == records(run)
    expected, got = tensors(run), tensors(broken)
    assert expected.keys() == got.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(got[name], value, name)


def contents(folder):
    files = [p for p in folder.rglob("*") if p.is_file() and p.name != ".lock"]
    return {p: p.read_bytes() for p in files}


def test_a_finished_run_is_left_alone(run):
    before = contents(run)
    command.main([*ARGUMENTS, f"--run_dir={run}"])
    assert contents(run) == before


@pytest.mark.parametrize(
    "binding, message",
    [
        ("perturb.seeds = (0,)", "give 1 restarts; 1 disentangled and 1 entangled take at least 2"),
        ("perturb.ensemble = 2", "give 2 restarts; 2 disentangled and 2 entangled take at least 4"),
        ("perturb.epsilon = 0.0", "perturb.epsilon is 0.0; give a number between 0 and 1"),
        ("perturb.epsilon = 1.0", "perturb.epsilon is 1.0; give a number between 0 and 1"),
        ("perturb.steps = 0", "perturb.steps is 0; give at least 1"),
        (
            "perturb.steps = 3",
            "perturb.steps is 3, and the first step that trains m is number 3 wi",
        ),
        ("perturb.warm_up = 24", "perturb.steps is 24, and the first step .* is number 27 with pe"),
        ("perturb.samples = 0", "perturb.samples is 0; give at least 1"),
        ("perturb.seeds = (3, 3)", "perturb.seeds names one twice"),
        ("perturb.seeds = (0, -3)", r"perturb.seeds is \(0, -3\); give whole numbers from 0"),
        ("perturb.seeds = (0, 0.5)", r"perturb.seeds is \(0, 0.5\); give whole numbers from 0"),
        ("perturb.devices = 'auto'", "perturb.devices is 'auto'; it takes one"),
        ("perturb.dataset = 'toy/other'", "no data set is named|trains on toy"),
        ("perturb.runs = ('/nowhere',)", "/nowhere is no finished run"),
        ("perturb.min_active = -1", "perturb.min_active is -1; give at least 0"),
        ("perturb.min_active = 3", r"no 2 runs .* of at least 3 .*: .* 2 of 2 .*; give further s"),
        ("perturb.likelihood = @Bernoulli", "perturb.likelihood is Bernoulli; give one of mean"),
        ("perturb.likelihood = @Gaussian\nGaussian.variance = -1", "Gaussian.variance is -1; give"),
    ],
)
def test_settings_that_cannot_be(restarts, failing, binding, message):
    assert re.search(message, failing(restarts, binding))
    assert not (restarts / "checkpoints").exists()


@pytest.mark.parametrize(
    ("bindings", "message"),
    [
        (["perturb.neuron_after = 9"], "perturb.neuron_after is 9; the decoder of m has"),
        (["perturb.bindings = ('train.publish = \"scores\"',)"], "train.publish is 'scores'"),
        (["perturb.dataset = 'zoo_synthetic/linear'"], "zoo_synthetic/linear, whose images do not"),
        (["perturb.select = 'mig'"], "perturb.select is mig; give 'loss' or None: m has no scores"),
    ],
)
def test_what_cannot_be_is_found_before_the_restarts(tmp_path, failing, bindings, message):
    assert message in failing(tmp_path / "run", *bindings)
    assert not [*(tmp_path / "run").rglob("config.gin")]


def change_json(path, **changes):
    content = json.loads(path.read_text())
    content.update(changes)
    path.write_text(json.dumps(content))


def test_runs_of_another_data_set(restarts, failing):
    change_json(restarts / "restarts/seed1/manifest.json", dataset_fingerprint="0" * 16)
    line = failing(restarts)
    assert "seed1 was trained on toy (0000000000000000), not on toy/squares" in line


def test_runs_of_one_mig(restarts, failing):
    for seed in (0, 1):
        change_json(restarts / f"restarts/seed{seed}/scores.json", mig={"score": 0.25})
    line = failing(restarts)
    assert "2 of 2 (MIG 0.250 to 0.250): among none of equally many is one more dis" in line
    change_json(restarts / "restarts/seed0/scores.json", mig={"score": None})
    assert "seed0 has no MIG; score it with python -m zoo.evaluate" in failing(restarts)


def test_other_settings_or_runs_after_the_training_began(run, tmp_path, failing):
    shutil.copytree(run, tmp_path / "run")
    line = failing(tmp_path / "run", "perturb.epsilon = 0.3")
    assert "perturb.epsilon: 0.2 -> 0.3" in line
    line = failing(tmp_path / "run", "Adam.learning_rate = 0.5")
    assert "Adam.learning_rate: 0.001 -> 0.5" in line
    change_json(tmp_path / "run/restarts/seed0/scores.json", mig={"score": 0.9})
    assert "the runs or their MIG have changed" in failing(tmp_path / "run")


def test_runs_and_choices_that_are_damaged_are_named(run, tmp_path, failing):
    folder = shutil.copytree(run, tmp_path / "run")
    (folder / "DONE").unlink()
    (folder / "choice.json").write_text("{}")
    assert f"{folder}/choice.json is damaged: it has no list of runs" in failing(folder)
    manifest = folder / "restarts" / "seed1" / "manifest.json"
    manifest.unlink()
    assert f"{manifest} is missing or damaged: it names no dataset; restore" in failing(folder)


def change_active(folder, count):
    """Makes a run one of another number of active latents; of None, one that did not log it."""
    log = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    log[-1]["active_latents"] = count
    (folder / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in log))


def test_runs_of_different_numbers_of_active_latents_or_of_none(restarts, failing):
    change_active(restarts / "restarts/seed1", 1.0)
    line = failing(restarts)
    assert "no 2 runs have equally many active latents: the runs by active latents are 1 of" in line
    assert line.endswith("give further seeds (perturb.seeds)")
    change_active(restarts / "restarts/seed1", None)
    assert "seed1 has no active_latents in the last record of metrics.jsonl" in failing(restarts)
    assert not (restarts / "choice.json").exists() and not (restarts / "config.gin").exists()


def as_runs(restarts):
    """Bindings that give the restarts of a folder as runs."""
    folders = tuple(str(restarts / "restarts" / f"seed{seed}") for seed in (0, 1))
    return f"perturb.runs = {folders}", "perturb.seeds = ()", "perturb.restarts = ''"


def change_text(path, before, after):
    text = path.read_text()
    assert text.count(before) == 1
    path.write_text(text.replace(before, after))


@pytest.mark.parametrize(
    "before, after, difference",
    [
        ("BetaVAE.beta = 1.0\n", "BetaVAE.beta = 8.0\n", "BetaVAE.beta: 1.0 -> 8.0"),
        ("VAE.latent_dim = 2\n", "", "VAE.latent_dim: 2 -> default"),
        ("train.seed = 1\n", "train.seed = 1\nAdam.l2 = 0.1\n", "Adam.l2: 0.0 -> 0.1"),
        # All of a value that goes over lines is compared.
        ("mlp_decoder.units = (32,)\n", "mlp_decoder.units = \\\n    (32,\n     64)\n",
         "mlp_decoder.units: (32,) -> (32, 64)"),
    ],
)  # fmt: skip
def test_runs_of_another_setting(restarts, failing, before, after, difference):
    change_text(restarts / "restarts/seed1/config.gin", before, after)
    line = failing(restarts.parent / "new", *as_runs(restarts))
    assert f"seed1 is of another setting than {restarts / 'restarts/seed0'} ({difference})" in line
    assert "must be restarts, which differ in train.seed alone" in line


def test_a_parameter_that_came_later_makes_no_other_setting(restarts):
    """One run of an older package, which did not know it, and one that has its default."""
    change_text(restarts / "restarts/seed0/config.gin", "Adam.l2 = 0.0\n", "")
    change_text(restarts / "restarts/seed1/config.gin", "train.scores = 'fast'\n", "")
    choice.require_one_setting([restarts / "restarts" / f"seed{seed}" for seed in (0, 1)])


def test_a_training_that_has_begun_keeps_its_pair(run, tmp_path):
    """One of before pairs had equally many active latents, its choice written as it was then."""
    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    written = json.loads((folder / "choice.json").read_text())
    change_active(folder / written["entangled"][0], 1.0)
    written["runs"][1]["active_latents"] = 1.0
    old = {key: written[key] for key in ("score", "disentangled", "entangled", "runs")}
    (folder / "choice.json").write_text(json.dumps(old, indent=1) + "\n")
    before = contents(folder)
    command.main([*ARGUMENTS, f"--run_dir={folder}"])
    assert contents(folder) == before


def restarts_of(*pairs):
    """Restarts of (MIG, active latents), numbered."""
    return [choice.Restart(pathlib.Path(f"r{k}"), m, k, a) for k, (m, a) in enumerate(pairs)]


def test_ensembles_are_the_best_and_the_worst():
    taken = choice.choose(restarts_of((0.3, 4), (0.1, 4), (0.5, 4), (0.2, 4), (0.4, 4)), 2)
    assert [r.seed for r in taken.disentangled] == [2, 4]
    assert [r.seed for r in taken.entangled] == [1, 3]
    assert taken.facts(pathlib.Path("elsewhere"))["disentangled"] == ["r2", "r4"]
    assert taken.gap == pytest.approx(0.45 - 0.15)


def test_a_pair_of_different_numbers_of_active_latents_is_refused():
    with pytest.raises(UserError) as refused:
        choice.choose(restarts_of((0.5, 3), (0.1, 5)), 1)
    assert str(refused.value) == (
        "no 2 runs have equally many active latents: the runs by active latents are 1 of 5 "
        "(MIG 0.100 to 0.100), 1 of 3 (MIG 0.500 to 0.500); give further seeds (perturb.seeds)"
    )
    # Three of one number and one of another make no ensembles of two and two.
    with pytest.raises(UserError, match="no 4 runs have equally many active latents: .* 3 of 5"):
        choice.choose(restarts_of((0.5, 5), (0.1, 5), (0.2, 5), (0.9, 4)), 2)


def test_an_over_pruned_run_of_a_higher_mig_is_passed_over():
    taken = choice.choose(restarts_of((0.9, 2), (0.3, 5), (0.2, 5), (0.1, 5), (0.05, 3)), 1)
    assert ([r.seed for r in taken.disentangled], [r.seed for r in taken.entangled]) == ([1], [3])


def test_of_several_groups_that_of_the_largest_gap_is_taken():
    runs = restarts_of((0.9, 3), (0.2, 5), (0.1, 5), (0.5, 3), (0.3, 4), (0.6, 3), (0.5, 2))
    taken = choice.choose(runs, 1)
    assert ([r.seed for r in taken.disentangled], [r.seed for r in taken.entangled]) == ([0], [3])
    facts = taken.facts(pathlib.Path("elsewhere"))
    assert [(g["active_latents"], g["runs"], g["taken"]) for g in facts["groups"]] == [
        (5, 2, False),
        (4, 1, False),
        (3, 3, True),
        (2, 1, False),
    ]
    assert [g["gap"] for g in facts["groups"]] == [
        pytest.approx(0.1),
        None,
        pytest.approx(0.4),
        None,
    ]
    assert facts["gap"] == pytest.approx(0.4) and facts["active_latents"] == 3
    # The dissertation's rule leaves the other.
    taken = choice.choose(runs, 1, min_active=5)
    assert ([r.seed for r in taken.disentangled], [r.seed for r in taken.entangled]) == ([1], [2])
    with pytest.raises(
        UserError, match=r"no 2 runs .* active latents of at least 6 \(perturb.min_"
    ):
        choice.choose(runs, 1, min_active=6)


def test_of_equal_gaps_that_of_more_active_latents_is_taken():
    taken = choice.choose(restarts_of((0.75, 3), (0.5, 3), (0.5, 4), (0.25, 4)), 1)
    assert taken.disentangled[0].active_latents == taken.entangled[0].active_latents == 4


def test_gaps_of_ensembles_are_of_their_means():
    """One outlier does not make a group the farthest apart."""
    outlier = [(0.9, 5), (0.2, 5), (0.2, 5), (0.1, 5)]
    even = [(0.7, 4), (0.7, 4), (0.1, 4), (0.1, 4)]
    assert choice.choose(restarts_of(*outlier, *even), 2).disentangled[0].active_latents == 4
    assert choice.choose(restarts_of(*outlier, *even), 1).disentangled[0].active_latents == 5


@pytest.mark.parametrize("file", [file for file in config.shipped() if "perturb" in file])
def test_shipped_configs(file):
    config.parse([file])
    settings = PerturbationSettings()
    family = settings.dataset.partition("/")[0]
    epsilon, ensemble = {"zoo_dsprites": (0.1, 1), "zoo_shapes3d": (0.175, 4)}[family]
    assert settings.epsilon == epsilon
    assert settings.ensemble == (ensemble if "papers" in file else 1)
    assert (settings.samples, settings.decoder_batches) == (5, 3)
    # The dissertation's rule: no fewer active latents than factors.
    factors = {"zoo_dsprites": 5, "zoo_shapes3d": 6}[family]
    assert settings.min_active == (factors if "papers" in file else 0)
    for make in (settings.optimizer, settings.decoder_optimizer):
        assert (make().beta_1, make().beta_2, make().epsilon) == (0.9, 0.999, 1e-7)
        assert "papers" not in file or float(make().learning_rate) == pytest.approx(1e-4)
    config.parse([settings.restarts], [*settings.bindings, "train.seed = 1"])
    restart = Settings()
    assert restart.dataset == settings.dataset
    model = restart.model((64, 64, 1))
    # Three latents are all active in short restarts, so that any two make a pair.
    assert model.latent_dim == (factors if "papers" in file else 3)
    assert len(settings.seeds) >= 2 * settings.ensemble
    # The dissertation's beta (Table 4.1), from the first step on; that of 3D Shapes does not suit
    # short restarts.
    table = {"zoo_dsprites": 8.0, "zoo_shapes3d": 32.0}[family]
    beta = table if "papers" in file else 8.0
    assert {float(at(model.objective.beta, step)) for step in (0, 1, 10**5)} == {beta}


def test_help_needs_no_tensorflow():
    code = (
        "import sys\nfrom zoo import perturb\n"
        "try:\n    perturb.main(['--help'])\n"
        "except SystemExit as stop:\n    assert stop.code == 0\n"
        "assert 'tensorflow' not in sys.modules and 'keras' not in sys.modules"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    assert "python -m zoo.perturb" in answer.stdout

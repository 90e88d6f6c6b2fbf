"""A run's folder is claimed with every setting that the run uses, and refused with another."""

import pathlib

import gin
import pytest

from zoo import config, runs
from zoo import train as command

FIXTURES = pathlib.Path(__file__).resolve().parents[1] / "fixtures"
SHORT = ("train.steps = 2", "train.log_every = 1", "train.scores = 'mig'")
# What a run is made of, and bindings that only its sampler, probe, schedule, step ... uses.
RUNS = {
    "beta_vae": (
        ("BetaVAE.beta = @linear_ramp()", "linear_ramp.start = 0.0", "linear_ramp.end = 1.0",
         "linear_ramp.steps = 5", "train.probe = @kl_error_probe", "kl_error_probe.images = 50",
         "train.select = 'loss'", "train.validation_dataset = 'toy[test]'"),
        ("linear_ramp.end = 0.5", "kl_error_probe.images = 20", "kl_error_probe.threshold = 0.1"),
    ),
    "slow_vae": (
        ("VAE.objective = @SlowVAE", "train.sampler = @LaplacePairs", "LaplacePairs.rate = 1.0"),
        ("LaplacePairs.rate = 2.0",),
    ),
    "factor_vae": (
        ("VAE.objective = @FactorVAE", "FactorVAE.discriminator_optimizer = @d/Adam",
         "d/Adam.learning_rate = 1e-4"),
        ("d/Adam.beta_2 = 0.9",),
    ),
    "slots": (
        ("train.model = @SlotAutoencoder", "SlotAutoencoder.slots = 2",
         "SlotAutoencoder.latent_dim = 4", "SlotAutoencoder.alpha = 0.0",
         "SlotAutoencoder.slot_encoder = @slot_attention_encoder",
         "slot_attention_encoder.channels = 4",
         "SlotAutoencoder.slot_decoder = @broadcast_slot_decoder",
         "broadcast_slot_decoder.channels = 4", "broadcast_slot_decoder.start = 8",
         "broadcast_slot_decoder.doublings = 1"),
        ("slot_attention_encoder.channels = 8",),
    ),
}  # fmt: skip


@pytest.fixture(autouse=True)
def _clean():
    yield
    gin.clear_config()


def arguments(folder, *bindings: str) -> list[str]:
    bound = [f"--gin_bindings={binding}" for binding in (*SHORT, *bindings)]
    return [f"--gin_file={FIXTURES / 'toy.gin'}", f"--run_dir={folder}", *bound]


@pytest.mark.parametrize("name", RUNS)
def test_all_that_a_run_has_used_is_in_its_config_and_any_change_is_refused(name, tmp_path, fails):
    bindings, changes = RUNS[name]
    command.main(arguments(tmp_path / "run", *bindings))
    folder = runs.RunFolder(tmp_path / "run")
    claimed = config.bindings_of(folder.config.read_text())
    assert config.bindings_of(config.operative()) == claimed
    for changed in changes:
        key = changed.partition(" = ")[0]
        assert key in claimed
        line = fails(command.main, *arguments(folder.path, *bindings, changed))
        assert f"{key}: {claimed[key]} -> " in line


def test_checkpoints_without_their_config_are_claimed_by_none(tmp_path):
    folder = runs.RunFolder(tmp_path)
    folder.checkpoints.mkdir()
    (folder.checkpoints / "ckpt-10.index").touch()
    with pytest.raises(runs.RunError, match="holds checkpoints and no config.gin"):
        folder.claim("train.seed = 0\n")
    assert not folder.config.exists()


def test_a_change_of_any_binding_is_a_difference(tmp_path):
    command.main(arguments(tmp_path / "run", *RUNS["slow_vae"][0]))
    folder = runs.RunFolder(tmp_path / "run")
    claimed = config.bindings_of(folder.config.read_text())
    assert len(claimed) > 30
    for name in claimed:
        other = "\n".join(f"{k} = {'@other' if k == name else v}" for k, v in claimed.items())
        with pytest.raises(runs.RunError, match="another configuration"):
            folder.claim(other)

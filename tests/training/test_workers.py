"""Training by several processes: equal to one, its noise, signals, losses, and TF_CONFIG."""

import functools
import json
import multiprocessing
import os
import pathlib
import signal
import socket
import time

import numpy as np
import pytest
import tensorflow as tf

from zoo import train as train_command
from zoo.training import workers

FIXTURES = pathlib.Path(__file__).resolve().parents[1] / "fixtures"
STEPS = 40
BINDINGS = (
    *("train.model = @AE", "AE.latent_dim = 4"),
    *("AE.encoder = @mlp_encoder", "AE.decoder = @mlp_decoder"),
    # A large epsilon: Adam divides by the gradient's size and so would amplify rounding.
    "Adam.epsilon = 1e-3",
    *(f"train.steps = {STEPS}", "train.checkpoint_every = 10", "train.scores = 'mig'"),
)


def _arguments(folder: pathlib.Path, *bindings: str) -> list[str]:
    return [
        f"--gin_file={FIXTURES / 'toy.gin'}",
        f"--run_dir={folder}",
        *(f"--gin_bindings={binding}" for binding in (*BINDINGS, *bindings)),
    ]


def _cluster(addresses: list[str], index: int) -> str:
    task = {"type": "worker", "index": index}
    return json.dumps({"cluster": {"worker": addresses}, "task": task})


def _addresses() -> list[str]:
    with socket.socket() as one, socket.socket() as other:
        for each in (one, other):
            each.bind(("127.0.0.1", 0))
        return [f"127.0.0.1:{each.getsockname()[1]}" for each in (one, other)]


def _train(arguments: list[str], config: str, log: pathlib.Path, pause: float) -> None:
    """A worker as the command line has it, slow enough to be caught at work."""
    os.environ.update(TF_CONFIG=config, TMPDIR=str(log.parent))
    for stream in (1, 2):
        os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), stream)
    from zoo import cli
    from zoo.training import trainer

    advance = trainer.Chunk.advance

    def slow(self, stop):
        time.sleep(pause)
        return advance(self, stop)

    trainer.Chunk.advance = slow
    cli.run(train_command.main, arguments)


@pytest.fixture(scope="module")
def context():
    """Forks of a process that has imported everything but computed nothing."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["zoo.configurables", "zoo.report.page"])
    return context


@pytest.fixture
def launch(context, tmp_path):
    """Starts two workers; gives their processes and logs."""
    started = []

    def start(folder: pathlib.Path, *bindings: str, pause: float = 0.0):
        addresses, number = _addresses(), len(started)
        logs = [tmp_path / f"{number + k}.log" for k in range(2)]
        arguments = _arguments(folder, "train.devices = 'workers'", *bindings)
        pair = [
            context.Process(target=_train, args=(arguments, _cluster(addresses, k), logs[k], pause))
            for k in range(2)
        ]
        for process in pair:
            process.start()
        started.extend(pair)
        return pair, logs

    yield start
    for process in started:
        if process.is_alive():
            process.kill()
            process.join()


def _last_line(log: pathlib.Path) -> str:
    return log.read_text().strip().splitlines()[-1]


def _steps(folder: pathlib.Path) -> int:
    path = folder / "metrics.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return max((json.loads(line)["step"] for line in lines), default=0)


def _await(condition, process, limit: float = 100.0) -> None:
    ends = time.monotonic() + limit
    while not condition():
        assert process.is_alive() and time.monotonic() < ends
        time.sleep(0.01)


def _weights(folder: pathlib.Path) -> dict[str, np.ndarray]:
    reader = tf.train.load_checkpoint(str(folder / "checkpoints" / f"ckpt-{STEPS}"))
    names = reader.get_variable_to_shape_map()
    return {n: reader.get_tensor(n) for n in names if n.startswith("model/")}


def test_workers_that_are_stopped_and_killed_end_as_one_process(launch, tmp_path):
    alone, folder = tmp_path / "alone", tmp_path / "together"
    train_command.main(_arguments(alone))

    # A signal to one of them stops and saves all.
    pair, logs = launch(folder, pause=0.3)
    _await(lambda: _steps(folder) >= 5, pair[0])
    os.kill(pair[1].pid, signal.SIGTERM)
    for process, log in zip(pair, logs, strict=True):
        process.join(100)
        assert process.exitcode == 128 + signal.SIGTERM, log.read_text()
        assert "stopped by SIGTERM at step" in log.read_text()
    assert list((folder / "checkpoints").glob("ckpt-*.index"))

    # What is left of them when one is killed ends with a line.
    pair, logs = launch(folder, pause=0.3)
    _await(lambda: _steps(folder) >= 20, pair[0])
    pair[1].kill()
    pair[0].join(100)
    assert pair[0].exitcode == 2, logs[0].read_text()
    assert _last_line(logs[0]).startswith("error: another worker has ended")
    assert not (folder / "DONE").exists()

    pair, logs = launch(folder)
    for process, log in zip(pair, logs, strict=True):
        process.join(100)
        assert process.exitcode == 0, log.read_text()
    assert (folder / "DONE").exists() and "report:" in logs[0].read_text()
    assert "report:" not in logs[1].read_text()
    # The other's folder is gone, but for that of the one that was killed.
    assert len(list(tmp_path.glob("zoo-worker-*"))) <= 1
    assert _steps(folder) == STEPS
    expected, got = _weights(alone), _weights(folder)
    assert expected.keys() == got.keys() and len(expected) > 5
    for name, value in expected.items():
        np.testing.assert_allclose(got[name], value, atol=1e-6, err_msg=name)


def _noise(config: str, queue) -> None:
    """One step of a model that logs its noise: its mean over replicas, and that of its square."""
    os.environ["TF_CONFIG"] = config
    import toy  # noqa: F401  registers the data set
    from noisy import Noisy

    from zoo import data
    from zoo.data import sampling
    from zoo.optim.optimizers import Adam
    from zoo.training.loop import Loop, strategy_for

    strategy, team = strategy_for("workers"), workers.team("workers")
    with strategy.scope():
        model = Noisy()
        model.bind(Adam(0.1))
    dataset = data.load("toy")
    sampler = sampling.Independent(dataset, 8)
    means = Loop(model, sampler, sampling.tensors(dataset), 5, strategy).run(0, 1)
    # What the chief has is told to all; the greatest is that of any.
    told = team.told({"text": "é", "number": 0.1} if team.chief else "not this")
    greatest = team.greatest(-1.5 if team.chief else -2.5)
    variable = tf.Variable([2**53 - 1, -3] if team.chief else [0, 7], dtype=tf.int64)
    team.equalize([variable])
    spread = means["square"] - means["noise"] ** 2
    queue.put((told, greatest, variable.numpy().tolist(), float(means["loss"]), float(spread)))
    # Both are there until both have finished.
    team.told()


def test_noise_differs_by_replica_and_what_the_chief_tells_arrives(context):
    queue, addresses = context.Queue(), _addresses()
    pair = [context.Process(target=_noise, args=(_cluster(addresses, k), queue)) for k in range(2)]
    for process in pair:
        process.start()
    one, other = (queue.get(timeout=100) for _ in pair)
    for process in pair:
        process.join(100)
        assert process.exitcode == 0
    assert one == other
    told, greatest, integers, _, spread = one
    assert told == {"text": "é", "number": 0.1} and greatest == -1.5
    assert integers == [2**53 - 1, -3] and spread > 1e-4


def _trained(config: str | None, queue) -> None:
    """Trains two models that draw noise; sends what their losses were, and their weights.

    Args:
        config: of a worker; None for two replicas in this process.
        queue: where to.
    """
    if config:
        os.environ["TF_CONFIG"] = config
    else:
        (cpu,) = tf.config.list_physical_devices("CPU")
        tf.config.set_logical_device_configuration(
            cpu, [tf.config.LogicalDeviceConfiguration()] * 2
        )
    from zoo.training.loop import Loop, strategy_for

    strategy = strategy_for("workers" if config else "auto")
    assert strategy.num_replicas_in_sync == 2
    import families
    import keras

    from zoo.data import sampling
    from zoo.models.vae import VAE
    from zoo.networks.convolutional import conv_decoder, conv_encoder

    layers = {"layers": ((4, 4, 2), (4, 4, 2)), "units": (8,)}
    makes = {
        "convolutional": lambda: VAE(
            families.SHAPE,
            latent_dim=3,
            objective=families.BetaVAE,
            encoder=functools.partial(conv_encoder, **layers),
            decoder=functools.partial(conv_decoder, **layers, grid_filters=4),
        ),
        "slots": families.FAMILIES["slots"],
    }
    sampler, tensors = sampling.Independent(families.DATASET, 8), sampling.tensors(families.DATASET)
    found = {}
    for name, make in makes.items():
        keras.utils.set_random_seed(0)
        with strategy.scope():
            model = make()
            model.bind(families.adam())
        means = Loop(model, sampler, tensors, 5, strategy).run(0, 4)
        found[name] = (float(means["loss"]), [np.asarray(v) for v in model.variables])
    queue.put((config is None, found))
    if config:
        # Both are there until both have finished.
        workers.team("workers").told()


def test_workers_train_as_the_replicas_of_one_process(context):
    queue, addresses = context.Queue(), _addresses()
    configs = [None, *(_cluster(addresses, k) for k in range(2))]
    started = [context.Process(target=_trained, args=(config, queue)) for config in configs]
    for process in started:
        process.start()
    # The replicas' come first.
    results = sorted((queue.get(timeout=900) for _ in started), key=lambda result: not result[0])
    for process in started:
        process.join(100)
        assert process.exitcode == 0
    (_, replicas), *pair = results
    for _, found in pair:
        for name, (loss, weights) in replicas.items():
            np.testing.assert_allclose(found[name][0], loss, rtol=1e-6, err_msg=name)
            assert len(found[name][1]) == len(weights) > 5
            for got, expected in zip(found[name][1], weights, strict=True):
                np.testing.assert_allclose(got, expected, atol=1e-6, err_msg=name)


def _config(cluster, kind="worker", index=0) -> str:
    return json.dumps({"cluster": cluster, "task": {"type": kind, "index": index}})


def test_the_chief_is_the_first_whatever_its_job_is_called():
    assert workers.parse(_config({"worker": ["a:1", "b:2"]}, index=1)) == (("a:1", "b:2"), 1)
    both = {"worker": ["b:2", "[::1]:3"], "chief": ["a.b-c:1"]}
    every = ("a.b-c:1", "b:2", "[::1]:3")
    assert workers.parse(_config(both, "chief")) == (every, 0)
    assert workers.parse(_config(both, "worker", 1)) == (every, 2)


@pytest.mark.parametrize(
    "text, line",
    [
        ("", "train.devices is 'workers', and TF_CONFIG is not set"),
        ("{", "TF_CONFIG is no JSON"),
        ("[]", "TF_CONFIG is without a cluster and a task"),
        ('{"cluster": {"worker": ["a:1"]}}', "TF_CONFIG is without a cluster and a task"),
        (_config({"ps": ["a:1"], "worker": ["b:1"]}), "a cluster with 'ps'"),
        (_config({"worker": "a:1"}), "whose 'worker' is 'a:1', no list of host:port"),
        (_config({"worker": ["a"]}), "no list of host:port"),
        (_config({"worker": ["a:0", "b:70000"]}), "no list of host:port"),
        (_config({"worker": ["a:1", "a:1"]}), "one address twice"),
        (_config({"worker": ["a:1"]}, index=1), "whose task is 'worker' 1"),
        (_config({"worker": ["a:1"]}, index=True), "whose task is 'worker' True"),
        (_config({"worker": ["a:1"]}, "chief"), "whose task is 'chief' 0"),
        (_config({}), "whose task is 'worker' 0"),
    ],
)
def test_a_bad_tf_config_is_one_line_and_leaves_no_folder(monkeypatch, fails, tmp_path, text, line):
    monkeypatch.setenv("TF_CONFIG", text)
    error = fails(train_command.main, *_arguments(tmp_path / "run", "train.devices = 'workers'"))
    assert error.startswith("error: ") and line in error
    assert not (tmp_path / "run").exists()


def test_workers_that_meet_too_late_are_told_so(monkeypatch, fails, tmp_path):
    tf.constant(0).numpy()
    monkeypatch.setenv("TF_CONFIG", _cluster(_addresses(), 0))
    error = fails(train_command.main, *_arguments(tmp_path / "run", "train.devices = 'workers'"))
    assert "TensorFlow has computed in this process before" in error


def test_a_cluster_of_one_is_this_machine(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", _cluster(_addresses()[:1], 0))
    team = workers.team("workers")
    assert team.chief and team.strategy is None
    assert team.told([1]) == [1] and team.greatest(3) == 3

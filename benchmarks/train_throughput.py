"""Training speed of the convolutional beta-VAE, ours beside the same model in PyTorch.

Both train on the same number of threads and batch size with their data path: ours samples rendered
dSprites inside the loop; PyTorch gets its batches from a loader that picks images of an array in
memory. Runs alternate in one process per framework; medians of the rounds are compared. Prints the
share of this machine's matrix-product peak (measured here), and of sampling in our step.

    pip install -e '.[benchmark]'
    python benchmarks/train_throughput.py --out benchmarks/results/train_throughput.json
    python benchmarks/train_throughput.py --layers  # where our step's time goes, without PyTorch

`--layers` times every layer by itself, forward and gradient, and what is not a layer, in float32;
they take turns, so that all see the same machine. GFLOP/s are those of a core, by processor time;
with `--threads 1` other jobs on the machine hardly disturb them.
"""

import argparse
import functools
import json
import math
import multiprocessing
import os
import pathlib
import statistics
import time

from zoo import machine

BATCH, THREADS = 64, 2
# Multiply-adds of one image through encoder and decoder, counted from the layer table of
# zoo/networks/convolutional.py; training takes about three times the forward pass.
ENCODER = 32 * 32 * 32 * 16 + 16 * 16 * 32 * 512 + 8 * 8 * 64 * 128 + 4 * 4 * 64 * 256
ENCODER += 1024 * 256 + 2 * 256 * 10
DECODER = 10 * 256 + 256 * 1024 + 4 * 4 * 64 * 1024 + 8 * 8 * 64 * 512
DECODER += 16 * 16 * 32 * 512 + 32 * 32 * 32 * 16
FLOPS_PER_IMAGE = 2 * 3 * (ENCODER + DECODER)


def ours(precision: str, connection) -> None:
    """Serves timings of our loop: (kind, steps) in, seconds out."""
    import keras
    import tensorflow as tf

    from zoo import data
    from zoo.data import sampling
    from zoo.models.objectives import BetaVAE
    from zoo.models.vae import VAE
    from zoo.optim.optimizers import Adam
    from zoo.training.loop import Loop

    tf.config.threading.set_intra_op_parallelism_threads(THREADS)
    tf.config.threading.set_inter_op_parallelism_threads(THREADS)
    keras.config.set_dtype_policy(
        {"float32": "float32", "bfloat16": "mixed_bfloat16"}.get(precision, "float32")
    )
    dataset = data.load("zoo_dsprites/rendered")
    sampler, tables = sampling.Independent(dataset, BATCH), sampling.tensors(dataset)
    objective = functools.partial(BetaVAE, beta=4.0)
    model = VAE(dataset.images.shape[1:], objective=objective)
    model.bind(Adam(1e-3))
    loop = Loop(model, sampler, tables, seed=0)

    @tf.function
    def sample(steps):
        step, total = 0, 0.0
        while step < steps:
            total += tf.reduce_sum(sampler(tables, 0, step)["image"])
            step += 1
        return total

    kind = getattr(tf, precision)
    matrices = [tf.cast(tf.random.normal([2048, 2048]), kind) for _ in range(2)]
    actions = {
        "step": lambda steps: loop.run(0, steps),
        "sample": lambda steps: sample(tf.constant(steps)),
        "matmul": lambda steps: [tf.linalg.matmul(*matrices) for _ in range(steps)][-1].numpy(),
    }
    _serve(actions, connection)


def pytorch(precision: str, connection) -> None:
    """Serves timings of the same training in PyTorch, channels last where that is faster."""
    import numpy as np
    import torch
    from torch import nn

    from zoo import data

    torch.set_num_threads(THREADS)
    dataset = data.load("zoo_dsprites/rendered")
    rng = np.random.default_rng(0)
    images = torch.from_numpy(
        np.ascontiguousarray(dataset.images[np.arange(0, len(dataset), 45)].transpose(0, 3, 1, 2))
    )

    class VAE(nn.Module):
        def __init__(self):
            super().__init__()
            convolutions = []
            for inputs, outputs, kernel in ((1, 32, 4), (32, 32, 4), (32, 64, 2), (64, 64, 2)):
                padding = (kernel - 2) // 2
                convolutions += [nn.Conv2d(inputs, outputs, kernel, 2, padding), nn.ReLU()]
            self.encoder = nn.Sequential(
                *convolutions, nn.Flatten(), nn.Linear(1024, 256), nn.ReLU()
            )
            self.mean, self.log_variance = nn.Linear(256, 10), nn.Linear(256, 10)
            transposed = []
            for inputs, outputs in ((64, 64), (64, 32), (32, 32), (32, 1)):
                transposed += [nn.ConvTranspose2d(inputs, outputs, 4, 2, 1), nn.ReLU()]
            self.decoder = nn.Sequential(
                nn.Linear(10, 256), nn.ReLU(), nn.Linear(256, 1024), nn.ReLU(),
                nn.Unflatten(1, (64, 4, 4)), *transposed[:-1],
            )  # fmt: skip

        def forward(self, x):
            features = self.encoder(x)
            mean, log_variance = self.mean(features).float(), self.log_variance(features).float()
            latents = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
            logits = self.decoder(latents).float()
            reconstruction = nn.functional.binary_cross_entropy_with_logits(
                logits, x, reduction="sum"
            )
            kl = 0.5 * (mean**2 + log_variance.exp() - log_variance - 1).sum()
            return (reconstruction + 4.0 * kl) / len(x)

    def trainer(memory_format):
        model = VAE().to(memory_format=memory_format)
        optimizer = torch.optim.Adam(model.parameters(), 1e-3)

        def train(steps):
            for _ in range(steps):
                batch = images[torch.from_numpy(rng.integers(0, len(images), BATCH))].float()
                batch = batch.contiguous(memory_format=memory_format)
                optimizer.zero_grad()
                with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
                    loss = model(batch)
                loss.backward()
                optimizer.step()

        return train

    _serve(
        {
            "step": trainer(torch.contiguous_format),
            "step_channels_last": trainer(torch.channels_last),
        },
        connection,
    )


def layers(rounds: int, threads: int) -> None:
    """Prints a table of the layers of a step, and of the rest of it, in one process."""
    import tensorflow as tf

    from zoo import data
    from zoo.data import sampling
    from zoo.models.objectives import BetaVAE
    from zoo.models.vae import VAE
    from zoo.networks.transposed import in_training
    from zoo.optim.optimizers import Adam
    from zoo.training.loop import Loop

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    dataset = data.load("zoo_dsprites/rendered")
    sampler, tables = sampling.Independent(dataset, BATCH), sampling.tensors(dataset)
    objective = functools.partial(BetaVAE, beta=4.0)
    model = VAE(dataset.images.shape[1:], objective=objective)
    model.bind(Adam(1e-3))
    loop = Loop(model, sampler, tables, seed=0)
    images = sampler(tables, tf.constant(0), tf.constant(0))["image"]

    functions, gflop = {}, {}
    weighted = [
        (f"{network.name} {layer.name}", layer)
        for network in (model.encoder, model.decoder)
        for layer in network.layers
        if layer.weights
    ]
    for name, layer in weighted:
        shape = (BATCH, *layer.input.shape[1:])
        inputs = tf.random.normal(shape)
        cotangent = tf.random.normal((BATCH, *layer.output.shape[1:]))
        # The gradient of the images is nobody's.
        inner = layer is not model.encoder.layers[0]
        weights = [weight.value for weight in layer.trainable_weights]

        @tf.function(autograph=False)
        def both(inputs, cotangent, layer=layer, weights=weights, inner=inner):
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(weights)
                if inner:
                    tape.watch(inputs)
                output = layer(inputs)
            sources = [*weights, inputs] if inner else weights
            return output, tape.gradient(output, sources, output_gradients=cotangent)

        forward = tf.function(layer, autograph=False)
        functions[name, "forward"] = lambda f=forward, x=inputs: f(x)
        functions[name, "both"] = lambda f=both, x=inputs, c=cotangent: f(x, c)
        kernel = layer.kernel.shape
        # Each number of the kernel is used once for every position of the smaller map.
        positions = min(math.prod(layer.input.shape[1:-1]), math.prod(layer.output.shape[1:-1]))
        gflop[name] = 2e-9 * BATCH * math.prod(kernel) * positions, 1 + inner

    logits = tf.random.normal(images.shape)
    moments = [tf.random.normal((BATCH, model.latent_dim)) for _ in range(2)]

    def loss(images, logits):
        return tf.reduce_mean(model.likelihood.negative_log_likelihood(images, logits))

    def bottleneck(mean, log_variance):
        posterior = model.prior.posterior(mean, log_variance)
        latents = model.draw(posterior, tf.constant([0, 1]))
        kl, _ = model.posterior_family.divergence(posterior, latents)
        return tf.reduce_mean(kl) + tf.reduce_sum(latents)

    def with_gradient(function, sources):
        @tf.function(autograph=False)
        def run(*arguments):
            with tf.GradientTape() as tape:
                tape.watch(arguments[-sources:])
                value = function(*arguments)
            return value, tape.gradient(value, arguments[-sources:])

        return run

    variables = model.trainable_variables
    gradients = [tf.zeros(variable.shape) for variable in variables]
    update = tf.function(lambda g: model.optimizer.apply(g, variables), autograph=False)
    batch = tf.function(lambda step: sampler(tables, tf.constant(0), step)["image"])
    logged, sampled = with_gradient(loss, 1), with_gradient(bottleneck, 2)
    square = tf.random.normal([2048, 2048])
    rest = {
        "reconstruction loss": lambda: logged(images, logits),
        "sampling and KL": lambda: sampled(*moments),
        "optimiser": lambda: update(gradients),
        "batch of images": lambda: batch(tf.constant(0)),
    }
    functions |= {(name, "both"): function for name, function in rest.items()}
    functions["matrix product", "both"] = lambda: tf.linalg.matmul(square, square)
    functions["step", "both"] = lambda: loop.run(0, 1)
    # Traced as the loop traces them.
    with in_training():
        for function in functions.values():
            function()
    turns = {name: [] for name in functions}
    for number in range(rounds + 3):
        for name, function in functions.items():
            begun, used = time.perf_counter(), time.process_time()
            function()
            if number >= 3:
                spent = time.perf_counter() - begun, time.process_time() - used
                turns[name].append([1e3 * seconds for seconds in spent])
    # The least elapsed and the least processor time: noise only adds.
    best = {
        name: [min(column) for column in zip(*each, strict=True)] for name, each in turns.items()
    }

    def line(name, elapsed, used, work):
        rate = f"{work:7.3f} {1e3 * work / used:6.0f}" if work else ""
        print(f"{name:36} {elapsed:8.2f} {used:8.2f} {rate}")

    print(f"batches of {BATCH}, {threads} threads, float32; least of {rounds} turns")
    print(f"{'':36} {'elapsed':>8} {'used ms':>8} {'GFLOP':>7} {'/s':>6}")
    line("matrix product of 2048", *best["matrix product", "both"], 2e-9 * 2048**3)
    totals = {"layers": [0.0, 0.0, 0.0], "rest": [0.0, 0.0, 0.0]}
    for name, _ in weighted:
        work, factor = gflop[name]
        ahead, both = best[name, "forward"], best[name, "both"]
        line(f"{name}, forward", *ahead, work)
        line(f"{name}, gradient", both[0] - ahead[0], both[1] - ahead[1], factor * work)
        for k, value in enumerate((*both, (1 + factor) * work)):
            totals["layers"][k] += value
    for name in rest:
        line(name, *best[name, "both"], 0)
        for k, value in enumerate(best[name, "both"]):
            totals["rest"][k] += value
    for name, values in totals.items():
        line(f"{name}, together", *values)
    line("a whole step", *best["step", "both"], totals["layers"][2])


def _serve(actions, connection) -> None:
    for action in actions.values():
        action(3)
    connection.send("ready")
    while (request := connection.recv()) is not None:
        kind, steps = request
        begun = time.perf_counter()
        actions[kind](steps)
        connection.send((time.perf_counter() - begun) / steps)


class _Peer:
    """A process that times its actions when asked; `onednn` is TensorFlow's setting there."""

    def __init__(self, context, target, precision, onednn: bool = True):
        self._connection, theirs = context.Pipe()
        os.environ["TF_ENABLE_ONEDNN_OPTS"] = str(int(onednn))
        self._process = context.Process(target=target, args=(precision, theirs), daemon=True)
        self._process.start()
        self._connection.recv()

    def time(self, kind: str, steps: int) -> float:
        self._connection.send((kind, steps))
        return self._connection.recv()

    def close(self) -> None:
        self._connection.send(None)
        self._process.join()


def compare(precision: str, rounds: int, steps: int) -> dict:
    """Alternates the frameworks, ours with and without oneDNN; medians in ms and their ratio."""
    context = multiprocessing.get_context("spawn")
    us, them = (_Peer(context, target, precision) for target in (ours, pytorch))
    without = _Peer(context, ours, precision, onednn=False)
    names = ("ours", "without", "contiguous", "channels_last", "sample", "matmul")
    times = {name: [] for name in names}
    for _ in range(rounds):
        times["ours"].append(us.time("step", steps))
        times["without"].append(without.time("step", steps))
        times["contiguous"].append(them.time("step", steps))
        times["channels_last"].append(them.time("step_channels_last", steps))
        times["sample"].append(us.time("sample", steps))
        times["matmul"].append(us.time("matmul", 10))
    for peer in (us, without, them):
        peer.close()
    median = {name: statistics.median(values) for name, values in times.items()}
    best = min(("contiguous", "channels_last"), key=median.get)
    ratios = [b / a for a, b in zip(times["ours"], times[best], strict=True)]
    flops = FLOPS_PER_IMAGE * BATCH / median["ours"]
    peak = 2 * 2048**3 / median["matmul"]
    return {
        "precision": precision,
        "ours_ms": 1e3 * median["ours"],
        "ours_images_per_s": BATCH / median["ours"],
        "ours_without_onednn_ms": 1e3 * median["without"],
        "pytorch_ms": 1e3 * median[best],
        "pytorch_layout": best,
        "pytorch_other_layout_ms": 1e3 * max(median["contiguous"], median["channels_last"]),
        "ratio_median": statistics.median(ratios),
        "ratio_range": [min(ratios), max(ratios)],
        "sampling_share": median["sample"] / median["ours"],
        "gflops": flops / 1e9,
        "matmul_peak_gflops": peak / 1e9,
        "share_of_peak": flops / peak,
    }


def main() -> None:
    """Prints the table and writes it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--precisions", default="float32,bfloat16")
    parser.add_argument("--out")
    parser.add_argument("--layers", action="store_true", help="the layers of our step, no peer")
    parser.add_argument("--threads", type=int, default=THREADS, help="of --layers")
    options = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    if options.layers:
        layers(options.rounds, options.threads)
        return
    facts = {**machine.describe(), "threads": THREADS, "features": _features()}
    del facts["onednn"]
    print(", ".join(f"{name}: {value}" for name, value in facts.items()))
    rows = [compare(p, options.rounds, options.steps) for p in options.precisions.split(",")]
    for row in rows:
        print(
            f"{row['precision']:9s} ours {row['ours_ms']:6.1f} ms ({row['ours_images_per_s']:.0f} "
            f"images/s; without oneDNN {row['ours_without_onednn_ms']:.1f} ms), PyTorch "
            f"{row['pytorch_ms']:6.1f} ms ({row['pytorch_layout']}), ratio "
            f"{row['ratio_median']:.2f} [{row['ratio_range'][0]:.2f}, {row['ratio_range'][1]:.2f}]"
            f", sampling {100 * row['sampling_share']:.1f} %, {row['gflops']:.0f} GFLOP/s of "
            f"{row['matmul_peak_gflops']:.0f} ({100 * row['share_of_peak']:.0f} %)"
        )
    if options.out:
        path = pathlib.Path(options.out)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"machine": facts, "rows": rows}, indent=1) + "\n")


def _features() -> str:
    """What of the processor's instruction sets decides about speed."""
    telling = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16")
    return " ".join(name for name in telling if name in machine.features()) or "unknown"


if __name__ == "__main__":
    main()

"""Training speed of the convolutional beta-VAE, ours beside the same model in PyTorch.

Both train on the same number of threads and batch size with their data path: ours samples rendered
dSprites inside the loop; PyTorch gets its batches from a loader that picks images of an array in
memory. Runs alternate in one process a framework; medians of the rounds are compared. Prints the
share of this machine's matrix-product peak (measured here), and of sampling in our step.

    pip install -e '.[benchmark]'
    python benchmarks/train_throughput.py --out benchmarks/results/train_throughput.json
"""

import argparse
import json
import multiprocessing
import os
import pathlib
import platform
import statistics
import time

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

    import data
    from data import sampling
    from zoo.models.vae import BetaVAE
    from zoo.training.loop import Loop
    from zoo.training.optimizers import Adam

    tf.config.threading.set_intra_op_parallelism_threads(THREADS)
    tf.config.threading.set_inter_op_parallelism_threads(THREADS)
    keras.config.set_dtype_policy(
        {"float32": "float32", "bfloat16": "mixed_bfloat16"}.get(precision, "float32")
    )
    dataset = data.load("zoo_dsprites/rendered")
    sampler, tables = sampling.Independent(dataset, BATCH), sampling.tensors(dataset)
    model = BetaVAE(dataset.images.shape[1:], beta=4.0)
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

    import data

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
    """A process that times its actions when asked."""

    def __init__(self, context, target, precision):
        self._connection, theirs = context.Pipe()
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
    """Alternates the frameworks; medians in ms and their ratio."""
    context = multiprocessing.get_context("spawn")
    us, them = (_Peer(context, target, precision) for target in (ours, pytorch))
    times = {name: [] for name in ("ours", "contiguous", "channels_last", "sample", "matmul")}
    for _ in range(rounds):
        times["ours"].append(us.time("step", steps))
        times["contiguous"].append(them.time("step", steps))
        times["channels_last"].append(them.time("step_channels_last", steps))
        times["sample"].append(us.time("sample", steps))
        times["matmul"].append(us.time("matmul", 10))
    for peer in (us, them):
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
    parser.add_argument("--out")
    options = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    rows = [compare(p, options.rounds, options.steps) for p in ("float32", "bfloat16")]
    for row in rows:
        print(
            f"{row['precision']:9s} ours {row['ours_ms']:6.1f} ms ({row['ours_images_per_s']:.0f} "
            f"images/s), PyTorch {row['pytorch_ms']:6.1f} ms ({row['pytorch_layout']}), ratio "
            f"{row['ratio_median']:.2f} [{row['ratio_range'][0]:.2f}, {row['ratio_range'][1]:.2f}]"
            f", sampling {100 * row['sampling_share']:.1f} %, {row['gflops']:.0f} GFLOP/s of "
            f"{row['matmul_peak_gflops']:.0f} ({100 * row['share_of_peak']:.0f} %)"
        )
    if options.out:
        path = pathlib.Path(options.out)
        path.parent.mkdir(parents=True, exist_ok=True)
        machine = {"processor": platform.processor() or platform.machine(), "threads": THREADS}
        path.write_text(json.dumps({"machine": machine, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()

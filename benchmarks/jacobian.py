"""Jacobians of decoders: speed and memory beside the obvious ways, in one run.

    python -m benchmarks.jacobian [--repeats 7] [--part conv|slots|all] [--skip_batch_jacobian]

`conv`: the deconvolutional decoder of disentanglement_lib (10 latents, 64x64x1), 64 examples in
float32. Ours, compiled once by hand and kept by `zoo.evaluation.jacobian` itself, one forward pass
of all columns, forward accumulators and, where PyTorch is installed,
`torch.vmap(torch.func.jacfwd)` on the same weights take turns; medians are reported.
`GradientTape.batch_jacobian`, called eagerly and inside a `tf.function`, is
timed on one example and scaled to 64 (`--skip_batch_jacobian` leaves these minutes out).

`slots`: slot-wise Jacobian magnitudes of a spatial broadcast decoder (7 slots of 64, 128x128x3) in
a process of its own, with its peak resident memory, against a plain loop of one forward-mode pass
for each latent (timed on some latents and scaled).
"""

import argparse
import os
import resource
import subprocess
import sys
import time

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def _seconds(function) -> tuple[float, float]:
    """Elapsed time, and processor time over all cores, which a busy machine disturbs less."""
    start, used = time.perf_counter(), time.process_time()
    function()
    return time.perf_counter() - start, time.process_time() - used


def _median(times: list) -> np.ndarray:
    return np.median(times, axis=0)


def _medians(functions: dict, repeats: int) -> dict:
    """The median times of each function; they take turns, so that all see the same machine."""
    times = {name: [] for name in functions}
    for function in functions.values():
        function()
    for _ in range(repeats):
        for name, function in functions.items():
            times[name].append(_seconds(function))
    return {name: _median(values) for name, values in times.items()}


def conv_decoder():
    """Dense 256, 1024, then four transposed convolutions 4x4 of stride 2: 64, 32, 32, 1."""
    import keras

    keras.utils.set_random_seed(0)
    layers = keras.layers
    options = {"kernel_size": 4, "strides": 2, "padding": "same"}
    return keras.Sequential(
        [
            keras.Input((10,)),
            layers.Dense(256, "relu"),
            layers.Dense(1024, "relu"),
            layers.Reshape((4, 4, 64)),
            layers.Conv2DTranspose(64, activation="relu", **options),
            layers.Conv2DTranspose(32, activation="relu", **options),
            layers.Conv2DTranspose(32, activation="relu", **options),
            layers.Conv2DTranspose(1, **options),
        ]
    )


def torch_jacobian(weights, latents):
    """`vmap(jacfwd)` of the same decoder as a function without arguments; None without PyTorch."""
    try:
        import torch
    except ImportError:
        return None
    kernels = [torch.tensor(weight) for weight in weights]

    def decode(z):
        z = torch.relu(z @ kernels[0] + kernels[1])
        z = torch.relu(z @ kernels[2] + kernels[3])
        image = z.reshape(4, 4, 64).permute(2, 0, 1)[None]
        for kernel, bias in zip(kernels[4::2], kernels[5::2], strict=True):
            image = torch.nn.functional.conv_transpose2d(
                image, kernel.permute(3, 2, 0, 1), bias, stride=2, padding=1
            )
            image = image if len(bias) == 1 else torch.relu(image)
        return image[0]

    batch = torch.tensor(latents)

    def run():
        with torch.no_grad():
            return torch.vmap(torch.func.jacfwd(decode))(batch).numpy()

    return run


def conv(repeats: int, skip_batch_jacobian: bool = False) -> None:
    """Prints the comparison on the convolutional decoder."""
    import tensorflow as tf

    from zoo.evaluation.jacobians import jacobian, jacobian_function

    decoder = conv_decoder()
    latents = np.random.default_rng(0).normal(size=(64, 10)).astype(np.float32)
    batch, one = tf.constant(latents), tf.constant(latents[:1])
    forward_pass = tf.function(decoder, autograph=False)

    def batch_jacobian(z):
        with tf.GradientTape() as tape:
            tape.watch(z)
            output = decoder(z)
        return tape.batch_jacobian(output, z)

    ours = jacobian_function(decoder, (10,))
    compiling = _seconds(lambda: ours(latents))[0]
    first = _seconds(lambda: jacobian(decoder, latents))[0]
    columns = tf.repeat(batch, 10, axis=0)
    forward_mode = jacobian_function(decoder, (10,), mode="forward")
    functions = {
        "forward pass": lambda: forward_pass(batch).numpy(),
        "forward pass of all columns": lambda: forward_pass(columns).numpy(),
        "ours": lambda: ours(latents),
        "zoo.evaluation.jacobian again": lambda: jacobian(decoder, latents),
        "ours, mode forward": lambda: forward_mode(latents),
    }
    peer = torch_jacobian(decoder.get_weights(), latents)
    if peer:
        functions["torch.vmap(jacfwd)"] = peer
        found, expected = ours(latents)[..., 0, :], peer()[:, 0]
        error = np.abs(found - expected).max() / np.abs(expected).max()
        print(f"largest difference to torch.vmap(jacfwd), relative to its maximum: {error:.1e}")
    medians = _medians(functions, repeats)
    peers = {"eager": batch_jacobian, "compiled": tf.function(batch_jacobian, autograph=False)}
    for name, function in () if skip_batch_jacobian else peers.items():
        function(one)
        single = _median([_seconds(lambda f=function: f(one).numpy()) for _ in range(3)])
        medians[f"batch_jacobian {name}, 1 x 64"] = 64 * single

    print(f"conv decoder, 10 latents, 64x64x1, 64 examples, float32; median of {repeats} turns")
    print(
        f"first call of ours, with compiling: {compiling:.2f} s; "
        f"of zoo.evaluation.jacobian {first:.2f}"
    )
    print(f"{'':32} {'elapsed ms':>12} {'x ours':>8} {'processor ms':>14} {'x ours':>8}")
    for name, (elapsed, used) in medians.items():
        ratios = medians[name] / medians["ours"]
        print(
            f"{name:32} {elapsed * 1e3:12.1f} {ratios[0]:8.2f} {used * 1e3:14.1f} {ratios[1]:8.2f}"
        )
    elapsed, used = medians["ours"] / medians["forward pass"] / 10
    print(f"ours / ten forward passes: {elapsed:.2f} elapsed, {used:.2f} processor time")
    for name in ("ours", "zoo.evaluation.jacobian again"):
        elapsed, used = medians[name] / medians["forward pass of all columns"]
        print(
            f"{name} / one forward pass of all 640 columns: {elapsed:.2f} elapsed, {used:.2f} "
            "processor time (target of the second: 1.2)"
        )


def broadcast_decoder(slots: int = 7, slot_size: int = 64, channels: int = 32):
    """A spatial broadcast decoder: 8x8 to 128x128, colours mixed by a softmax over slots."""
    import keras
    from keras import ops

    keras.utils.set_random_seed(0)
    layers = keras.layers
    inputs = keras.Input((slots, slot_size))
    grid = np.stack(np.meshgrid(*[np.linspace(-1, 1, 8)] * 2, indexing="ij"), -1)
    features = np.concatenate([grid, -grid], -1)[None].astype(np.float32)
    each = layers.Lambda(lambda z: ops.reshape(z, (-1, 1, 1, slot_size)))(inputs)
    tiled = layers.Lambda(lambda z: ops.tile(z, (1, 8, 8, 1)))(each)
    embedding = features @ np.random.default_rng(0).normal(size=(4, slot_size)).astype(np.float32)
    image = layers.Lambda(lambda z: z + embedding)(tiled)
    for stride, kernel in ((2, 5), (2, 5), (2, 5), (2, 5), (1, 5)):
        image = layers.Conv2DTranspose(channels, kernel, stride, padding="same", activation="gelu")(
            image
        )
    image = layers.Conv2DTranspose(4, 3, 1, padding="same")(image)
    image = layers.Lambda(lambda y: ops.reshape(y, (-1, slots, 128, 128, 4)))(image)

    def mix(parts):
        return ops.sum(parts[..., :3] * ops.softmax(parts[..., 3:], axis=1), axis=1)

    return keras.Model(inputs, layers.Lambda(mix)(image))


def slots(examples: int = 1, sampled: int = 8) -> None:
    """Prints time and peak memory of the slot Jacobian; meant for a process of its own."""
    import tensorflow as tf

    from zoo.evaluation.jacobians import jacobian_function
    from zoo.evaluation.tangents import push_forward

    decoder = broadcast_decoder()
    codes = np.random.default_rng(0).normal(size=(examples, 7, 64)).astype(np.float32)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    ours = jacobian_function(decoder, (7, 64), reduction="slot_sums")
    seconds = np.divide(_seconds(lambda: ours(codes)), examples)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20

    one = tf.constant(codes[:1])
    plain = tf.function(lambda z, v: push_forward(decoder, z, v), autograph=False)
    tangents = tf.reshape(tf.eye(448)[:sampled], (sampled, 1, 7, 64))
    plain(one, tangents[0])
    loop = np.array(_seconds(lambda: [plain(one, tangent).numpy() for tangent in tangents]))
    loop *= 448 / sampled
    print("spatial broadcast decoder, 7 slots of 64, 128x128x3: magnitudes a slot and pixel")
    print(f"ours, with compiling: {seconds[0]:.1f} s/image, {seconds[1]:.1f} s of processor time")
    print(
        f"plain loop over latents: {loop[0]:.1f} s/image, {loop[1]:.1f} s of processor time "
        f"(from {sampled} latents)"
    )
    print(f"peak memory {peak:.2f} GiB, of which {before:.2f} before the first Jacobian")


def main() -> None:
    """Runs the parts that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--part", choices=("conv", "slots", "all"), default="all")
    parser.add_argument("--skip_batch_jacobian", action="store_true")
    arguments = parser.parse_args()
    if arguments.part in ("conv", "all"):
        conv(arguments.repeats, arguments.skip_batch_jacobian)
    if arguments.part == "all":
        command = [sys.executable, "-m", "benchmarks.jacobian", "--part", "slots"]
        subprocess.run(command, check=True)
    elif arguments.part == "slots":
        slots()


if __name__ == "__main__":
    main()

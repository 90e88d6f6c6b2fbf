"""Slot autoencoders: a training step and the slot-wise Jacobian, ours beside PyTorch.

The attention-regularised Transformer of Brady et al. 2025, sized as in gin/slots_transformer.gin,
all pixels. PyTorch's decoder has the same weights and computes as the authors' does: queries
repeated for each image, every projection made, the interaction summed pair by pair, and the
Jacobian by `vmap(jacfwd)`. Turns alternate; medians and their ratio are printed.

    python -m benchmarks.slots [--repeats 5] [--batch 16]
"""

import argparse
import os
import statistics
import time

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

SIDE, SLOTS, LATENTS, WIDTH, HEADS, HIDDEN, LAYERS = 64, 4, 8, 64, 4, 128, 2
CHANNELS, STRIDES, ENCODER_LAYERS, OCTAVES = 16, (2, 1, 2, 1), 3, 6
SIGMA, BETA, ALPHA = 5.0, 0.05, 0.05


def ours(compiled: bool):
    """Our model, and a training step."""
    import keras
    import tensorflow as tf

    from zoo.models.slots import SlotAutoencoder
    from zoo.networks.slot_decoders import transformer_slot_decoder
    from zoo.networks.slot_encoders import transformer_slot_encoder
    from zoo.optim.optimizers import Adam

    keras.utils.set_random_seed(0)
    model = SlotAutoencoder(
        (SIDE, SIDE, 3),
        SLOTS,
        LATENTS,
        sigma=SIGMA,
        beta=BETA,
        alpha=ALPHA,
        slot_encoder=lambda shape, slots, width: transformer_slot_encoder(
            shape, slots, width, CHANNELS, STRIDES, ENCODER_LAYERS, HEADS
        ),
        slot_decoder=lambda slots, size, shape: transformer_slot_decoder(
            slots, size, shape, WIDTH, HIDDEN, WIDTH, HIDDEN, LAYERS, HEADS, OCTAVES
        ),
    )
    model.bind(Adam(1e-3))

    @tf.function(jit_compile=compiled)
    def step(images, number):
        losses = model.update({"image": images}, tf.stack([0, number]), number, 1)
        return losses["loss"]

    return model, step


def pytorch():
    """The same model in PyTorch: (model, decoder)."""
    import torch
    from torch import nn
    from torch.nn import functional

    class Attention(nn.Module):
        def __init__(self, width, outer, inner):
            super().__init__()
            self.scale = outer**-0.5
            self.query, self.memory = nn.Linear(outer, width), nn.Linear(inner, 2 * width)
            self.out = nn.Linear(width, outer)

        def forward(self, x, memory):
            def split(t):
                return t.unflatten(-1, (HEADS, -1)).transpose(-2, -3)

            query, (key, value) = self.query(x), self.memory(memory).chunk(2, -1)
            logits = split(query) @ split(key).transpose(-1, -2) * self.scale
            weights = logits.softmax(-1)
            mixed = (weights @ split(value)).transpose(-2, -3).flatten(-2)
            return self.out(mixed), weights

    class Block(nn.Module):
        def __init__(self, width, outer, inner, among):
            super().__init__()
            self.norms = nn.ModuleList([nn.LayerNorm(n) for n in (outer, inner, outer)])
            self.cross = Attention(width, outer, inner)
            self.self_norm = nn.LayerNorm(outer) if among else None
            self.among = Attention(width, outer, outer) if among else None
            self.mlp = nn.Sequential(
                nn.Linear(outer, 2 * outer), nn.GELU(), nn.Linear(2 * outer, outer)
            )

        def forward(self, x, memory):
            moved, weights = self.cross(self.norms[0](x), self.norms[1](memory))
            x = x + moved
            if self.among:
                normed = self.self_norm(x)
                x = x + self.among(normed, normed)[0]
            return x + self.mlp(self.norms[2](x)), weights

    class Decoder(nn.Module):
        def __init__(self):
            super().__init__()
            from zoo.networks.attention import fourier_features

            side = torch.from_numpy(fourier_features(SIDE, OCTAVES))
            pair = side.repeat_interleave(SIDE, 0), side.repeat(SIDE, 1)
            self.register_buffer("features", torch.cat(pair, -1))
            self.slot_mlp = nn.Sequential(
                nn.Linear(LATENTS, HIDDEN), nn.GELU(), nn.Linear(HIDDEN, WIDTH)
            )
            self.query_mlp = nn.Sequential(
                nn.Linear(4 * OCTAVES, HIDDEN), nn.GELU(), nn.Linear(HIDDEN, WIDTH)
            )
            blocks = [Block(WIDTH, WIDTH, WIDTH, False) for _ in range(LAYERS)]
            self.blocks, self.norm = nn.ModuleList(blocks), nn.LayerNorm(WIDTH)
            self.output = nn.Sequential(
                nn.Linear(WIDTH, WIDTH), nn.GELU(), nn.Linear(WIDTH, WIDTH), nn.GELU(),
                nn.Linear(WIDTH, 3),
            )  # fmt: skip

        def forward(self, slots):
            memory, attention = self.slot_mlp(slots), []
            x = self.query_mlp(self.features).expand(len(slots), -1, -1)
            for block in self.blocks:
                x, weights = block(x, memory)
                attention.append(weights)
            return self.output(self.norm(x)), attention

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            layers, inputs, width = [], 3, 2 * LATENTS
            for filters, stride in zip((CHANNELS,) * 3 + (width,), STRIDES, strict=True):
                layers += [nn.Conv2d(inputs, filters, 5, stride, 2), nn.GELU()]
                inputs = filters
            self.cnn, self.positions = nn.Sequential(*layers), nn.Linear(4, width)
            self.mlp = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, width))
            self.queries = nn.Parameter(torch.rand(SLOTS, width))
            blocks = [Block(width, width, width, True) for _ in range(ENCODER_LAYERS)]
            self.blocks, self.norm = nn.ModuleList(blocks), nn.LayerNorm(width)
            side = torch.linspace(0, 1, SIDE // 4)
            rows, columns = torch.meshgrid(side, side, indexing="ij")
            grid = torch.stack([rows, columns, 1 - rows, 1 - columns], -1)
            self.register_buffer("grid", grid)
            self.decoder = Decoder()

        def loss(self, images):
            x = self.cnn(images).permute(0, 2, 3, 1) + self.positions(self.grid)
            x = x.flatten(1, 2)
            x = self.mlp(functional.layer_norm(x, x.shape[1:]))
            slots = self.queries.expand(len(x), -1, -1)
            for block in self.blocks:
                slots, _ = block(slots, x)
            mean, h = self.norm(slots).chunk(2, -1)
            scale = 0.5 * h.exp()
            decoded, attention = self.decoder(mean + scale * torch.randn_like(mean))
            target = images.flatten(2).transpose(1, 2)
            reconstruction = ((target - decoded) ** 2).sum() / len(images)
            kl = (0.5 * (mean**2 + scale**2 - 1) - scale.log()).sum() / len(images)
            weights = 12 * (sum(attention) / LAYERS).mean(1)
            interaction = 0
            for j in range(SLOTS):
                for k in range(j + 1, SLOTS):
                    interaction = interaction + (weights[..., j] * weights[..., k]).mean()
            return SIGMA * reconstruction + BETA * kl + ALPHA * interaction

    return Model()


def copy_decoder(source, target) -> None:
    """Gives PyTorch's decoder the weights of ours."""
    import torch

    def put(linear, kernel, bias):
        linear.weight.data = torch.from_numpy(kernel.numpy().T.copy())
        linear.bias.data = torch.from_numpy(bias.numpy())

    def put_all(sequence, network):
        linears = [layer for layer in sequence if hasattr(layer, "weight")]
        for linear, layer in zip(linears, network.layers, strict=True):
            put(linear, layer.kernel, layer.bias)

    for theirs, network in (
        (target.slot_mlp, source.slot_mlp),
        (target.query_mlp, source.query_mlp),
        (target.output, source.output_mlp),
    ):
        put_all(theirs, network)
    for number, block in enumerate(target.blocks):
        layer = getattr(source, f"block_{number}")
        put_all(block.mlp, layer.mlp)
        for theirs, name in ((block.cross.query, "query"), (block.cross.memory, "memory"),
                             (block.cross.out, "output")):  # fmt: skip
            put(
                theirs, getattr(layer.cross, f"{name}_kernel"), getattr(layer.cross, f"{name}_bias")
            )


def main() -> None:
    """Prints times and ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()

    import tensorflow as tf
    import torch

    from zoo.evaluation.jacobians import jacobian_function

    tf.config.threading.set_intra_op_parallelism_threads(arguments.threads)
    torch.set_num_threads(arguments.threads)
    rng = np.random.default_rng(0)
    images = rng.random((arguments.batch, SIDE, SIDE, 3), np.float32)
    slots = rng.normal(size=(4, SLOTS, LATENTS)).astype(np.float32)
    (model, step), (_, plain) = ours(True), ours(False)
    peer = pytorch()
    copy_decoder(model.decoder, peer.decoder)
    optimizer = torch.optim.Adam(peer.parameters(), 1e-3)
    batches = tf.constant(images), torch.from_numpy(images.transpose(0, 3, 1, 2).copy())

    def train_peer():
        optimizer.zero_grad()
        loss = peer.loss(batches[1])
        loss.backward()
        optimizer.step()
        return loss.item()

    magnitudes = jacobian_function(model.decode, (SLOTS, LATENTS), reduction="slot_sums")
    decode = torch.vmap(torch.func.jacfwd(lambda z: peer.decoder(z[None])[0][0]))

    def peer_magnitudes():
        with torch.no_grad():
            return decode(torch.from_numpy(slots)).abs().sum(-1).numpy()

    found, expected = magnitudes(slots), peer_magnitudes().reshape(4, SIDE, SIDE, 3, SLOTS)
    error = np.abs(found - expected).max() / np.abs(expected).max()
    print(f"Jacobians: largest difference relative to the maximum {error:.1e}")
    turns = {
        "step, ours with XLA": lambda: float(step(batches[0], tf.constant(1))),
        "step, ours": lambda: float(plain(batches[0], tf.constant(1))),
        "step, PyTorch": train_peer,
        "slot Jacobian, ours": lambda: magnitudes(slots),
        "slot Jacobian, PyTorch vmap(jacfwd)": peer_magnitudes,
    }
    times = {name: [] for name in turns}
    for turn in turns.values():
        turn()
    for _ in range(arguments.repeats):
        for name, turn in turns.items():
            begun = time.perf_counter()
            turn()
            times[name].append(time.perf_counter() - begun)
    medians = {name: 1e3 * statistics.median(values) for name, values in times.items()}
    print(f"batch {arguments.batch}, {arguments.threads} threads, float32, 4 images a Jacobian")
    for name, value in medians.items():
        kind = "step, PyTorch" if name.startswith("step") else "slot Jacobian, PyTorch vmap(jacfwd)"
        print(f"{name:38} {value:9.1f} ms, PyTorch takes {medians[kind] / value:5.2f} times this")


if __name__ == "__main__":
    main()

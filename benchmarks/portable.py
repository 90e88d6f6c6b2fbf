"""How far a training run under JAX is from the same in TensorFlow, for every family of models.

    python -m benchmarks.portable [FAMILY ...] [--steps 100]

Trains a tiny model of each family (`tests/fixtures/families.py`) three times from the same weights
on the same batches: as `zoo.train` does on a processor, as the exported program compiled by XLA
within TensorFlow, and as the same program under JAX. Prints the largest difference over weights,
optimisers and mean losses, of what exceeds 1 relative, and the milliseconds of a step. Where XLA
within TensorFlow is as far from `zoo.train` as JAX is, the difference is rounding.

Needs the extra `portable`.
"""

import argparse
import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# JAX looks for accelerators otherwise.
os.environ.setdefault("JAX_PLATFORMS", "cpu")
sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "tests" / "fixtures"))


def main() -> None:
    """Prints one row per family."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("families", nargs="*", metavar="FAMILY", help="all by default")
    parser.add_argument("--steps", type=int, default=100)
    options = parser.parse_args()
    import engines
    import families
    import jax

    # Optimisers count their steps in 64 bits.
    jax.config.update("jax_enable_x64", True)
    print("| family | JAX - XLA | JAX - TensorFlow | XLA - TensorFlow | ms a step, each |")
    print("| --- | --- | --- | --- | --- |", flush=True)
    for family in options.families or families.FAMILIES:
        found = {each: engines.trained(family, each, options.steps) for each in engines.ENGINES}
        pairs = (("jax", "xla"), ("jax", "tensorflow"), ("xla", "tensorflow"))
        cells = [f"{engines.difference(found[a][0], found[b][0]):.1e}" for a, b in pairs]
        steps = options.steps - 1
        times = [f"{1e3 * found[e][1] / steps:.2f}" for e in ("jax", "xla", "tensorflow")]
        print(f"| {family} | {' | '.join(cells)} | {', '.join(times)} |", flush=True)


if __name__ == "__main__":
    main()

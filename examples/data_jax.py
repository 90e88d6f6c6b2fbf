"""Data sets in JAX: batches of NumPy arrays, from memory and from files of TFDS.

pip install disentanglement-zoo jax
python data_jax.py
"""

import jax
import jax.numpy as jnp
import numpy as np
import tensorflow_datasets as tfds

import zoo


@jax.jit
def loss(images: jax.Array) -> jax.Array:
    """Stands for a model's."""
    return jnp.mean((images / 255) ** 2)


def main() -> None:
    """Draws batches from one data set in both ways."""
    dataset = zoo.data.load("zoo_balls/l_shape[train]")
    rng = np.random.default_rng(0)
    for _ in range(3):
        batch = dataset[rng.integers(0, len(dataset), 64)]
        print("in memory:", batch["image"].shape, f"{loss(batch['image']):.4f}")

    # Written once; nothing but tensorflow_datasets is needed to read the files.
    files = tfds.load("zoo_balls/traversal_x", split="test", as_supervised=True)
    for images, latents in tfds.as_numpy(files.batch(27)):
        print("files:", images.shape, latents.shape, f"{loss(images):.4f}")


if __name__ == "__main__":
    main()

"""Data sets in PyTorch: in memory, and as files of TFDS, by `DataLoader`s with two workers each.

pip install disentanglement-zoo torch
python data_torch.py
"""

import tensorflow_datasets as tfds
import torch

import zoo


def main() -> None:
    """Draws batches from one data set in both ways."""
    dataset = zoo.data.load("zoo_balls/l_shape[train[:2000]]")
    # New processes ("spawn") take more time to start than forked ones, but forking a process
    # in which TensorFlow runs may hang.
    options = {"batch_size": 64, "num_workers": 2, "multiprocessing_context": "spawn"}
    batch = next(iter(torch.utils.data.DataLoader(dataset, shuffle=True, **options)))
    images = batch["image"].permute(0, 3, 1, 2) / 255  # [64, 3, 64, 64] floats
    print("in memory:", tuple(images.shape), tuple(batch["latents"].shape), batch["index"].dtype)

    # Written once; nothing but tensorflow_datasets is needed to read the files.
    source = tfds.data_source("zoo_balls/traversal_x", split="test")
    batch = next(iter(torch.utils.data.DataLoader(source, **options)))
    print("files:", tuple(batch["image"].shape), batch["image"].dtype, len(source))


if __name__ == "__main__":
    main()

"""The TFDS builder of two-domain images, on a few of them."""

import os
import tempfile
from unittest import mock

import numpy as np
import tensorflow_datasets as tfds

from zoo.data import splits, tfds_wrapped
from zoo.data.dataset import Dataset, DenseImages
from zoo.data.zoo_domains import memory, zoo_domains_dataset_builder

_SIZES = {"train": 3, "test": 2}


class ZooDomainsTest(tfds.testing.DatasetBuilderTestCase):
    """Every config, on pictures that tell their number."""

    DATASET_CLASS = zoo_domains_dataset_builder.Builder
    SPLITS = {split: memory.DOMAINS * size for split, size in _SIZES.items()}
    EXAMPLE_DIR = os.path.dirname(__file__)  # nothing is downloaded
    # MNIST is memory-mapped from a local cache, which `tf.io.gfile` cannot do.
    MOCK_OUT_FORBIDDEN_OS_FUNCTIONS = False

    def setUp(self):
        """Makes the sets small, and MNIST and CelebA without a download."""
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        patches = [
            mock.patch.dict(memory.SIZES, _SIZES),
            mock.patch.dict(os.environ, {"ZOO_CACHE": folder.name}),
            mock.patch.object(tfds_wrapped, "load", _photographs),
        ]
        for rendered in memory.RENDERED.values():
            pictures = DenseImages(np.zeros((len(rendered.space), 1, 1, 1), np.uint8))
            base = Dataset("rendered", _Grey(pictures, rendered.family.IMAGE_SHAPE), rendered.space)
            patches.append(
                mock.patch.object(rendered.family, "load", lambda *_, base=base, **__: base)
            )
        for patch in patches:
            patch.start()
            self.addCleanup(patch.stop)
        super().setUp()

    def test_examples_are_those_in_memory(self):
        """Image, domain and factors or digit come back, each once."""
        for config in memory.CONFIGS:
            builder = self._make_builder(config)
            builder.download_and_prepare()
            dataset = memory.load(config, tfds.core.Path(self.tmp_dir))
            keys = [key for key in ("domain", "factors", "label") if key in dataset.extras]
            columns = {key: dataset.extras[key] for key in keys} | {"image": dataset.images[:]}
            if dataset.latents is not None:
                columns["latents"] = dataset.latents
            expected = [
                b"".join(np.asarray(columns[key][i], float).tobytes() for key in sorted(columns))
                for i in np.flatnonzero(dataset.extras["split"] == 2)
            ]
            examples = [*tfds.as_numpy(builder.as_dataset("test"))]
            assert sorted(examples[0]) == sorted(columns)
            found = [
                b"".join(np.asarray(example[key], float).tobytes() for key in sorted(columns))
                for example in examples
            ]
            self.assertCountEqual(found, expected)


class _Grey(DenseImages):
    """Images of one grey level, the last digits of their number."""

    def __init__(self, images: DenseImages, shape: tuple[int, ...]):
        super().__init__(images[:])
        self.shape = (len(images), *shape)

    def __getitem__(self, index) -> np.ndarray:
        numbers = np.arange(len(self))[index] % 251
        return np.broadcast_to(
            numbers[..., None, None, None].astype(np.uint8), (*numbers.shape, *self.shape[1:])
        )


def _photographs(name: str, directory) -> Dataset:
    del directory
    sizes = {split: memory.DOMAINS * size for split, size in _SIZES.items()}
    count = sum(sizes.values())
    shape = (28, 28, 1) if name == "mnist" else (64, 64, 3)
    pixels = np.random.default_rng(count).integers(0, 256, (count, *shape), np.uint8)
    numbers = np.arange(count)
    extras = {"label": numbers, "Male": numbers % 2 == 1, "split": splits.labels(sizes)}
    return Dataset(name, DenseImages(pixels), extras=extras)


if __name__ == "__main__":
    tfds.testing.test_main()

"""What every forked training needs, imported once; TensorFlow begins in the fork."""

import pathlib
import sys

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "fixtures"))

import zoo.configurables
import zoo.training.run  # noqa: F401

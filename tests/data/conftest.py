"""Shared by the tests of the data sets."""

import pathlib

import pytest

from zoo import data


@pytest.fixture(scope="session")
def grids(tmp_path_factory) -> pathlib.Path:
    """A cache folder for `zoo.data.load` that holds rendered dSprites and 3D Shapes, drawn once."""
    path = tmp_path_factory.mktemp("grids")
    for family in ("zoo_dsprites", "zoo_shapes3d"):
        data.load(family, path)
    return path

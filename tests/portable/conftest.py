"""JAX runs what is exported; without it nothing here can be tested."""

import os

import pytest

# Before JAX: there is nothing to look for on other platforms.
os.environ.setdefault("JAX_PLATFORMS", "cpu")


@pytest.fixture(autouse=True)
def _jax():
    return pytest.importorskip("jax", reason="JAX runs exported loops")

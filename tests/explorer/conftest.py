"""A real browser, where there is one."""

import base64
import os
import shutil

import numpy as np
import pages
import pytest

from zoo.explorer import lowering, page, program

_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")


@pytest.fixture(scope="session")
def browser():
    """Headless Chromium, driven by Playwright; skips where either is missing."""
    driver = pytest.importorskip(
        "playwright.sync_api", reason="pip install '.[browser]' is missing"
    )
    found = os.environ.get("ZOO_BROWSER") or next(filter(None, map(shutil.which, _NAMES)), None)
    if not found:
        pytest.skip("no Chromium: install it (Debian: chromium) or name one in ZOO_BROWSER")
    with driver.sync_playwright() as playwright:
        # As root, and in containers, its sandbox is not available.
        started = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="session")
def tab(browser):
    """A page that holds the engine and no model."""
    opened = browser.new_page()
    engine = (page.HERE / "engine.js").read_text()
    kernels = base64.b64encode((page.HERE / "kernels.wasm").read_bytes()).decode()
    opened.set_content(f"<script>{engine}; const kernels = bytesOf('{kernels}');</script>")
    yield opened
    opened.close()


@pytest.fixture
def visit(browser):
    """Opens a file in the browser: `visit(file, width, height)`, as `pages.visits` describes."""
    with pages.visits(browser) as visit:
        yield visit


_RUN = """async ([stored, numbers, inputs]) => {
  const bytes = await unzipped(bytesOf(numbers));
  const engine = new Engine(await WebAssembly.compile(kernels), stored, bytes);
  const results = engine.run("f", inputs);
  return Object.fromEntries(Object.entries(results).map(([name, x]) => [name, Array.from(x)]));
}"""


@pytest.fixture
def computed(tab):
    """Runs a function of tensors in the browser: `computed(function, inputs by name)`."""

    def run(function, inputs):
        import tensorflow as tf

        specs = {name: tf.TensorSpec(x.shape, x.dtype, name) for name, x in inputs.items()}
        constants = program.Constants()
        made = lowering.program(function, specs, constants, "test")
        stored, numbers = program.stored({"f": made}, constants)
        lists = {name: np.ravel(x).tolist() for name, x in inputs.items()}
        return tab.evaluate(_RUN, [stored, numbers, lists])

    return run

"""Runs the tutorials and keeps their outputs: `make notebooks`, or `python docs/notebooks.py NAME`.

Each is run in an empty folder. What libraries write to stderr is left out: it is of the machine.
"""

import importlib.util
import os
import pathlib
import sys
import tempfile

import nbformat
from nbclient import NotebookClient

EXAMPLES = pathlib.Path(__file__).resolve().parents[1] / "examples"


def main() -> None:
    """Runs those that are named, or all whose libraries are installed."""
    # The `python` of their shell commands is this one.
    os.environ["PATH"] = os.pathsep.join((os.path.dirname(sys.executable), os.environ["PATH"]))
    paths = [EXAMPLES / f"{name}.ipynb" for name in sys.argv[1:]]
    for path in paths or sorted(EXAMPLES.glob("*.ipynb")):
        if "import torch" in path.read_text() and importlib.util.find_spec("torch") is None:
            print(f"{path.name}: not run: it needs PyTorch (the extra `benchmark`)")
            continue
        notebook = nbformat.read(path, as_version=4)
        with tempfile.TemporaryDirectory() as folder:
            options = {"metadata": {"path": folder}}
            NotebookClient(notebook, timeout=1800, resources=options).execute()
        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell.outputs = [output for output in cell.outputs if _is_of_the_cell(output)]
                cell.metadata = {}
        nbformat.write(notebook, path)
        print(path)


def _is_of_the_cell(output: nbformat.NotebookNode) -> bool:
    """Whether an output is no message of a library."""
    if output.output_type != "stream":
        return True
    return output.name == "stdout" and not output.text.startswith("INFO:tensorflow:")


if __name__ == "__main__":
    main()

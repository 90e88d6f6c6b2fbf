"""Imports point down only, and in no circle."""

import ast
import graphlib
import pathlib

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
# The rooms from below to above; a room imports no room that stands after it, but for what is said.
ROOMS = (
    ("zoo.errors",),
    ("zoo.cores", "zoo.files", "zoo.stopping"),
    ("zoo.gin_files",),
    ("zoo.gin_checks",),
    ("zoo.drawing", "zoo.data", "zoo.evaluation", "zoo.networks", "zoo.optim", "zoo.config"),
    ("zoo.locks", "zoo.gin_text"),
    ("zoo.machine", "zoo.runs"),
    ("zoo.scheduling",),
    ("zoo.models",),
    ("zoo.hub",),
    ("zoo.report",),
    ("zoo.explorer", "zoo.scoring"),
    ("zoo.training",),
    ("zoo.perturbation",),
    ("zoo.portable",),
    ("zoo.configurables",),
    ("zoo.loading",),
    ("zoo.fitting", "zoo.sweeps"),
    ("zoo.papers",),
)
# Rooms of one floor that may import one another.
BESIDE = {
    ("zoo.data", "zoo.drawing"),
    ("zoo.networks", "zoo.optim"),
    ("zoo.runs", "zoo.machine"),
    ("zoo.drawing", "zoo.files"),
}


def _modules() -> dict[str, pathlib.Path]:
    """All modules, by the names that they are imported by."""
    found = {}
    for folder, package in (("zoo", ()), ("data", ("zoo",)), ("evaluation", ("zoo",))):
        for path in (ROOT / folder).glob("**/*.py"):
            parts = [*package, *path.relative_to(ROOT).with_suffix("").parts]
            # The links to the folders beside, where the platform follows them.
            if parts[:2] in (["zoo", "data"], ["zoo", "evaluation"]) and folder == "zoo":
                continue
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def _imported(path: pathlib.Path, modules) -> set[str]:
    """The modules of ours that a file imports, also inside its functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "import_module":
            # By name, too, or an arrow that runs up would hide there.
            names = [a.value for a in node.args[:1] if isinstance(a, ast.Constant)]
        for name in names:
            while name and name not in modules:
                name = name.rpartition(".")[0]
            found.add(name)
    # Every module is below the package itself, whose own imports are lazy.
    return found - {"", "zoo"}


@pytest.fixture(scope="module")
def imports() -> dict[str, set[str]]:
    modules = _modules()
    return {name: _imported(path, modules) - {name} for name, path in modules.items()}


def test_the_graph_is_that_of_the_package(imports):
    assert "zoo.config" in imports["zoo.runs"]
    assert "zoo.data.sampling" in imports["zoo.training.assembly"]
    assert len(imports) > 100


def test_no_circle(imports):
    try:
        graphlib.TopologicalSorter(imports).prepare()
    except graphlib.CycleError as error:
        pytest.fail(f"a circle of imports: {' <- '.join(error.args[1])}")


def _within(name: str, room: str) -> bool:
    return name == room or name.startswith(f"{room}.")


def test_arrows_point_down(imports):
    wrong = []
    for floor, rooms in enumerate(ROOMS):
        for room in rooms:
            above = {other for others in ROOMS[floor:] for other in others} - {room}
            above = {other for other in above if (room, other) not in BESIDE}
            for name, others in imports.items():
                if _within(name, room):
                    wrong += [(name, o) for o in others for up in above if _within(o, up)]
    assert not wrong

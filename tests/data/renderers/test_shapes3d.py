"""The 3D Shapes renderer: agreement with genuine images, geometry, colours, exact reproduction."""

import colorsys
import hashlib
import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.data.renderers import shapes3d, solids

ROOT = pathlib.Path(__file__).resolve().parents[3]
SAMPLES = ROOT / "../shared/reference/shapes3d_samples.npz"
GOLDEN = ROOT / "tests/golden/shapes3d.json"

geometries = st.tuples(st.integers(0, 7), st.integers(0, 3), st.integers(0, 14))


@pytest.fixture(scope="module")
def planes():
    """All planes, `[8, 4, 15, 21, 64, 64]`."""
    return shapes3d.planes().reshape(8, 4, 15, 21, 64, 64)


def test_agrees_with_genuine_images():
    if not SAMPLES.exists():
        pytest.skip("the reference images of 3D Shapes are not here")
    with np.load(SAMPLES) as file:
        genuine, factors = file["images"].astype(int), file["factors"]
    errors = np.abs(shapes3d.render(factors) - genuine).mean((1, 2, 3))
    assert len(errors) == 25
    assert errors.mean() < 2.4
    assert errors.max() < 3.5


# What is inside a solid that stands on z = 0, written without rays.
SOLIDS = {
    solids.Cube(0.4): lambda x, y, z: max(abs(x), abs(y), abs(z - 0.4)) < 0.4,
    solids.Cylinder(0.3, 0.5): lambda x, y, z: np.hypot(x, y) < 0.3 and 0 < z < 1,
    solids.Sphere(0.5): lambda x, y, z: np.hypot(np.hypot(x, y), z - 0.5) < 0.5,
    solids.Capsule(0.3, 0.2): lambda x, y, z: (
        np.hypot(np.hypot(x, y), z - min(max(z, 0.3), 0.7)) < 0.3
    ),
}
near = st.floats(-1, 1).map(lambda number: round(number, 3))


@pytest.mark.parametrize(("solid", "inside"), SOLIDS.items(), ids=lambda s: type(s).__name__)
@given(origin=st.tuples(near, near, near), target=st.tuples(near, near, near))
def test_intervals_are_where_the_ray_is_inside(solid, inside, origin, target):
    direction = np.subtract(target, origin)
    # The caster's rays are never vertical nor parallel to a side.
    if np.abs(direction).min() < 1e-2:
        return
    start, end = (float(t) for t in solid.interval(origin, direction))
    for t in np.linspace(-1.5, 2.5, 81):
        if min(abs(t - start), abs(t - end)) > 1e-6:
            assert inside(*(origin + t * direction)) == (start < t < end)
    if end - start > 1e-3:
        point = origin + start * direction
        # Nothing is seen from below.
        if point[2] > 1e-6:
            normal = np.array([float(n) for n in solid.normal(*point)])
            assert np.linalg.norm(normal) == pytest.approx(1, abs=1e-6)
            assert normal @ direction < 1e-9
            assert not inside(*(point + 1e-6 * normal))


@given(geometries)
def test_outlines_mirror_with_the_camera_and_grow_with_the_scale(planes, geometry):
    scale, shape, orientation = geometry
    np.testing.assert_array_equal(
        planes[scale, shape, orientation, 18:], planes[scale, shape, 14 - orientation, 18:, :, ::-1]
    )
    object_at = planes[:, shape, orientation, 17] > 0
    assert (object_at[:-1] <= object_at[1:]).all()
    assert (np.diff(object_at.sum((1, 2))) > 0).all()


def test_walls_meet_where_a_pinhole_camera_sees_them(planes):
    # The corner at (3.5, 3.5) from the camera of the first orientation.
    angle = np.radians(-30)
    ahead, right = (-np.sin(angle), np.cos(angle)), (np.cos(angle), np.sin(angle))
    corner = np.array([3.5, 3.5]) - 2.47 * np.array([np.sin(angle), -np.cos(angle)])
    column = 32 + 32 * (corner @ right) / (corner @ ahead) / np.tan(np.radians(49.8 / 2))
    wall = planes[0, 0, 0, 10, 24].astype(int)
    left, mixed, beside = wall[int(column) - 1 : int(column) + 2]
    assert mixed == pytest.approx(beside + (left - beside) * (column % 1), abs=4)
    assert left - beside > 30


def test_wall_is_lit_as_computed_by_hand():
    # Camera straight ahead, pixel (22, 32), on the wall y = 3.5 at a distance of 5.97.
    right, up = 0.5 / 32, 9.5 / 32
    reach = 5.97 * np.tan(np.radians(49.8 / 2))
    to_light = np.array([-1.5, 0.4, 7.25]) - [right * reach, 3.5, 0.739 + up * reach]
    to_light /= np.linalg.norm(to_light)
    light = 0.35 + 0.6 - 0.97 * to_light[1] * to_light[2] ** 9
    for hue in range(10):
        colour = np.array(colorsys.hsv_to_rgb(hue / 10, 1, 1))
        pixel = shapes3d.render([3, hue, 7, 0, 0, 7])[22, 32]
        expected = np.minimum(255 * light * 0.979 * colour, 255)
        # The texture is within 2 per cent here.
        assert pixel == pytest.approx(expected, rel=0.02, abs=1)


def test_sky():
    corners = shapes3d.render([[2, 4, 6, 7, 3, 0], [9, 9, 9, 0, 0, 14]])[:, 0]
    assert (corners == [153, 226, 249]).all()


def test_floor_in_shadow_has_the_ambient_light_only(planes):
    floor = planes[7, 0, 7, 5].astype(int)
    shadow = floor[(floor > 0) & (floor < 0.4 * 255)]
    assert len(shadow) > 15
    assert np.median(shadow) == pytest.approx(0.35 * 0.977 * 255, abs=2)


def test_channels_are_sums_that_never_overflow(planes):
    parts = planes[..., 5, :, :].astype(int) + planes[..., 11, :, :] + planes[..., 17, :, :]
    assert (parts[..., None, :, :] + planes[..., 18:, :, :]).max() == 255
    for first in (0, 6, 12):
        assert (
            planes[..., first : first + 5, :, :] <= planes[..., first + 1 : first + 6, :, :]
        ).all()
    # No light comes from black floors and walls.
    assert not planes[..., [0, 6], :, :].any()


def test_hues_are_those_of_hsv():
    for i, levels in enumerate(shapes3d.HUES):
        assert np.array(levels) / 5 == pytest.approx(colorsys.hsv_to_rgb(i / 10, 1, 1))


def test_planes_and_images_are_the_same_everywhere(planes):
    golden = json.loads(GOLDEN.read_text())
    assert hashlib.sha256(planes).hexdigest() == golden["planes_sha256"]
    numbers = np.linspace(0, len(shapes3d.SPACE) - 1, golden["images"]).astype(int)
    images = shapes3d.render(shapes3d.SPACE.factors(numbers))
    assert hashlib.sha256(images).hexdigest() == golden["images_sha256"]


HASH = """
import hashlib
from zoo.data.renderers import shapes3d
print(hashlib.sha256(shapes3d.planes()).hexdigest())
"""


def test_another_process_without_vector_instructions_draws_the_same(planes, monkeypatch):
    found = np.show_config(mode="dicts")["SIMD Extensions"]["found"]
    monkeypatch.setenv("NPY_DISABLE_CPU_FEATURES", " ".join(found))
    command = [sys.executable, "-W", "error", "-c", HASH]
    other = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert other.stdout.strip() == hashlib.sha256(planes).hexdigest()


def test_shapes_of_results_and_bad_factors():
    assert shapes3d.render(np.zeros((2, 3, 6), int)).shape == (2, 3, 64, 64, 3)
    assert shapes3d.render([0, 0, 0, 0, 0, 0]).shape == (64, 64, 3)
    with pytest.raises(ValueError, match="outside its range"):
        shapes3d.render([0, 0, 0, 8, 0, 0])

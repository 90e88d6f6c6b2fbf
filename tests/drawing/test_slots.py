"""Pictures of slots: one scale for an image, objects in colours that can be told apart."""

import matplotlib
import numpy as np
import pytest

from zoo.drawing import palette, sheets, slots


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def corner(picture: np.ndarray, image: np.ndarray) -> tuple[int, int]:
    """The (top, left) at which an image `[64, 64, 3]` is in a picture."""
    windows = np.lib.stride_tricks.sliding_window_view(picture, (64, 64, 3))[:, :, 0]
    first = (windows[:, :, 0, 0] == image[0, 0]).all(-1)
    (found,) = [(y, x) for y, x in np.argwhere(first).tolist() if (windows[y, x] == image).all()]
    return found


def test_slot_panels_share_a_scale_in_each_image():
    images = noise(2, 64, 64, 3)
    panels = np.zeros((2, 64, 64, 2))
    panels[0, ..., 0], panels[0, ..., 1] = 8.0, 4.0
    panels[1, ..., 0] = 0.5
    masks = np.zeros((2, 64, 64), int)
    picture = slots.panels(images, panels, masks)

    def heat(value):
        return (np.asarray(matplotlib.colormaps["inferno"](value)[:3]) * 255).round()

    tops = [corner(picture, image) for image in images]
    pitch = 64 + sheets.GAP
    for row, values in enumerate([(1.0, 0.5), (1.0, 0.0)]):
        top, left = tops[row]
        assert (picture[top : top + 64, left + pitch :][:, :64] == 0).all()
        for slot, value in enumerate(values):
            panel = picture[top : top + 64, left + (2 + slot) * pitch :][:, :64]
            assert (panel == heat(value)).all()


def test_objects_have_the_colours_of_their_masks():
    masks = np.zeros((1, 64, 64), int)
    masks[0, :32], masks[0, 32:48] = 1, 9
    picture = slots.panels(noise(1, 64, 64, 3), np.ones((1, 64, 64, 1)), masks)
    expected = palette.OBJECTS[np.where(masks[0] > 0, 1, 0)]
    assert len(np.unique(expected.reshape(-1, 3), axis=0)) == 2
    corner(picture, expected)


@pytest.mark.parametrize(
    ("panels", "message"),
    [(np.zeros((1, 8, 7, 2)), "panels"), (-np.ones((1, 8, 8, 2)), "below zero")],
)
def test_bad_input_is_explained(panels, message):
    with pytest.raises(ValueError, match=message) as raised:
        slots.panels(noise(1, 8, 8), panels)
    assert "\n" not in str(raised.value)

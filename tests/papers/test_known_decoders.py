"""Decoders of known interaction: the scores say what is known of them."""

import numpy as np
import pytest

from zoo.papers.interaction_asymmetry import exact, known

# Third derivatives of these take half a minute each; the table itself has them.
SLOW = ("the same with products", "sprites, one before the other")
DECODERS = {d.name: d for d in known.decoders(count=2) if d.name not in SLOW}


@pytest.mark.parametrize("name", DECODERS)
def test_scores_are_what_is_known(name):
    decoder = DECODERS[name]
    found = known.measured(decoder)
    assert found.order == decoder.order and found.irreducible == decoder.irreducible
    assert (found.rank is None) == (decoder.within is None)
    if decoder.within is not None:
        assert (found.rank > 0) == decoder.within
    assert (found.contrast > 1e-9) == (decoder.order > 0)
    assert (found.hessian > 1e-9) == (decoder.order > 1)


def test_the_sprite_in_front_covers_the_other():
    image = known.occluding(np.array([[[7.0, 7.0], [7.0, 7.0]]])).numpy()[0]
    assert image[7, 7, 0] == 0 and image[7, 7, 1] == 1
    assert not image[0].any()


def test_the_figure_has_a_line_for_each_decoder_and_colours_what_is_wrong(monkeypatch):
    wrong = known.Scores(2, 0.5, 1.0, None, None, 0.5)
    chosen = DECODERS["linear"]
    monkeypatch.setattr(known, "decoders", lambda: [chosen])
    monkeypatch.setattr(known, "measured", lambda decoder: wrong)
    (table,) = exact.scores({}).axes[0].tables
    cells = table.get_celld()
    coloured = {place for place, cell in cells.items() if cell.get_text().get_color() != "black"}
    assert coloured == {(1, 1), (1, 5), (1, 6)} and cells[1, 0].get_text().get_text() == "linear"

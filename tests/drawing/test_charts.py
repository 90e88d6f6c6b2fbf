"""Charts: the numbers that went in can be read, in any theme, the same bytes every time."""

import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from zoo.drawing import charts

SVG = "{http://www.w3.org/2000/svg}"


def texts(svg: str) -> list[str]:
    return [element.text for element in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def metrics(steps: int, latents: int = 4) -> list[dict]:
    rows = []
    for step in range(1, steps + 1):
        kl = [latent * step / steps for latent in range(latents)]
        loss = 1000 / step + sum(kl)
        rows.append({"step": step, "loss": loss, "reconstruction": 1000 / step, "kl": sum(kl)})
        rows[-1]["kl_per_latent"] = kl
    return rows


ALL = {
    "curves": lambda: charts.curves(metrics(20))["kl_per_latent"],
    "matrix": lambda: charts.matrix(np.eye(3), ["a", "b", "c"], ["x", "y", "z"], "M"),
    "scatter": lambda: charts.scatter([0.1, 0.2], [0.5, 0.4], title="runs", groups=["p", "q"]),
    "spectrum": lambda: charts.spectrum(np.array([3.0, 1.0, 0.1])),
}


@pytest.mark.parametrize("name", ALL)
def test_charts_are_self_contained_and_themed(name):
    svg = ALL[name]()
    root = ElementTree.fromstring(svg)
    assert root.tag == f"{SVG}svg" and root.get("viewBox") and root.get("aria-label")
    assert "prefers-color-scheme:dark" in svg
    addresses = re.findall(r"(?:https?:)?//[^\s\"']+", svg)
    assert addresses == ["http://www.w3.org/2000/svg"]
    references = re.findall(r'href="([^"]*)"|url\(([^)]*)\)', svg)
    assert all(one.startswith("#") for pair in references for one in pair if one)
    # Every colour that is drawn follows the theme.
    drawn = re.findall(r"(?:fill|stroke): (#\w+)", svg)
    assert not drawn


def test_no_global_state_and_no_display():
    code = (
        "import sys, matplotlib; before = matplotlib.rcParams.copy()\n"
        "from zoo.drawing import charts\n"
        "charts.matrix([[1.0]], ['a'], ['b'], 'm')\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
        "assert dict.__eq__(matplotlib.rcParams, before)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", ALL)
def test_same_input_same_bytes(name):
    import matplotlib

    first = ALL[name]()
    with matplotlib.rc_context({"font.size": 30, "svg.fonttype": "path", "lines.linewidth": 9}):
        assert ALL[name]() == first


def test_curves_show_what_is_there():
    assert list(charts.curves(metrics(5))) == ["loss", "reconstruction", "kl", "kl_per_latent"]
    assert list(charts.curves([{"step": 1, "loss": 2.0}])) == ["loss"]
    assert charts.curves([]) == {}
    assert charts.curves([{"step": 1, "loss": float("nan"), "kl": None}]) == {}
    assert "102" in texts(charts.curves([{"step": 1, "loss": 102.0}])["loss"])


def test_curves_survive_gaps_and_infinities():
    rows = metrics(10)
    rows[3]["loss"], rows[9]["loss"], rows[5]["kl_per_latent"] = float("inf"), float("nan"), None
    del rows[4]["loss"]
    drawn = charts.curves(rows)
    assert list(drawn) == ["loss", "reconstruction", "kl", "kl_per_latent"]
    assert not re.search(r"\bnan\b|\binf\b", "".join(drawn.values()))


def test_long_runs_are_thinned_by_averages():
    rows = [{"step": step, "loss": float(step % 2)} for step in range(1, 8001)]
    steps, values = charts._series(rows, "loss")
    assert len(steps) == charts.POINTS
    np.testing.assert_allclose(values, 0.5)
    drawn = charts.curves([*rows, {"step": 8001, "loss": 0.125}, {"step": 8002, "loss": None}])
    assert len(drawn["loss"]) < 40_000
    # As the report's tiles, which show the last record.
    assert "0.125" in bold(drawn["loss"])


def test_latents_are_named_from_the_largest_down():
    rows = [{"step": s, "kl_per_latent": [0.0, s * 2.0, s * 1.0, 1e-6]} for s in (1, 2)]
    names = [t for t in texts(charts.curves(rows)["kl_per_latent"]) if t.startswith("z")]
    assert names == ["z1", "z2"]


def test_labels_are_kept_apart_and_in_order():
    places = charts._apart(np.array([0.9, 0.89, 0.5, 0.01, 0.0, 0.0]), 0.1)
    assert (np.diff(places) <= -0.1 + 1e-12).all() and places[-1] >= 0
    np.testing.assert_allclose(charts._apart(np.array([0.9, 0.5]), 0.1), [0.9, 0.5])


def cells(svg: str) -> list[float]:
    """The opacities of the shaded cells; what has none is opaque, what is clear is not drawn."""
    return [float(o or 1) for o in re.findall(r"fill: var\(--heat\)(?:; opacity: ([\d.]+))?", svg)]


def bold(svg: str) -> list[str]:
    return re.findall(r'<text style="[^"]*font-weight: 700[^"]*"[^>]*>([^<]*)<', svg)


def test_matrix_shows_numbers_shades_and_labels():
    values = np.array([[0.5, 0.0], [1.0, 0.25], [np.nan, 2.0]])
    svg = charts.matrix(values, ["z0", "z1", "z2"], ["shape", "<scale> & $x$"], "Information")
    shown = texts(svg)
    assert {"0.50", "1.00", "0.25", "2.00", "–", "z2", "shape", "<scale> & $x$"} <= set(shown)
    assert "Information" in shown
    assert cells(svg) == pytest.approx([0.25, 0.5, 0.125, 1.0])
    assert bold(svg) == ["Information", "1.00", "2.00"]


def test_matrix_tells_signs_apart():
    values = np.array([[-1.0, 0.5, -0.001], [0.3, 0.0, 0.0]])
    svg = charts.matrix(values, ["r", "s"], ["a", "b", "c"], "C")
    assert cells(svg) == pytest.approx([0.5, 0.3])
    assert cells(svg.replace("--cold", "--heat")) == pytest.approx([1.0, 0.5, 0.001, 0.3])
    assert "-0.00" not in texts(svg) and bold(svg) == ["C", "-1.00", "0.50"]


def test_degenerate_matrices_and_spectra_are_drawn():
    assert "0.00" in texts(charts.matrix(np.zeros((2, 1)), ["a", "b"], ["c"], "zeros"))
    assert "–" in texts(charts.matrix(np.full((1, 1), np.inf), ["a"], ["c"], "infinite"))
    charts.spectrum(np.zeros(4))
    charts.spectrum({"one": np.ones((5, 3)), "two": np.ones(3)})


def test_scatter_draws_a_point_a_run():
    x, y = [0.1, 0.2, 0.3, np.nan], [0.9, 0.8, 0.7, 0.6]
    svg = charts.scatter(x, y, title="Runs", groups=["a", "a", "b", "b"])
    assert svg.count("<use ") - 2 == 3  # the legend has one of each group
    assert {"DtO", "DS", "a", "b"} <= set(texts(svg))


def test_series_beyond_the_colours_are_told_apart():
    assert len({charts._series_style(k) for k in range(32)}) == 32
    assert [charts._series_style(k)[1:] for k in (0, 7)] == [("o", "-")] * 2
    assert charts._series_style(8) == (charts._series_style(0)[0], "s", "--")
    lines = {f"run {k}": [{"step": s, "loss": k + s} for s in (1, 2)] for k in range(9)}
    dashes = [svg.count("stroke-dasharray: ") for svg in charts.compared(lines).values()]
    eight = dict(list(lines.items())[:8])
    # The ninth is dashed on the chart and in its legend.
    assert dashes[0] == 2 + charts.compared(eight)["loss"].count("stroke-dasharray: ")
    spectra = {str(k): np.arange(1.0, 4.0) + k for k in range(9)}
    assert "stroke-dasharray" in charts.spectrum(spectra)
    assert "stroke-dasharray" not in charts.spectrum(dict(list(spectra.items())[:8]))


def test_a_scatter_grows_with_its_legend():
    def height(count: int, before: str = "") -> float:
        x = np.arange(count, dtype=float)
        groups = [f"{before}group {k}" for k in range(count)]
        svg = charts.scatter(x, x, title="t", groups=groups)
        return float(ElementTree.fromstring(svg).get("viewBox").split()[-1])

    assert height(1) == height(7) == 300 and height(27) == 300 + 20 * 11
    assert height(27, "of a longer name, ") == 212 + 27 * 22


@pytest.mark.parametrize("length", [12, 20, 21, 30, 47, 100])
def test_names_of_any_length_stand_in_the_picture(length):
    names = [f"{k}_{'learning_rate=0.001,' * 5}"[: length - 2] + f"_{k}" for k in range(4)]
    rows = {name: [{"step": s, "loss": k + s} for s in (1, 2)] for k, name in enumerate(names)}
    for svg in (
        charts.compared(rows)["loss"],
        charts.scatter(np.arange(4.0), np.arange(4.0), title="t", groups=names),
    ):
        found = ElementTree.fromstring(svg).iter(f"{SVG}text")
        at = {one.text: float(one.get("x")) for one in found if re.match(r"(\d)_.*_\1$", one.text)}
        assert len(at) == 4 and (list(at) == names) is (length < 48)
        # Samples of the lines are 31 pixels before names, and the legend is in the middle.
        assert min(at.values()) > 31
        assert len(set(at.values())) == (2 if length <= 20 else 1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: charts.matrix(np.zeros((2, 2)), ["a"], ["b", "c"], "t"), "labels"),
        (lambda: charts.scatter([1, 2], [1], title="t"), "one length"),
        (lambda: charts.spectrum(np.zeros((2, 2, 2))), "must be"),
    ],
)
def test_bad_input_is_explained(call, message):
    with pytest.raises(ValueError, match=message):
        call()

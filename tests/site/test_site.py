"""The site has a page for everything there is, and its links lead somewhere."""

import pathlib
import posixpath
import re
import types

import numpy as np
import pictures
import pytest
import site_links
import site_pages

from zoo.__main__ import COMMANDS
from zoo.data import catalog
from zoo.data.dataset import Dataset, DenseImages
from zoo.evaluation import index
from zoo.hub import registry

ROOT = pathlib.Path(__file__).resolve().parents[2]
PLACES = {
    "data/README.md": "data/index.md",
    "docs/a.png": "pictures/a.png",
    "README.md": "index.md",
    "README.md#score": "guide/score.md",
}


@pytest.fixture(scope="module")
def site() -> site_pages.Site:
    return site_pages.site()


def _targets(nav) -> list[str]:
    if isinstance(nav, str):
        return [nav]
    parts = nav.values() if isinstance(nav, dict) else nav
    return [target for part in parts for target in _targets(part)]


def test_the_navigation_has_every_page_once(site):
    assert sorted(_targets(site.nav)) == sorted(site.pages)


def test_everything_has_its_page(site):
    wanted = {f"scores/{name}.md" for name in index.MODULE_OF_SCORE}
    ours = {f for f, module in catalog.FAMILIES.items() if module.startswith("zoo.data.")}
    wanted |= {f"data/{family}.md" for family in ours}
    wanted |= {f"hub/{name.replace('/', '_')}.md" for name in registry.names()}
    papers = [path.parent.name for path in (ROOT / "zoo/papers").glob("*/README.md")]
    wanted |= {f"papers/{paper}.md" for paper in papers}
    models = [p.stem for p in (ROOT / "zoo/models").glob("*.py") if "@gin.reg" in p.read_text()]
    wanted |= {f"models/{stem}.md" for stem in models}
    notebooks = (ROOT / "examples").glob("*.ipynb")
    wanted |= {f"tutorials/{path.stem}.md" for path in notebooks}
    assert len(papers) >= 6 and len(models) >= 15
    assert wanted <= set(site.pages)


def test_every_link_leads_to_a_page_or_picture(site):
    for place, text in site.pages.items():
        prose = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
        for target in re.findall(r"\]\(([^)\s]+)\)", prose):
            if re.match(r"https?:|#", target):
                continue
            path = posixpath.normpath(posixpath.join(posixpath.dirname(place), target))
            path = path.partition("#")[0]
            assert path in site.pages or path in site.files, f"{place} links to {target}"


def test_a_page_has_the_facts_of_its_score(site):
    page = site.pages["scores/explicitness.md"]
    assert "**Value by chance:** 0.5" in page and "0 to 1; higher is better" in page
    assert "https://arxiv.org/abs/1802.05312" in page
    assert "::: zoo.evaluation.predictability.explicitness" in page


def test_a_paper_has_our_results_its_figures_and_its_verdicts(site):
    page = site.pages["papers/zietlow.md"]
    assert "### zietlow/3.3" in page and "(../pictures/zietlow_figure_3_7.png)" in page
    lines = (ROOT / "RESULTS.md").read_text().splitlines()
    claims = [line.split(" | ")[1:3] for line in lines if line.startswith("| zietlow |")]
    assert len(claims) >= 5
    for claim, verdict in claims:
        assert f"| {claim} | {verdict} |" in page
    assert "[`zoo.evaluation.dto`](../scores/dto.md)" in page


def test_a_pretrained_model_has_its_explorer(tmp_path):
    page = tmp_path / "made.html"
    page.write_bytes(bytes(1_250_000))
    site = site_pages.site({"beta_vae/dsprites": page})
    place = "explorers/beta_vae_dsprites.html"
    assert site.files[place] == page
    text = site.pages["hub/beta_vae_dsprites.md"]
    assert text.count(f'"../../{place}"') == 2 and "(1.2 MB, " in text
    assert "iframe" not in site.pages["hub/perturbations_dsprites.md"]


def test_commands_say_their_help(site):
    page = site.pages["reference/commands.md"]
    assert page.count("usage: python -m zoo.") == len(COMMANDS)
    assert "--start_over" in page


def _pictured(monkeypatch, dataset=None, shape=(4, 4, 1), **endpoints):
    """The picture of a model with these functions."""
    model = types.SimpleNamespace(
        **endpoints,
        card={"dataset": "x", "input": {"domains": 2}},
        endpoints=tuple(endpoints),
        image_shape=shape,
        latent_size=3,
        model=types.SimpleNamespace(),
    )
    monkeypatch.setattr(pictures.zoo, "load", lambda name: model)
    monkeypatch.setattr(pictures.catalog, "load", lambda name: dataset)
    return pictures._model("some/model")


def test_a_model_of_a_part_of_a_data_set_is_drawn_of_its_images(monkeypatch):
    images = np.arange(10, dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 4, 1), np.uint8)
    part = Dataset("x", DenseImages(images)).part("x[test]", np.array([7, 9]))
    taken = []

    def encode(given):
        taken.append(given)
        return given.reshape(len(given), -1)[:, :3].astype(np.float32)

    def decode(codes):
        return np.zeros((len(codes), 4, 4, 1), np.float32)

    assert _pictured(monkeypatch, part, encode=encode, decode=decode).ndim == 3
    np.testing.assert_array_equal(taken[0], images[[7, 9]])


def test_a_generator_is_drawn_and_what_is_no_image_is_not(monkeypatch):
    def generate(latents, domain):
        assert latents.shape == (len(domain), 3)
        return np.zeros((len(domain), 4, 4, 1), np.float32)

    assert _pictured(monkeypatch, generate=generate).ndim == 3
    assert _pictured(monkeypatch, shape=(36,), encode=None, decode=None) is None


def _relinked(text: str) -> str:
    return site_links.relinked(text, "data/README.md", "about/x.md", PLACES, ROOT)


def test_links_lead_to_the_pages_of_files():
    assert _relinked("[a](README.md#your-own)") == "[a](../data/index.md#your-own)"
    assert _relinked("[a `b`](catalog.py), c") == "a `b`, c"
    assert _relinked("[a](https://x.org/(y))") == "[a](https://x.org/(y))"
    assert _relinked("[a](site:hub/x.md)") == "[a](../hub/x.md)"
    assert _relinked("[a](../README.md#score)") == "[a](../guide/score.md)"
    kept = "```\n[a](nowhere.md)\n```\n"
    assert _relinked(kept) == kept


def test_a_link_to_nothing_is_refused():
    with pytest.raises(site_links.DeadLinkError, match="data/README.md links to no.md"):
        _relinked("[a](no.md)")


def test_names_in_backticks_lead_to_their_pages():
    names = {"mig": "scores/mig.md", "zoo.models.vae": "models/vae.md#zoo.models.vae"}
    text = "# `mig`\n\n`mig`, [`mig`](x), `zoo.models.vae`, `other`\n\n```\n`mig`\n```"
    assert site_links.named(text, "papers/a.md", names) == (
        "# `mig`\n\n[`mig`](../scores/mig.md), [`mig`](x), "
        "[`zoo.models.vae`](../models/vae.md#zoo.models.vae), `other`\n\n```\n`mig`\n```"
    )
    assert site_links.named("`mig`", "scores/mig.md", names) == "`mig`"


def test_code_in_tables_has_no_backslashes():
    assert site_links.plain_pipes("| `\\|a\\|` | b \\| c |") == "| `|a|` | b \\| c |"
    assert site_links.plain_pipes("`\\|`") == "`\\|`"


def test_headings_of_the_readme_have_their_pages(site):
    assert "[Terms](guide/terms.md)" in site.pages["index.md"]
    link = "(train.md#train-on-a-borrowed-accelerator)"
    assert link in site.pages["guide/install.md"]

"""The pages of models that are no plain autoencoders: slots, and the domains of a CG-GAN."""

import functools

import keras
import numpy as np
import pytest
from pages import code, settle

from zoo import hub
from zoo.drawing import palette
from zoo.explorer import contents, page
from zoo.hub.export import export
from zoo.models import posteriors
from zoo.models.cg_gan import CGGAN
from zoo.models.slots import SlotAutoencoder
from zoo.models.vae import VAE
from zoo.networks import dense, slot_decoders, slot_encoders, style_gan

SHAPE, SLOTS = (16, 16, 3), 3
RNG = np.random.default_rng(0)
# The largest difference of a number from TensorFlow's.
CLOSE = 1e-3


def _transformer():
    return _slots(
        functools.partial(slot_encoders.transformer_slot_encoder, channels=4, layers=1, heads=2),
        functools.partial(
            slot_decoders.transformer_slot_decoder,
            **{"width": 16, "slot_hidden": 16, "query_width": 16, "heads": 2},
        ),
    )


def _broadcast():
    return _slots(
        functools.partial(slot_encoders.slot_attention_encoder, channels=4),
        functools.partial(slot_decoders.broadcast_slot_decoder, channels=4, start=8, doublings=1),
    )


def _slots(encoder, decoder):
    return SlotAutoencoder(
        SHAPE, slots=SLOTS, latent_dim=4, alpha=0.0, slot_encoder=encoder, slot_decoder=decoder
    )


def _cg_gan():
    model = CGGAN(
        SHAPE,
        latent_dim=6,
        style_dim=2,
        generator=functools.partial(style_gan.style_generator, filters=(4, 4, 4), style_dim=8),
        discriminator=functools.partial(
            style_gan.style_discriminator, filters=(4, 4, 4), embedding=4
        ),
    )
    # Untrained, the flow is the same in both domains, and the latents do next to nothing.
    kernel = model.average.flow.last_layer.kernel
    kernel.assign(3 * RNG.normal(size=kernel.shape))
    return model


def _made(model, folder):
    """A model after its export, and the page of it."""
    card = {"name": "small", "input": {"shape": list(SHAPE), "maximum": 255, "domains": 2}}
    export(model, folder / "saved", "# nothing\n", card)
    loaded = hub.load(folder / "saved")
    file = folder / "page.html"
    page.write(file, [contents.of_model(loaded, 3.0)])
    return loaded, file


@pytest.fixture
def opened(visit):
    def open_(file, **options):
        tab = visit(file, **options)
        tab.evaluate("explorer.ready")
        settle(tab)
        return tab

    return open_


@pytest.fixture(scope="module", params=[_transformer, _broadcast], ids=lambda make: make.__name__)
def slots(request, tmp_path_factory, browser):
    del browser  # without one nothing is exported
    keras.utils.set_random_seed(0)
    return _made(request.param(), tmp_path_factory.mktemp("slots"))


@pytest.fixture(scope="module")
def cg_gan(tmp_path_factory, browser):
    del browser
    keras.utils.set_random_seed(0)
    return _made(_cg_gan(), tmp_path_factory.mktemp("cg_gan"))


def _decoded(tab, latents, domain=0) -> dict[str, np.ndarray]:
    made = tab.evaluate(
        "([z, u]) => Object.entries(explorer.panels[0].model.decode(z, u))"
        ".map(([name, x]) => [name, Array.from(x)])",
        [np.ravel(latents).tolist(), domain],
    )
    return {name: np.array(numbers) for name, numbers in made}


def _pixels(tab, selector: str) -> np.ndarray:
    """The first canvas of a selector, `[H, W, 3]` in 0..255."""
    numbers = tab.locator(selector).first.evaluate("""(shown) => {
      // Of a copy: the browser warns of canvases that are read often.
      const copy = document.createElement("canvas");
      [copy.width, copy.height] = [shown.width, shown.height];
      const context = copy.getContext("2d");
      context.drawImage(shown, 0, 0);
      return Array.from(context.getImageData(0, 0, copy.width, copy.height).data);
    }""")
    return np.reshape(numbers, (*SHAPE[:2], 4))[..., :3].astype(float)


class TestSlots:
    def test_numbers_are_tensorflows(self, slots, opened):
        model, file = slots
        tab = opened(file)
        codes = RNG.normal(size=(2, SLOTS, 4)).astype(np.float32)
        wanted = {
            "image": model.decode(codes),
            "masks": model.attention(codes),
            "parts": model.slot_images(codes),
        }
        for i in range(2):
            made = _decoded(tab, codes[i])
            for name, values in wanted.items():
                assert np.abs(made[name] - np.ravel(values[i])).max() < CLOSE, name
        image = RNG.random((1, *SHAPE), np.float32)
        made = tab.evaluate(
            "x => Array.from(explorer.panels[0].model.encode(x).mean)", image.ravel().tolist()
        )
        assert np.abs(made - np.ravel(model.encode(image))).max() < CLOSE

    def test_sliders_are_those_of_the_chosen_slot(self, slots, opened):
        _, file = slots
        tab = opened(file)
        cells = tab.locator(".strip button")
        assert cells.all_inner_texts() == ["slot 1", "slot 2", "slot 3"]
        before = code(tab).reshape(SLOTS, 4)
        cells.nth(1).click()
        settle(tab)
        assert cells.nth(1).get_attribute("aria-pressed") == "true"
        slider = tab.locator(".latent input").first
        number = int(slider.get_attribute("aria-label")[1:])
        slider.focus()
        tab.keyboard.press("ArrowRight")
        moved = code(tab).reshape(SLOTS, 4) - before
        assert moved[1, number] > 0 and np.count_nonzero(moved) == 1

    def test_masks_are_shown_in_the_colours_of_the_slots(self, slots, opened):
        model, file = slots
        for scheme, colours in (("light", palette.LIGHT), ("dark", palette.DARK)):
            tab = opened(file, color_scheme=scheme)
            tab.get_by_role("button", name="Slots", exact=True).click()
            settle(tab)
            chosen = [colours[f"series-{k}"] for k in range(SLOTS)]
            rgb = [[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in chosen]
            masks = np.reshape(model.attention(code(tab).reshape(1, SLOTS, 4)), (16, 16, SLOTS))
            assert np.abs(_pixels(tab, ".output") - masks @ np.array(rgb)).max() < 1.01
            shown = tab.locator(".strip .colour").evaluate_all(
                "(all) => all.map((e) => getComputedStyle(e).backgroundColor)"
            )
            assert shown == [f"rgb({r}, {g}, {b})" for r, g, b in rgb]
            parts = np.asarray(model.slot_images(code(tab).reshape(1, SLOTS, 4)))[0]
            first = np.clip(255 * parts[0], 0, 255)
            assert np.abs(_pixels(tab, ".strip canvas") - first).max() < 1.01


def test_a_covariance_that_cannot_run_leaves_the_encoder_its_means(opened, tmp_path):
    keras.utils.set_random_seed(0)
    model, file = _made(
        VAE(
            SHAPE,
            latent_dim=3,
            encoder=functools.partial(dense.mlp_encoder, units=(8,)),
            decoder=functools.partial(dense.mlp_decoder, units=(8,)),
            posterior=posteriors.FullCovariance,
        ),
        tmp_path,
    )
    tab = opened(file)
    image = RNG.random((1, *SHAPE), np.float32)
    made = tab.evaluate(
        "x => Object.entries(explorer.panels[0].model.encode(x))"
        ".map(([name, x]) => [name, Array.from(x)])",
        image.ravel().tolist(),
    )
    ((name, mean),) = made
    assert name == "mean" and np.abs(mean - np.ravel(model.encode(image))).max() < CLOSE
    assert tab.get_by_text("posterior of the picture").count() == 0


def test_without_room_for_the_encoder_the_pictures_stay(slots):
    model, _ = slots
    whole = contents.of_model(model, 3.0)
    pictures = len(whole["sheet"]["url"]) / 1e6
    # All programs have room, but not beside the pictures.
    made = contents.of_model(model, contents._size(whole) - pictures / 2)
    assert set(whole["stored"]["programs"]) == {"decode", "encode"}
    assert set(made["stored"]["programs"]) == {"decode"} and made["sheet"] == whole["sheet"]


class TestDomains:
    def test_numbers_are_tensorflows(self, cg_gan, opened):
        model, file = cg_gan
        tab = opened(file)
        latents = RNG.normal(size=(2, 6)).astype(np.float32)
        for domain in range(2):
            images = model.generate(latents, np.full(2, domain))
            for i in range(2):
                made = _decoded(tab, latents[i], domain)["image"]
                assert np.abs(made - np.ravel(images[i])).max() < CLOSE

    def test_the_domain_changes_the_image_and_no_latent(self, cg_gan, opened):
        model, file = cg_gan
        tab = opened(file)
        cells = tab.locator(".strip button")
        assert cells.all_inner_texts() == ["domain 0", "domain 1"]
        latents = code(tab)
        both = [np.asarray(model.generate(latents[None], [u]))[0] for u in range(2)]
        assert np.abs(both[0] - both[1]).max() > 20 * CLOSE, "the model ignores its domain"
        for domain in (1, 0):
            cells.nth(domain).click()
            settle(tab)
            np.testing.assert_array_equal(code(tab), latents)
            shown = np.clip(255 * both[domain], 0, 255)
            assert np.abs(_pixels(tab, ".output") - shown).max() < 1.01
            assert cells.nth(domain).get_attribute("aria-pressed") == "true"

    def test_style_and_content_are_drawn_apart(self, cg_gan, opened):
        _, file = cg_gan
        tab = opened(file)
        for name, changed in (("New style", slice(0, 2)), ("New content", slice(2, 6))):
            before = code(tab)
            tab.get_by_role("button", name=name).click()
            moved = code(tab) != before
            assert moved[changed].all() and moved.sum() == len(moved[changed])

    def test_latents_stand_below_style_or_content(self, cg_gan, opened):
        _, file = cg_gan
        tab = opened(file)
        names = tab.locator(".latents > *").evaluate_all(
            "(all) => all.map((e) => e.tagName === 'H3' ? e.textContent.split(':')[0]"
            " : e.querySelector('input').ariaLabel)"
        )
        at = names.index("Content")
        assert names[0] == "Style" and sorted(names[1:at]) == ["z0", "z1"]
        assert sorted(names[at + 1 :]) == ["z2", "z3", "z4", "z5"]
        # There is nothing to encode.
        assert tab.locator("#source").is_hidden()

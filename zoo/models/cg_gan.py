"""GANs of several domains whose latents are content and style: CG-GAN and what it grew from."""

import math
from collections.abc import Callable, Mapping

import gin
import keras
import numpy as np
import tensorflow as tf

from zoo.data.dataset import Dataset
from zoo.errors import SettingError
from zoo.models.base import Batch, Generator, Player
from zoo.models.noise import standard_normal, standard_uniform, stream
from zoo.networks.domain_generator import DomainGenerator
from zoo.networks.flows import DomainFlow
from zoo.networks.style_gan import (
    StyleDiscriminator,
    StyleGenerator,
    style_discriminator,
    style_generator,
)
from zoo.optim.optimizers import Adam
from zoo.optim.schedules import Schedule, at

FORMS = ("paper", "released")


@gin.register
class CGGAN(Generator):
    """CG-GAN (Li, Fan et al. 2025), a StyleGAN2 of several domains with a style that flows.

    Images x of domain u are generated as `G(e, u)` of e ~ N(0, I): see `DomainGenerator`. The
    discriminator D learns with softplus losses, `softplus(-D(x, u)) + softplus(D(G(e, u), u))`,
    and `r1 / 2 |dD/dx|^2` at images of data (Mescheder et al. 2018), every `r1_every` steps and as
    many times as strong. Then the generator learns, on other latents, with

        softplus(-D(G(e, u), u)) + mask_sparsity mean |v| + image_sparsity S
        S = mean_pixels |G(z + d e_k, u) - G(z, u)| / d

    where v are the importances of the mask, z is the normalised style and content, d is `step_size`
    and k one of the style's latents with a mask that is not zero, drawn for each image: forward
    differences of the L1 norm of G's Jacobian, with the same noise in both images and without
    mixing of styles. In the authors' code (`released`) the moved latent is not used: S compares
    two images of one latent that differ by their noise, and by styles that are mixed in one of
    them only, and is not divided by d.

    i-StyleGAN (Xie et al. 2023) is CG-GAN without S, CG-GAN-M is CG-GAN without mask, and with
    `style_dim = 0` it is a conditional StyleGAN2 (Karras et al. 2020). Domains of generated images
    are those of the data of their step. Images are `2 x - 1` inside. The generator that is kept is
    the moving average of that of every step.

    Path lengths (Karras et al. 2020, eq. 4) are regularised every 4 steps on half a batch where
    `path_length` is not zero. Lazy terms are part of the step of their turn: the optimisers are not
    adapted to them as in StyleGAN2, which has steps of their own for them.

    The optimiser of the run is the generator's, and so is `loss`.

    Args:
        observation_shape: `(H, H, C)`, H a power of two.
        latent_dim: the number D of latents.
        style_dim: how many of them are the style; 0 for a conditional StyleGAN2.
        domains: the number U of domains.
        masked: whether the style has a learned mask.
        mask_threshold: importances up to it are cut off, in [0, 1).
        mask_sparsity: the weight of the mean absolute importance.
        image_sparsity: the weight of S: a number, or a schedule of the step; S costs nothing while
            it is zero.
        image_sparsity_form: `paper` or `released`.
        step_size: d, in units of the normalised latents.
        r1: the weight of the squared gradient, gamma.
        r1_every: steps between its turns.
        path_length: the weight of the path lengths' variance.
        style_mixing: the share of images whose later layers have the style of another latent.
        average_images: how many images halve the weight of a generator in the moving average, at
            most a twentieth of those seen.
        flow: (domains, latents) -> `DomainFlow`.
        generator: (inputs, observation shape) -> `StyleGenerator`.
        discriminator: (observation shape, domains) -> `StyleDiscriminator`.
        discriminator_optimizer: makes the optimiser of the discriminator.
    """

    momentary = ("mask_size", "importance_per_latent")

    def __init__(
        self,
        observation_shape: tuple[int, ...],
        latent_dim: int = 32,
        style_dim: int = 16,
        domains: int = 2,
        masked: bool = True,
        mask_threshold: float = 0.1,
        mask_sparsity: float = 0.1,
        image_sparsity: float | Schedule = 0.1,
        image_sparsity_form: str = "paper",
        step_size: float = 0.1,
        r1: float = 0.0032,
        r1_every: int = 16,
        path_length: float = 0.0,
        style_mixing: float = 0.9,
        average_images: int = 20_000,
        flow: Callable[..., keras.layers.Layer] = gin.get_configurable(DomainFlow),
        generator: Callable[..., StyleGenerator] = style_generator,
        discriminator: Callable[..., StyleDiscriminator] = style_discriminator,
        discriminator_optimizer: Callable[[], keras.optimizers.Optimizer] = gin.get_configurable(
            Adam
        ),
    ):
        super().__init__()
        weights = {"mask_sparsity": mask_sparsity, "r1": r1, "path_length": path_length}
        if not callable(image_sparsity):
            weights["image_sparsity"] = image_sparsity
        for name, given, wanted, fulfilled in (
            ("latent_dim", latent_dim, "at least 1", latent_dim >= 1),
            ("domains", domains, "at least 2", domains >= 2),
            ("style_dim", style_dim, f"0 to {latent_dim}", 0 <= style_dim <= latent_dim),
            ("mask_threshold", mask_threshold, "0 to less than 1", 0 <= mask_threshold < 1),
            ("step_size", step_size, "a positive number", step_size > 0),
            ("r1_every", r1_every, "at least 1", r1_every >= 1),
            ("style_mixing", style_mixing, "a share, 0 to 1", 0 <= style_mixing <= 1),
            ("average_images", average_images, "at least 1", average_images >= 1),
            *((name, weight, "0 or more", weight >= 0) for name, weight in weights.items()),
        ):
            if not fulfilled:
                raise SettingError(f"CGGAN.{name} is {given}; give {wanted}")
        if image_sparsity_form not in FORMS:
            raise SettingError(
                f"CGGAN.image_sparsity_form is {image_sparsity_form!r}; "
                f"it takes {' or '.join(FORMS)}"
            )
        self.observation_shape, self.latent_dim = observation_shape, latent_dim
        self.style_dim, self.domains = style_dim, domains
        self.mask_sparsity, self.image_sparsity = mask_sparsity, image_sparsity
        self.image_sparsity_form, self.step_size = image_sparsity_form, step_size
        self.r1, self.r1_every, self.path_length = r1, r1_every, path_length
        self.style_mixing, self.average_images = style_mixing, average_images

        def made(name: str) -> DomainGenerator:
            return DomainGenerator(
                latent_dim,
                style_dim,
                domains,
                observation_shape,
                masked,
                mask_threshold,
                flow,
                generator,
                name=name,
            )

        self.generator = made("generator")
        # Replicas agree on these weights, and so may assign their mean.
        with tf.variable_creator_scope(_averaged):
            self.average = made("average")
            self.mean_path_length = self.add_weight(
                (), "zeros", trainable=False, name="mean_path_length"
            )
        self.average.set_weights(self.generator.get_weights())
        self.average.trainable = False
        self.discriminator = discriminator(observation_shape, domains)
        self._make_optimizer = discriminator_optimizer
        self.built = True

    def check(self, dataset: Dataset) -> None:
        """See `Model.check`: the data set must have as many domains as the model."""
        labels = dataset.extras.get("domain")
        if labels is not None and (found := len(np.unique(labels))) != self.domains:
            raise SettingError(
                f"CGGAN.domains is {self.domains} and {dataset.name} has {found} domains; set it "
                "to their number, or choose another data set"
            )

    @property
    def kind(self) -> str:
        """What its settings make it."""
        if not self.style_dim:
            return "conditional StyleGAN2"
        if not callable(self.image_sparsity) and self.image_sparsity == 0:
            return "i-StyleGAN"
        released = " as released" if self.image_sparsity_form == "released" else ""
        return ("CG-GAN" if self.generator.masked else "CG-GAN-M") + released

    def rounds(self, optimizer: keras.optimizers.Optimizer) -> list[list[Player]]:
        """The discriminator; then the generator, on other latents."""
        return [
            [
                Player(
                    ("discriminator",),
                    self.discriminator.trainable_variables,
                    self._make_optimizer(),
                )
            ],
            [Player(("loss",), self.generator.trainable_variables, optimizer)],
        ]

    def generate(self, latents: tf.Tensor, domain: tf.Tensor) -> tf.Tensor:
        """Images of latents in domains, by the averaged generator with one fixed noise.

        Args:
            latents: `[B, D]` float32, N(0, I).
            domain: `[B]` int32, 0 to U - 1.

        Returns:
            `[B, H, H, C]` in [0, 1].
        """
        noise = self._noise(1, tf.constant([0, 0]))
        return _unit(self.average(latents, domain, noise))

    def sample(self, count: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Images of random latents and noise, one domain after the other: `[count, H, H, C]`."""
        latents = standard_normal(tf.stack([count, self.latent_dim]), stream(seed, 1))
        noise = self._noise(count, stream(seed, 2))
        return _unit(self.average(latents, tf.range(count) % self.domains, noise))

    def style(self, latents: tf.Tensor, domain: tf.Tensor) -> tf.Tensor:
        """The style of latents `[B, D]` in domains `[B]`: `[B, style_dim]`; see the class."""
        return self.average.style(latents, domain)

    def content(self, latents: tf.Tensor) -> tf.Tensor:
        """The content of latents: `[B, D]` to `[B, D - style_dim]`."""
        return self.average.content(latents)

    def losses_on(self, batch: Batch, seed: tf.Tensor, step: tf.Tensor) -> dict[str, tf.Tensor]:
        """See `Model.losses_on`; those of discriminator and generator at one moment."""
        return {
            **self._critic(batch, stream(seed, 1), step),
            **self._generator(batch, stream(seed, 2), step, training=False),
        }

    def losses_of(
        self, number: int, batch: Batch, seed: tf.Tensor, step: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """See `Model.losses_of`."""
        if number == 0:
            return self._critic(batch, stream(seed, 1), step)
        return self._generator(batch, stream(seed, 2), step, training=True)

    def update(
        self, batch: Batch, seed: tf.Tensor, step: tf.Tensor, replicas: int
    ) -> dict[str, tf.Tensor]:
        """See `Model.update`; then the moving average takes the new generator in."""
        losses = super().update(batch, seed, step, replicas)
        images = tf.cast(tf.shape(batch["image"])[0] * replicas, tf.float32)
        seen = images * (tf.cast(step, tf.float32) + 1)
        kept = 0.5 ** (images / tf.minimum(float(self.average_images), 0.05 * seen))
        for mean, variable in zip(self.average.variables, self.generator.variables, strict=True):
            value = tf.convert_to_tensor(variable)
            mean.assign(value + kept * (tf.convert_to_tensor(mean) - value))
        return losses

    def summarize(self, averages: Mapping) -> dict:
        """Adds the mask of the average.

        `importance_per_latent` has what the style's latents are multiplied by, 0 of those that are
        cut off, and `mask_size` the number of the others.
        """
        if not self.generator.masked:
            return dict(averages)
        mask = self.average.mask().numpy()
        return {
            **averages,
            "mask_size": int(np.count_nonzero(mask)),
            "importance_per_latent": mask.tolist(),
        }

    def _critic(self, batch, seed, step):
        """The loss of the discriminator and its parts, `[B]` each."""
        domain = self._domain(batch)
        one_hot = tf.one_hot(domain, self.domains)
        count = tf.shape(batch["image"])[0]
        latents = standard_normal(tf.stack([count, self.latent_dim]), stream(seed, 1))
        fake = self._mixed_images(latents, domain, stream(seed, 2))
        real = 2 * batch["image"] - 1
        fooled = tf.nn.softplus(self.discriminator(tf.stop_gradient(fake), one_hot))
        loss = fooled + tf.nn.softplus(-self.discriminator(real, one_hot))

        def penalty():
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(real)
                logits = self.discriminator(real, one_hot)
            slope = tape.gradient(logits, real)
            return 0.5 * self.r1 * tf.reduce_sum(slope**2, axis=[1, 2, 3])

        if self.r1:
            turn = tf.equal(step % self.r1_every, 0)
            loss += self.r1_every * tf.cond(turn, penalty, lambda: tf.zeros_like(loss))
        return {"discriminator": loss, "fooled": fooled}

    def _generator(self, batch, seed, step, training):
        """The loss of the generator and its parts, `[B]` each."""
        domain = self._domain(batch)
        count = tf.shape(batch["image"])[0]
        latents = standard_normal(tf.stack([count, self.latent_dim]), stream(seed, 1))
        images = self._mixed_images(latents, domain, stream(seed, 2))
        logits = self.discriminator(images, tf.one_hot(domain, self.domains))
        losses = {"adversarial": tf.nn.softplus(-logits)}
        loss = losses["adversarial"]
        zeros = tf.zeros_like(loss)
        if self.generator.masked:
            size = tf.reduce_mean(tf.abs(tf.convert_to_tensor(self.generator.importance)))
            losses["mean_importance"] = size + zeros
            loss += self.mask_sparsity * size
        if self.style_dim and (callable(self.image_sparsity) or self.image_sparsity):
            form = {"paper": self.image_change, "released": self.released_change}
            change = form[self.image_sparsity_form]
            weight = at(self.image_sparsity, step)
            losses["image_change"] = tf.cond(
                weight > 0, lambda: change(latents, domain, stream(seed, 3)), lambda: zeros
            )
            loss += weight * losses["image_change"]
        if self.path_length:
            penalty, mean = tf.cond(
                tf.equal(step % 4, 0),
                lambda: self._path_penalty(latents, domain, stream(seed, 4)),
                lambda: (tf.zeros([]), tf.convert_to_tensor(self.mean_path_length)),
            )
            if training:
                # Not in a branch, where replicas cannot agree on the mean of theirs.
                self.mean_path_length.assign(mean)
            losses["path_length"] = zeros + penalty
            loss += 4 * self.path_length * losses["path_length"]
        return {"loss": loss, **losses}

    def image_change(self, latents: tf.Tensor, domain: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """S of the class in the paper's form: latents `[B, D]` and domains `[B]` to `[B]`.

        Zero where the mask lets no latent through.
        """
        network, mask = self.generator.network, self.generator.mask()
        count = tf.shape(latents)[0]
        lots = standard_normal(tf.stack([count, self.style_dim]), stream(seed, 1))
        moved = tf.argmax(tf.where(mask > 0, lots, -np.inf), axis=-1)
        direction = tf.one_hot(moved, self.latent_dim)
        entering = self.generator.entering(latents, domain)
        noise = self._noise(count, stream(seed, 2))
        images = [
            network.synthesis(network.repeated(network.mapping(values)), noise)
            for values in (entering, entering + self.step_size * direction)
        ]
        change = tf.reduce_mean(tf.abs(images[1] - images[0]), axis=[1, 2, 3]) / self.step_size
        return change * tf.cast(tf.reduce_any(mask > 0), tf.float32)

    def released_change(self, latents: tf.Tensor, domain: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """S as released: latents `[B, D]` and domains `[B]` to `[B]`."""
        mixed = self._mixed_images(latents, domain, stream(seed, 1))
        noise = self._noise(tf.shape(latents)[0], stream(seed, 2))
        return tf.reduce_mean(tf.abs(mixed - self.generator(latents, domain, noise)), [1, 2, 3])

    def _mixed_images(self, latents, domain, seed):
        """Images with noise, some with their later layers in the style of another latent."""
        network, count = self.generator.network, tf.shape(latents)[0]
        styles = network.repeated(network.mapping(self.generator.entering(latents, domain)))
        if self.style_mixing:
            others = standard_normal(tf.shape(latents), stream(seed, 1))
            other = network.mapping(self.generator.entering(others, domain))[:, None]
            mixed, place = tf.unstack(standard_uniform([2, count], stream(seed, 2)))
            first = 1 + tf.cast(place * (network.layers_count - 1), tf.int32)
            layers = tf.range(network.layers_count)
            later = (layers >= first[:, None]) & (mixed < self.style_mixing)[:, None]
            styles = tf.where(later[..., None], other, styles)
        return network.synthesis(styles, self._noise(count, stream(seed, 3)))

    def _path_penalty(self, latents, domain, seed):
        """The mean squared deviation of path lengths from their moving average, and the latter."""
        network, half = self.generator.network, (tf.shape(latents)[0] + 1) // 2
        latents, domain = latents[:half], domain[:half]
        styles = network.repeated(network.mapping(self.generator.entering(latents, domain)))
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(styles)
            images = network.synthesis(styles, self._noise(half, stream(seed, 1)))
            shape = tf.shape(images)
            direction = standard_normal(shape, stream(seed, 2)) / network.sides[-1]
            product = tf.reduce_sum(images * direction)
        slope = tape.gradient(product, styles)
        lengths = tf.sqrt(tf.reduce_mean(tf.reduce_sum(slope**2, axis=-1), axis=-1))
        before = tf.convert_to_tensor(self.mean_path_length)
        mean = before + 0.01 * (tf.stop_gradient(tf.reduce_mean(lengths)) - before)
        return tf.reduce_mean((lengths - mean) ** 2), mean

    def _noise(self, count, seed) -> list[tf.Tensor]:
        """N(0, 1) for every convolution, `[count, h, w, 1]`."""
        shapes = self.generator.network.noise_shapes
        sizes = [math.prod(shape) for shape in shapes]
        parts = tf.split(standard_normal(tf.stack([count, sum(sizes)]), seed), sizes, axis=1)
        return [tf.reshape(part, [-1, *shape]) for part, shape in zip(parts, shapes, strict=True)]

    def _domain(self, batch) -> tf.Tensor:
        if "domain" not in batch:
            raise SettingError(
                "CGGAN trains on images with their domains, which this sampler does not give; set "
                "train.sampler = @Domains"
            )
        return batch["domain"]


def _averaged(make: Callable, **options):
    """Makes a variable that replicas may assign the mean of their values to."""
    return make(**{**options, "aggregation": tf.VariableAggregation.MEAN})


def _unit(images: tf.Tensor) -> tf.Tensor:
    return tf.clip_by_value((images + 1) / 2, 0.0, 1.0)


@gin.config.register_finalize_hook
def _optimizer_named(bound: Mapping) -> dict[str, gin.config.ConfigurableReference] | None:
    """Names the discriminator's optimiser where bindings of `Adam` reach it as the default.

    In version 0.1.0 they did not: `config.gin` tells by this line which runs they have reached.
    """
    model, adam = (f"{kind.__module__}.{kind.__name__}" for kind in (CGGAN, Adam))
    selectors = {selector for _, selector in bound}
    used = {reference.configurable.selector for reference in gin.config.iterate_references(bound)}
    named = (key for (_, selector), keys in bound.items() if selector == model for key in keys)
    if adam not in selectors or model not in used or "discriminator_optimizer" in named:
        return None
    return {"CGGAN.discriminator_optimizer": gin.config.ConfigurableReference("Adam", False)}

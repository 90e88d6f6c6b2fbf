"""What scores are computed from, made of a model and a data set."""

import functools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from zoo.errors import UserError
from zoo.evaluation import arrays, facts
from zoo.evaluation.blocks import of_model
from zoo.evaluation.encoding import CachedCodes, encoder_of, images_in_unit_range
from zoo.evaluation.errors import InputError
from zoo.evaluation.regime import kl_per_latent
from zoo.evaluation.remembered import Remembered
from zoo.files import cache_directory

# Images that decoders of slots are given at once: their activations take gigabytes.
_MASKED_BATCH = 16
# Settings without a default that only some models have.
LACKING = ("blocks",)
# Codes at which second derivatives are taken, an image for every pair of latents.
_POINTS = 100


def _variances(posterior: Any) -> np.ndarray:
    """Variances `[B, D]` of a distribution, or of its mean and standard deviation by name."""
    if isinstance(posterior, Mapping):
        return np.asarray(posterior["stddev"]) ** 2
    return np.asarray(posterior.variance())


def _spreads(posterior: Any) -> np.ndarray:
    """The same, or covariances `[B, D, D]` where the distribution has a matrix for its scale."""
    if isinstance(posterior, Mapping):
        scale = posterior.get("scale_tril")
    else:
        to_dense = getattr(getattr(posterior, "scale", None), "to_dense", None)
        scale = to_dense() if to_dense else None
    if scale is None:
        return _variances(posterior)
    scale = np.asarray(scale)
    return scale @ np.swapaxes(scale, -1, -2)


def _check_model(model: Any) -> None:
    if isinstance(model, str | os.PathLike):
        raise InputError(f"the model is {str(model)!r}: load it, zoo.load({str(model)!r})")


def _check_dataset(dataset: Any) -> None:
    if isinstance(dataset, str | os.PathLike):
        name = str(dataset)
        raise InputError(f"the data set is {name!r}: load it, zoo.data.load({name!r})")
    if not hasattr(dataset, "images"):
        raise InputError(
            f"the data set, a {type(dataset).__name__}, has no images: register images "
            "and factors with zoo.data.register, or give an object with images and space or latents"
        )
    if not len(dataset.images):
        raise InputError("the data set has no images")


class Inputs:
    """What scores need, by name (`needs` and `settings` of their facts), made when asked for.

    One that the model or the data set lacks raises an InputError that says so.

    Attributes:
        seed: of every score that samples.
        codes_of: image ids to codes.
    """

    def __init__(
        self,
        model: Any,
        dataset: Any,
        seed: int,
        sizes: tuple[int, ...],
        batch_size: int,
        others: Sequence = (),
    ):
        self._others = [Inputs(other, dataset, seed, sizes, batch_size) for other in others]
        self.seed, self._batch_size = seed, batch_size
        self._given, self._sizes = dataset, sizes
        self._model, self._dataset = model, getattr(dataset, "whole", dataset)
        self._of_part = getattr(dataset, "ids", None)
        self._num_train, self._num_test, self._num_jacobian, self._num_masked = sizes
        _check_model(model)
        _check_dataset(dataset)
        self.codes_of = CachedCodes(encoder_of(model), self._dataset.images, batch_size)

    @property
    def encoding_seconds(self) -> float:
        """The time spent on encoding up to now."""
        return self.codes_of.seconds

    def reseeded(self, seed: int) -> "Inputs":
        """The same with rows drawn by another seed; an image is still encoded once."""
        other = Inputs(self._model, self._given, seed, self._sizes, self._batch_size)
        other._others = [each.reseeded(seed) for each in self._others]
        other.codes_of = self.codes_of
        return other

    def arguments(self, known: facts.Facts) -> tuple[list, dict]:
        """What a score needs and its settings, made if this is the first score to ask for them."""
        made = {setting: getattr(self, setting) for setting in known.settings}
        settings = {setting: value for setting, value in made.items() if value is not None}
        return [getattr(self, need) for need in known.needs], settings

    @property
    def lacking(self) -> tuple[str, ...]:
        """Settings that some models have, and this one has not: of `lms_tree`, equal blocks."""
        return LACKING if self.latent_blocks is None else ()

    @functools.cached_property
    def _rows(self) -> tuple[np.ndarray, np.ndarray]:
        """The ids of the training images and of the test images."""
        generator, ids = np.random.default_rng(self.seed), self._ids
        wanted = self._num_train + self._num_test
        if self._has_space:
            rows = ids[generator.integers(len(ids), size=wanted)]
            return np.split(rows, [self._num_train])
        # A small set keeps the proportion of training to test rows.
        rows = ids[generator.permutation(len(ids))[:wanted]]
        train, test = np.split(rows, [round(len(rows) * self._num_train / wanted)])
        if not (len(train) and len(test)):
            raise InputError(f"{len(rows)} images are too few to divide into training and test")
        return train, test

    @property
    def _ids(self) -> np.ndarray:
        """The ids of the images that rows are drawn from."""
        ids = self._of_part
        return np.arange(len(self._dataset.images)) if ids is None else np.asarray(ids)

    @property
    def codes(self) -> np.ndarray:
        """Codes `[N, D]` of the training images."""
        return self.codes_of(self._rows[0])

    @property
    def factors(self) -> np.ndarray:
        """Factor indices `[N, F]` of the training images; factors of a single value left out."""
        return self._factors_of(self._rows[0])

    @property
    def codes_test(self) -> np.ndarray:
        """Codes `[M, D]` of the test images."""
        return self.codes_of(self._rows[1])

    @property
    def factors_test(self) -> np.ndarray:
        """Factor indices `[M, F]` of the test images."""
        return self._factors_of(self._rows[1])

    @property
    def latents(self) -> np.ndarray:
        """Continuous latents of the training images, or factor indices where there are none."""
        return self._latents_of(self._rows[0])

    @property
    def latents_test(self) -> np.ndarray:
        """The same of the test images."""
        return self._latents_of(self._rows[1])

    @property
    def codes_of_models(self) -> list[np.ndarray]:
        """Codes `[N, D]` of the training images by the model and by each of the others."""
        if not self._others:
            raise InputError("models are compared: give the others, trained alike")
        return [self.codes, *(other.codes for other in self._others)]

    @property
    def kl_of_models(self) -> list[np.ndarray] | None:
        """The mean KL divergences `[D]` of these from N(0, 1); None if one has no posterior."""
        try:
            moments = [(model.means, model.variances) for model in (self, *self._others)]
        except InputError:
            return None
        return [kl_per_latent(*each) for each in moments]

    @property
    def scored_model(self) -> int:
        """The number of the model that is scored, among these."""
        return 0

    @property
    def domains(self) -> np.ndarray:
        """The numbers `[N]` of the domains of the training images."""
        return np.asarray(self._extra("domain", "domains")[self._rows[0]])

    @property
    def targets(self) -> np.ndarray:
        """Factors `[N, F]`, or continuous latents where there is no grid."""
        return self.factors if self._has_space else self.latents

    @property
    def sizes(self) -> tuple[int, ...]:
        """The number of values of each varying factor."""
        return tuple(np.compress(self._varies, self._space.sizes).tolist())

    @property
    def categorical(self) -> list[bool]:
        """Which of the targets have no order."""
        if not self._has_space:
            return [False] * self.latents.shape[1]
        return np.compress(self._varies, self._space.categorical).tolist()

    def represent(self, factors: np.ndarray) -> np.ndarray:
        """Codes `[n, D]` of index rows `[n, F]` of the varying factors."""
        rows = np.zeros((len(factors), len(self._varies)), np.int64)
        rows[:, self._varies] = factors
        return self.codes_of(self._space.index(rows))

    @Remembered
    def jacobians(self) -> np.ndarray:
        """Triangular factors `[n, D, D]` of the decoder's Jacobians at codes of test images.

        In float32, as the Jacobians: the type says how far ranks can be told.
        """
        decoder = self.decoder
        # Here, because nothing else needs TensorFlow.
        from zoo.evaluation.jacobians import jacobian

        points = self._latent_points(self._rows[1][: self._num_jacobian])
        return jacobian(decoder, points, reduction="triangular").astype(np.float32)

    @property
    def mixing_graph(self) -> np.ndarray:
        """Which output depends on which latent, `[outputs, K]`: of the first test image."""
        return np.asarray(self._extra("mixing_graph", "mixing graphs")[self._rows[1][0]])

    @Remembered
    def mean_absolute_jacobian(self) -> np.ndarray:
        """The mean of absolute derivatives of the decoder at test images, `[outputs, D]`."""
        decoder, _ = self.decoder, self.mixing_graph
        from zoo.evaluation.jacobians import jacobian

        points = self._latent_points(self._rows[1][: self._num_jacobian])
        found = np.abs(jacobian(decoder, points)).mean(0)
        return found.reshape(-1, np.prod(points.shape[1:]))

    @Remembered
    def slot_jacobian(self) -> np.ndarray:
        """How strongly pixels depend on slots, `[n, H, W, slots]`, of the first test images."""
        from zoo.evaluation.interaction import slot_jacobian

        _ = self.masks  # Said before hours of derivatives.
        return slot_jacobian(self._slot_decoder, self._slots_of(self._masked_rows))

    @property
    def points(self) -> np.ndarray:
        """What the decoder takes, of the first test images."""
        rows = self._masked_rows if self._has_slots else self._rows[1]
        return self._latent_points(rows[:_POINTS])

    @property
    def slot_attention(self) -> np.ndarray:
        """The decoder's attention `[n, h, w, slots]` of the first test images."""
        attention = getattr(self._model, "attention", None)
        if attention is None:
            raise InputError("the model has no attention to slots")
        batches = self._batches(self._slots_of(self._masked_rows), _MASKED_BATCH)
        return np.concatenate([arrays.real(attention(slots), "attention") for slots in batches])

    @property
    def slots(self) -> np.ndarray:
        """Slots `[M, slots, slot_dim]` of the test images, or blocks of latents of one size."""
        return self._slots_of(self._rows[1])

    @property
    def true_slots(self) -> np.ndarray:
        """Latents `[M, objects, k]` of the objects in the test images, in one order in all."""
        extras, rows = getattr(self._dataset, "extras", {}), self._rows[1]
        # Of two balls the first is the same one in every image.
        name = "true_slots" if "true_slots" in extras else "positions"
        if self._blocks is None or name in extras:
            return np.asarray(self._extra(name, "true slots")[rows])
        # As in `lms_tree`: blocks of latents follow one another.
        latents, count = self._latents_of(rows), len(self._blocks)
        if latents.shape[1] % count:
            raise InputError(f"{latents.shape[1]} latents do not divide into {count} slots")
        return latents.reshape(len(rows), count, -1)

    def _slots_of(self, ids: np.ndarray) -> np.ndarray:
        points = self._latent_points(ids)
        if points.ndim == 3:
            return points
        if self._blocks is None or self._blocks.size != points.shape[1]:
            raise InputError("the model's codes are not slots [N, slots, slot_dim]")
        return points[:, self._blocks]

    @functools.cached_property
    def blocks(self) -> list[list[int]] | None:
        """The latents of each block of the model, where it has two or more, of any sizes."""
        return of_model(self._model)

    @property
    def latent_blocks(self) -> int | None:
        """As many parts of the latents, which follow one another, where blocks are of one size."""
        return None if self._blocks is None else len(self._blocks)

    @property
    def _blocks(self) -> np.ndarray | None:
        """The latents of each block, `[slots, slot_dim]`, where there are several of one size."""
        blocks = self.blocks or ()
        return np.array(blocks) if len({len(block) for block in blocks}) == 1 else None

    @property
    def _slot_decoder(self) -> Callable:
        """The decoder of slots `[n, slots, slot_dim]`."""
        decoder, blocks = self.decoder, self._blocks
        if blocks is None:
            return decoder
        import tensorflow as tf

        places = np.argsort(blocks, axis=None)
        return lambda slots: decoder(
            tf.gather(tf.reshape(slots, [-1, len(places)]), places, axis=1)
        )

    @property
    def _masked_rows(self) -> np.ndarray:
        return self._rows[1][: self._num_masked]

    @property
    def masks(self) -> np.ndarray:
        """Which object each pixel is of, `[n, H, W]`, of the first test images."""
        return np.asarray(self._extra("masks", "masks")[self._masked_rows])

    @property
    def predicted_masks(self) -> np.ndarray:
        """Which slot the decoder attends to at each pixel of these, `[n, H, W]`."""
        from zoo.evaluation.segmentation import attended

        masks = self.masks  # Said to be lacking before the decoder runs.
        return attended(arrays.finite(self.slot_attention, "attention"), masks.shape)

    @Remembered
    def _posterior(self) -> tuple[np.ndarray, np.ndarray]:
        """Posterior means and variances `[N, D]` of the training images."""
        return self._moments(self._rows[0], _variances)

    def _moments(self, rows: np.ndarray, spread: Callable) -> tuple[np.ndarray, np.ndarray]:
        """Posterior means of images, and what `spread` makes of the posterior of a batch."""
        posterior, moments = getattr(self._model, "posterior", None), []
        for ids in self._batches(rows):
            found = (
                posterior(images_in_unit_range(self._dataset.images, ids)) if posterior else None
            )
            if found is None:
                raise InputError("the model has no posterior distribution")
            named = isinstance(found, Mapping) and {"mean", "stddev"} <= set(found)
            if not named and not (hasattr(found, "mean") and hasattr(found, "variance")):
                raise InputError(
                    f"the model's posterior returns a {type(found).__name__}: return a "
                    "distribution or {'mean', 'stddev'}"
                )
            mean = found["mean"] if named else found.mean()
            moments.append((np.asarray(mean), spread(found)))
        means, spreads = zip(*moments, strict=True)
        return np.concatenate(means), np.concatenate(spreads)

    @property
    def means(self) -> np.ndarray:
        """Posterior means `[N, D]` of the training images."""
        return self._posterior[0]

    @property
    def variances(self) -> np.ndarray:
        """Posterior variances `[N, D]` of the training images."""
        return self._posterior[1]

    @Remembered
    def _tested_posterior(self) -> tuple[np.ndarray, np.ndarray]:
        """Posterior means `[n, D]` of the first test images, and variances or covariances."""
        return self._moments(self._rows[1][:_POINTS], _spreads)

    @property
    def posterior_means(self) -> np.ndarray:
        """Posterior means `[n, D]` of the first test images."""
        return self._tested_posterior[0]

    @property
    def posterior_variances(self) -> np.ndarray:
        """Posterior variances `[n, D]` of these, or covariances `[n, D, D]` of a full one."""
        return self._tested_posterior[1]

    @property
    def observations(self) -> np.ndarray:
        """These images, float32 in [0, 1]."""
        return images_in_unit_range(self._dataset.images, self._rows[1][:_POINTS])

    @property
    def images(self) -> np.ndarray:
        """The test images that are reconstructed, float32 in [0, 1]."""
        return images_in_unit_range(self._dataset.images, self._reconstructed_rows)

    @property
    def reconstructions(self) -> np.ndarray:
        """What the decoder makes of their codes."""
        decoder = self.decoder
        size = _MASKED_BATCH if self._has_slots else self._batch_size
        batches = self._batches(self._reconstructed_rows, size)
        parts = [arrays.real(decoder(self._latent_points(b)), "reconstructions") for b in batches]
        return np.concatenate(parts)

    @property
    def generated_images(self) -> np.ndarray:
        """As many images as are reconstructed, made of draws from the model's prior."""
        return np.concatenate(list(self._generated(self._reconstructed_rows)))

    def _generated(self, ids: np.ndarray) -> Iterator[np.ndarray]:
        """Batches of as many draws from the model's prior as there are ids."""
        draw, sample = (getattr(self._model, name, None) for name in ("draw_prior", "sample"))
        if draw is None and sample is None:
            raise InputError("the model has no prior to draw from")
        size = _MASKED_BATCH if self._has_slots else self._batch_size
        for number, batch in enumerate(self._batches(ids, size)):
            seed = self.seed, number
            made = self.decoder(draw(len(batch), seed)) if draw else sample(len(batch), seed)
            yield arrays.real(made, "generated images")

    @property
    def labelled_factors(self) -> np.ndarray:
        """Factor indices `[N, F]` of the training images, on a grid or not."""
        return self._labels[self._rows[0]]

    @Remembered
    def _labels(self) -> np.ndarray:
        """Factor indices `[N, F]` of all images; factors of a single value left out."""
        if self._has_space:
            return self._factors_of(np.arange(len(self._dataset.images)))
        labels = np.asarray(self._extra("factors", "factors"))
        return labels[:, np.ptp(labels, axis=0) > 0]

    @Remembered
    def _reader(self) -> tuple[str, Callable]:
        """What reads factors, and the domain where there are domains, after its name.

        For the factors of dSprites and 3D Shapes it comes with the package; for other data it is
        trained, once, on the images that are not scored.
        """
        from zoo.evaluation import factor_reader, shipped_readers

        images, labels = self._dataset.images, self._labels
        shape = images_in_unit_range(images, self._rows[0][:1]).shape[1:]
        domain = getattr(self._dataset, "extras", {}).get("domain")
        if self._has_space and domain is None:
            if shipped := shipped_readers.find(shape, self.sizes):
                return shipped
        if domain is not None:
            labels = np.column_stack([labels, self._one_an_image(domain, "domains")])
        ids = np.setdiff1d(np.arange(len(labels)), np.concatenate(self._rows))
        if not len(ids):
            raise InputError(
                f"all {len(labels)} images are scored, none is left to train the reader: lower "
                "num_train or num_test"
            )
        name = f"trained on {getattr(self._dataset, 'name', 'the data set')}"
        return name, factor_reader.trained(
            lambda rows: images_in_unit_range(images, ids[rows]),
            labels[ids],
            shape,
            steps=factor_reader.STEPS,
            directory=cache_directory() / "readers",
        )

    @property
    def reader(self) -> str:
        """The name of the network that reads factors."""
        return self._reader[0]

    @property
    def reading_accuracy(self) -> np.ndarray:
        """The share `[F]` of the training images of which that network reads each factor right."""
        labels = self.labelled_factors
        return (self.read_factors[:, : labels.shape[1]] == labels).mean(0)

    @Remembered
    def _read(self) -> tuple[np.ndarray, np.ndarray]:
        """Features `[N, F]` and factors, with the domain, of the training images, as read."""
        batches = self._batches(self._rows[0])
        return self._all_read(images_in_unit_range(self._dataset.images, b) for b in batches)

    def _all_read(self, batches) -> tuple[np.ndarray, np.ndarray]:
        features, factors = zip(*map(self._reader[1], batches), strict=True)
        return np.concatenate(features), np.concatenate(factors)

    @property
    def reader_features(self) -> np.ndarray:
        """Features `[N, F]` of the training images, of a network that reads their factors."""
        return self._read[0]

    @property
    def read_factors(self) -> np.ndarray:
        """The factors of the training images as read, and their domain, `[N, F + 1]`."""
        return self._read[1]

    @property
    def generated_reader_features(self) -> np.ndarray:
        """Features of as many draws from the model."""
        return self._all_read(self._generated(self._rows[0]))[0]

    @property
    def factors_by_domain(self) -> np.ndarray:
        """Factors as read, and domains, `[U, N, F + 1]`, of the same latents in each domain."""
        generate = getattr(self._model, "generate", None)
        if generate is None:
            raise InputError("the model generates no images of latents and domains")
        latent_dim = getattr(self._model, "latent_dim", None) or self._model.latent_size
        shape = len(self._rows[1]), latent_dim
        latents = np.random.default_rng(self.seed).normal(size=shape).astype(np.float32)
        parts = [
            latents[i : i + self._batch_size] for i in range(0, len(latents), self._batch_size)
        ]
        return np.stack(
            [
                self._all_read(
                    arrays.real(generate(part, np.full(len(part), u, np.int32)), "images")
                    for part in parts
                )[1]
                for u in range(int(self.domains.max()) + 1)
            ]
        )

    @property
    def _reconstructed_rows(self) -> np.ndarray:
        return self._masked_rows if self._has_slots else self._rows[1]

    @property
    def _has_slots(self) -> bool:
        try:
            return self._latent_points(self._rows[1][:1]).ndim == 3
        except UserError:
            return False  # Generators have no codes at all.

    @property
    def clamped(self) -> bool:
        """Whether the observations are images, in [0, 1], rather than vectors of any range."""
        return images_in_unit_range(self._dataset.images, self._rows[1][:1]).ndim > 2

    def _latent_points(self, ids: np.ndarray) -> np.ndarray:
        """What the decoder takes: codes in the shape that the encoder gave them, float32."""
        codes = self.codes_of(ids).astype(np.float32)
        return codes.reshape(len(codes), *self.codes_of.code_shape)

    @property
    def decoder(self) -> Callable:
        """The model's decoder."""
        decode = getattr(self._model, "decode", None)
        if decode is None:
            raise InputError("the model has no decoder")
        return decode

    @property
    def _has_space(self) -> bool:
        return getattr(self._dataset, "space", None) is not None

    @property
    def _space(self):
        if not self._has_space:
            raise InputError("the data set has no factor space")
        return self._dataset.space

    @property
    def _varies(self) -> np.ndarray:
        return np.asarray(self._space.sizes) > 1

    def _latents_of(self, ids: np.ndarray) -> np.ndarray:
        latents = getattr(self._dataset, "latents", None)
        if latents is not None:
            return np.asarray(self._one_an_image(latents, "latents")[ids])
        if not self._has_space:
            raise InputError("the data set has neither latents nor a factor space")
        return self._factors_of(ids)

    def _extra(self, name: str, plural: str):
        values = getattr(self._dataset, "extras", {}).get(name)
        if values is None:
            raise InputError(f"the data set has no {plural}")
        return self._one_an_image(values, plural)

    def _one_an_image(self, values, name: str):
        count = len(self._dataset.images)
        if len(values) != count:
            raise InputError(f"the data set has {len(values)} {name} but {count} images")
        return values

    def _factors_of(self, ids: np.ndarray) -> np.ndarray:
        return self._space.factors(ids)[:, self._varies]

    def _batches(self, ids: np.ndarray, size: int | None = None) -> list[np.ndarray]:
        size = size or self._batch_size
        return [ids[first : first + size] for first in range(0, len(ids), size)]

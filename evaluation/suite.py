"""Named suites of scores for one model on one data set."""

import functools
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from zoo import evaluation
from zoo.evaluation import arrays, checks
from zoo.evaluation.encoding import CachedCodes, images_in_unit_range

SUITES: dict[str, tuple[str, ...]] = {
    "fast": ("mig", "modularity", "mcc", "lms_spearman", "gaussian_total_correlation"),
    "standard": (
        *("mig", "modularity", "sap", "dci", "explicitness", "disentanglement_score"),
        *("factor_vae_score", "beta_vae_score", "mcc", "lms_spearman"),
        *("dto", "ima_contrast", "singular_values"),
        *("gaussian_total_correlation", "gaussian_wasserstein_correlation"),
        "average_mutual_information",
    ),
    "full": (
        *("mig", "modularity", "sap", "dci", "explicitness", "disentanglement_score", "irs"),
        *("factor_vae_score", "beta_vae_score", "mcc", "lms_spearman"),
        *("dto", "ima_contrast", "singular_values"),
        *("gaussian_total_correlation", "gaussian_wasserstein_correlation"),
        *("average_mutual_information", "polarized_regime", "reconstruction_rmse"),
    ),
    "slots": ("j_ari", "jis", "attention_ari", "reconstruction_rmse"),
}
"""The scores of each suite, in the order of the table."""

# Images that decoders of slots are given at once: their activations take gigabytes.
_MASKED_BATCH = 16
# Codes at which second derivatives are taken, an image for every pair of latents.
_POINTS = 100


def evaluate(
    model,
    dataset,
    metrics: str | Sequence[str] = "standard",
    *,
    seed: int = 0,
    num_train: int = 10_000,
    num_test: int = 5_000,
    num_jacobian: int = 1_000,
    num_masked: int = 100,
    batch_size: int = 512,
    options: dict[str, dict] | None = None,
) -> dict[str, dict]:
    """Scores a representation, and its decoder if there is one, on a data set.

    Rows are drawn uniformly from the factor grid, independently and with replacement, with the
    sample sizes of Locatello et al. 2019; without a grid they are drawn without replacement. Of a
    split of a data set (`ids`) only its own images are drawn, but for `beta_vae_score` and
    `factor_vae_score`: they hold factors fixed and so need images of the whole grid. Each
    image is encoded at most once, and only if a score asks for it. A score that cannot be computed
    (no decoder, no factors, a code of the wrong kind) is left out with its reason. So is one that
    fails with another exception than a ValueError, a defect of the model or of this package: the
    exception is its reason, and its traceback is written to stderr and kept in `parts`.

    Args:
        model: a callable from images `[B, H, W, C]` float32 in [0, 1] to codes `[B, D]`, or an
            object with `encode` (and perhaps `decode`, whose Jacobians are scored at encoded
            points, and `posterior`, the distribution of codes given images, or its `mean` and
            `stddev` by name).
        dataset: has `images` (indexed by number, with `maximum`; or an array of integers in 0..255
            or of floats in [0, 1]), and `space` (the factor grid
            that numbers the images) or `latents` `[N, K]`, or both. Of a part of a data set, which
            has all that as `whole`, rows are drawn from the images `ids` `[n]` of it.
        metrics: the name of a suite (`fast`, `standard`, `full`, `slots`) or names of scores, as a
            sequence or with commas between.
        seed: of the sampled rows and of every score that samples.
        num_train: rows that scores are fitted on.
        num_test: further rows that predictions are scored on.
        num_jacobian: how many of the test rows have their decoder's Jacobian taken.
        num_masked: how many test images models with slots are scored on: their decoders are large,
            and a Jacobian may take seconds an image.
        batch_size: how many images are encoded at once.
        options: keyword arguments of single scores, `{"dci": {"predictor": "gbt"}}`.

    Returns:
        The table, one row a score in the order asked for: `score` (None where left out), `reason`
        (None where scored), `seconds` of the score, `encoding_seconds` spent on images it was the
        first to ask for, and `parts`, everything else the score returned.

    Raises:
        ValueError: an unknown suite or score, numbers of rows that are not positive, a seed that
            is no number, a data set without images.
    """
    names = names_of(metrics, options)
    checks.whole(0, seed=seed)
    checks.whole(1, num_train=num_train, num_test=num_test, num_jacobian=num_jacobian)
    checks.whole(1, num_masked=num_masked, batch_size=batch_size)
    sizes = num_train, num_test, num_jacobian, num_masked
    material = _Material(model, dataset, seed, sizes, batch_size)
    table = {}
    for name in names:
        start, encoded_before = time.perf_counter(), material.codes_of.seconds
        row = {"score": None, "reason": None, "parts": {}}
        try:
            parts = dict(_SCORES[name](material, **(options or {}).get(name, {})))
            row["score"], row["parts"] = float(parts.pop("score")), parts
        except ValueError as error:
            row["reason"] = str(error)
        except Exception as error:
            row["reason"], row["parts"] = _defect(error, table)
        encoding = material.codes_of.seconds - encoded_before
        row["seconds"] = time.perf_counter() - start - encoding
        row["encoding_seconds"] = encoding
        table[name] = row
    return table


def _defect(error: Exception, table: Mapping[str, Mapping]) -> tuple[str, dict]:
    """The reason and the parts of a score that failed; its traceback is shown, once in a table."""
    trace = "".join(traceback.format_exception(error))
    if all(row["parts"].get("traceback") != trace for row in table.values()):
        sys.stderr.write(trace)
    first = next(iter(str(error).splitlines()), "")
    return f"{type(error).__name__}: {first}".rstrip(": "), {"traceback": trace}


def names_of(
    metrics: str | Sequence[str], options: Mapping[str, Mapping] | None = None
) -> tuple[str, ...]:
    """The names of the scores of a suite, or of those asked for; see `evaluate`.

    Raises:
        ValueError: an unknown suite or score, or options for a score that is not among them.
    """
    if isinstance(metrics, str):
        metrics = SUITES.get(metrics) or [name.strip() for name in metrics.split(",")]
    unknown = [name for name in metrics if name not in _SCORES]
    if unknown:
        raise ValueError(
            f"unknown suite or score {unknown[0]!r}: choose a suite ({', '.join(SUITES)}) "
            f"or scores of {', '.join(_SCORES)}"
        )
    unused = sorted(set(options or {}) - set(metrics))
    if unused:
        raise ValueError(f"options for {unused[0]!r}, which is not among the scores asked for")
    return tuple(metrics)


class _Material:
    """What scores are made of, each part prepared when first asked for.

    A part that the model or the data set lacks raises a ValueError that says so.
    """

    def __init__(self, model, dataset, seed: int, sizes: tuple[int, ...], batch_size: int):
        self.seed, self._batch_size = seed, batch_size
        self._model, self._dataset = model, getattr(dataset, "whole", dataset)
        self._of_part = getattr(dataset, "ids", None)
        self._num_train, self._num_test, self._num_jacobian, self._num_masked = sizes
        if not len(getattr(dataset, "images", ())):
            raise ValueError("the data set has no images")
        self.codes_of = CachedCodes(
            getattr(model, "encode", model), self._dataset.images, batch_size
        )

    @functools.cached_property
    def _rows(self) -> tuple[np.ndarray, np.ndarray]:
        """The numbers of the training images and of the test images."""
        generator, ids = np.random.default_rng(self.seed), self._ids
        wanted = self._num_train + self._num_test
        if self._has_space:
            rows = ids[generator.integers(len(ids), size=wanted)]
            return np.split(rows, [self._num_train])
        # A small set keeps the proportion of training to test rows.
        rows = ids[generator.permutation(len(ids))[:wanted]]
        train, test = np.split(rows, [round(len(rows) * self._num_train / wanted)])
        if not (len(train) and len(test)):
            raise ValueError(f"{len(rows)} images are too few to divide into training and test")
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
    def split(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Codes and factors, of the training and of the test images."""
        test = self._rows[1]
        return self.codes, self.factors, self.codes_of(test), self._factors_of(test)

    @property
    def latents(self) -> np.ndarray:
        """Continuous latents of the training images, or factor indices where there are none."""
        return self._latents_of(self._rows[0])

    @property
    def latent_split(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Codes and latents, of the training and of the test images."""
        test = self._rows[1]
        return self.codes, self.latents, self.codes_of(test), self._latents_of(test)

    @property
    def targets(self) -> tuple[np.ndarray, list[bool]]:
        """Factors and which of them have no order; continuous latents where there is no grid."""
        if self._has_space:
            return self.factors, self.categorical
        return self.latents, [False] * self.latents.shape[1]

    @property
    def sizes(self) -> tuple[int, ...]:
        """The number of values of each varying factor."""
        return tuple(np.compress(self._varies, self._space.sizes).tolist())

    @property
    def categorical(self) -> list[bool]:
        """Which varying factors have no order."""
        return np.compress(self._varies, self._space.categorical).tolist()

    def represent(self, factors: np.ndarray) -> np.ndarray:
        """Codes `[n, D]` of index rows `[n, F]` of the varying factors."""
        rows = np.zeros((len(factors), len(self._varies)), np.int64)
        rows[:, self._varies] = factors
        return self.codes_of(self._space.index(rows))

    @functools.cached_property
    def jacobians(self) -> np.ndarray:
        """Triangular factors `[n, D, D]` of the decoder's Jacobians at codes of test images."""
        decode = self.decode
        # Here, because nothing else needs TensorFlow.
        from zoo.evaluation.jacobians import jacobian

        points = self._latent_points(self._rows[1][: self._num_jacobian])
        return jacobian(decode, points, reduction="triangular")

    @functools.cached_property
    def slot_jacobian(self) -> np.ndarray:
        """How strongly pixels depend on slots, `[n, H, W, slots]`, of the first test images."""
        from zoo.evaluation.interaction import slot_jacobian

        _ = self.masks  # Said before hours of derivatives.
        return slot_jacobian(self.decode, self._slots)

    @property
    def points(self) -> np.ndarray:
        """What the decoder takes, of the first test images."""
        return self._latent_points(self._rows[1][:_POINTS])

    @property
    def slot_attention(self) -> np.ndarray:
        """The decoder's attention `[n, h, w, slots]` of the first test images."""
        attention = getattr(self._model, "attention", None)
        if attention is None:
            raise ValueError("the model has no attention to slots")
        batches = self._batches(self._slots, _MASKED_BATCH)
        return np.concatenate([arrays.real(attention(slots), "attention") for slots in batches])

    @property
    def _slots(self) -> np.ndarray:
        points = self._latent_points(self._masked_rows)
        if points.ndim != 3:
            raise ValueError("the model's codes are not slots [N, slots, slot_dim]")
        return points

    @property
    def _masked_rows(self) -> np.ndarray:
        return self._rows[1][: self._num_masked]

    @property
    def masks(self) -> np.ndarray:
        """Which object each pixel is of, `[n, H, W]`, of the first test images."""
        masks = getattr(self._dataset, "extras", {}).get("masks")
        if masks is None:
            raise ValueError("the data set has no masks")
        return np.asarray(self._one_an_image(masks, "masks")[self._masked_rows])

    @functools.cached_property
    def posterior(self) -> tuple[np.ndarray, np.ndarray]:
        """Posterior means and variances `[N, D]` of the training images."""
        posterior, moments = getattr(self._model, "posterior", None), []
        for numbers in self._batches(self._rows[0]):
            images = images_in_unit_range(self._dataset.images, numbers)
            found = posterior(images) if posterior else None
            if found is None:
                raise ValueError("the model has no posterior distribution")
            if isinstance(found, Mapping):
                moments.append((np.asarray(found["mean"]), np.asarray(found["stddev"]) ** 2))
            else:
                moments.append((np.asarray(found.mean()), np.asarray(found.variance())))
        means, variances = zip(*moments, strict=True)
        return np.concatenate(means), np.concatenate(variances)

    @property
    def reconstructed(self) -> tuple[np.ndarray, np.ndarray]:
        """Test images and their reconstructions, float32 in [0, 1]."""
        decode, numbers, size = self.decode, self._rows[1], self._batch_size
        if self._latent_points(numbers[:1]).ndim == 3:
            numbers, size = self._masked_rows, _MASKED_BATCH
        batches = self._batches(numbers, size)
        parts = [arrays.real(decode(self._latent_points(b)), "reconstructions") for b in batches]
        return images_in_unit_range(self._dataset.images, numbers), np.concatenate(parts)

    @property
    def has_images(self) -> bool:
        """Whether the observations are images, in [0, 1], rather than vectors of any range."""
        return images_in_unit_range(self._dataset.images, self._rows[1][:1]).ndim > 2

    def _latent_points(self, numbers: np.ndarray) -> np.ndarray:
        """What the decoder takes: codes in the shape that the encoder gave them, float32."""
        codes = self.codes_of(numbers).astype(np.float32)
        return codes.reshape(len(codes), *self.codes_of.code_shape)

    @property
    def decode(self) -> Callable:
        decode = getattr(self._model, "decode", None)
        if decode is None:
            raise ValueError("the model has no decoder")
        return decode

    @property
    def _has_space(self) -> bool:
        return getattr(self._dataset, "space", None) is not None

    @property
    def _space(self):
        if not self._has_space:
            raise ValueError("the data set has no factor space")
        return self._dataset.space

    @property
    def _varies(self) -> np.ndarray:
        return np.asarray(self._space.sizes) > 1

    def _latents_of(self, numbers: np.ndarray) -> np.ndarray:
        latents = getattr(self._dataset, "latents", None)
        if latents is not None:
            return np.asarray(self._one_an_image(latents, "latents")[numbers])
        if not self._has_space:
            raise ValueError("the data set has neither latents nor a factor space")
        return self._factors_of(numbers)

    def _one_an_image(self, values, name: str):
        count = len(self._dataset.images)
        if len(values) != count:
            raise ValueError(f"the data set has {len(values)} {name} but {count} images")
        return values

    def _factors_of(self, numbers: np.ndarray) -> np.ndarray:
        return self._space.factors(numbers)[:, self._varies]

    def _batches(self, numbers: np.ndarray, size: int | None = None) -> list[np.ndarray]:
        size = size or self._batch_size
        return [numbers[first : first + size] for first in range(0, len(numbers), size)]


def _mapless(parts: dict) -> dict:
    """A score without its numbers for every pixel, which would fill a table with megabytes."""
    return {name: part for name, part in parts.items() if np.ndim(part) < 3}


_SCORES: dict[str, Callable[..., dict]] = {
    "mig": lambda m, **o: evaluation.mig(m.codes, m.factors, **o),
    "modularity": lambda m, **o: evaluation.modularity(m.codes, m.factors, **o),
    "sap": lambda m, **o: evaluation.sap(*m.split, **o),
    "dci": lambda m, **o: evaluation.dci(*m.split, **o),
    "explicitness": lambda m, **o: evaluation.explicitness(*m.split, **o),
    "disentanglement_score": lambda m, **o: evaluation.disentanglement_score(
        m.codes, *m.targets, **o
    ),
    "irs": lambda m, **o: evaluation.irs(m.codes, m.factors, **o),
    "factor_vae_score": lambda m, **o: evaluation.factor_vae_score(
        m.represent, m.sizes, seed=m.seed, **o
    ),
    "beta_vae_score": lambda m, **o: evaluation.beta_vae_score(
        m.represent, m.sizes, seed=m.seed, **o
    ),
    "mcc": lambda m, **o: evaluation.mcc(m.codes, m.latents, **o),
    "lms_spearman": lambda m, **o: evaluation.lms_spearman(m.codes, m.latents, **o),
    "lms_tree": lambda m, **o: evaluation.lms_tree(*m.latent_split, seed=m.seed, **o),
    "dto": lambda m, **o: evaluation.dto(m.jacobians, **o),
    "ima_contrast": lambda m, **o: evaluation.ima_contrast(m.jacobians, **o),
    "singular_values": lambda m, **o: evaluation.singular_values(m.jacobians, **o),
    "gaussian_total_correlation": lambda m, **o: evaluation.gaussian_total_correlation(
        m.codes, **o
    ),
    "gaussian_wasserstein_correlation": lambda m, **o: evaluation.gaussian_wasserstein_correlation(
        m.codes, **o
    ),
    "average_mutual_information": lambda m, **o: evaluation.average_mutual_information(
        m.codes, **o
    ),
    "block_hessian": lambda m, **o: evaluation.block_hessian(m.decode, m.points, **o),
    "j_ari": lambda m, **o: _mapless(evaluation.j_ari(m.slot_jacobian, m.masks, **o)),
    "jis": lambda m, **o: _mapless(evaluation.jis(m.slot_jacobian, m.masks, **o)),
    "attention_ari": lambda m, **o: _mapless(
        evaluation.attention_ari(m.slot_attention, m.masks, **o)
    ),
    "polarized_regime": lambda m, **o: evaluation.polarized_regime(*m.posterior, **o),
    "reconstruction_rmse": lambda m, **o: evaluation.reconstruction_rmse(
        *m.reconstructed, **{"clamped": m.has_images} | o
    ),
}

"""What is measured of a model between chunks of training, beside the means of its losses."""

from collections.abc import Callable

import gin
import tensorflow as tf

from zoo import evaluation
from zoo.data import sampling
from zoo.data.dataset import Dataset
from zoo.errors import UserError
from zoo.models.base import Model


@gin.configurable
def kl_error_probe(
    model: Model, dataset: Dataset, images: int = 2000, threshold: float = 0.5
) -> Callable[[], dict[str, float]]:
    """The relative error of the polarised KL (Zietlow 2022, eq. 3.38; Table 3.2).

    Every record of the log gets `relative_kl_error`, the score of
    `zoo.evaluation.polarized_regime` on the posteriors of the same images each time, and
    `varying_latents`, the number of latents whose posterior means vary.

    Args:
        model: has a posterior with independent entries.
        dataset: what the images are drawn from, without replacement.
        images: how many.
        threshold: see `zoo.evaluation.polarized_regime`.

    Raises:
        UserError: the model has no posterior, or there would be no images.
    """
    if images < 1:
        raise UserError(f"kl_error_probe.images is {images}; give at least 1")
    observations = sampling.observations(dataset, dataset.some(images))
    posterior = getattr(model, "posterior", lambda _: None)
    if posterior(observations[:1]) is None:
        raise UserError(
            f"train.probe: {type(model).__name__} has no posterior; leave kl_error_probe out"
        )

    @tf.function(autograph=False)
    def moments():
        found = posterior(observations)
        return found.mean(), found.variance()

    def measure() -> dict[str, float]:
        mean, variance = (moment.numpy() for moment in moments())
        regime = evaluation.polarized_regime(mean, variance, threshold)
        varying = int(regime["varies"].sum())
        return {"relative_kl_error": regime["score"], "varying_latents": varying}

    return measure

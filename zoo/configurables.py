"""Imports everything that gin files can name; one line a module."""

import gin
import keras

from zoo.data import ranking, sampling

for _optimizer in (keras.optimizers.Adagrad, keras.optimizers.SGD):
    gin.external_configurable(_optimizer, module="keras.optimizers")
for _sampler in (
    sampling.Domains,
    sampling.Independent,
    sampling.LaplacePairs,
    sampling.MatchedPairs,
    sampling.UniformPairs,
    ranking.RankedPairs,
):
    gin.external_configurable(_sampler, module="zoo.data.sampling")

"""Imports everything that gin files can name; one line per module. Commands import it."""

# ruff: noqa: F401

import gin

import zoo.models.additive
import zoo.models.annealed_vae
import zoo.models.autoencoder
import zoo.models.cg_gan
import zoo.models.deterministic_elbo
import zoo.models.dip_vae
import zoo.models.domain_priors
import zoo.models.factor_vae
import zoo.models.hessian_penalty
import zoo.models.jacobian_penalty
import zoo.models.jacobian_sparsity
import zoo.models.likelihoods
import zoo.models.objectives
import zoo.models.pcl
import zoo.models.posteriors
import zoo.models.priors
import zoo.models.slots
import zoo.models.slow_vae
import zoo.models.tc_vae
import zoo.models.vae
import zoo.models.weak_gan
import zoo.networks.convolutional
import zoo.networks.dense
import zoo.networks.discriminators
import zoo.networks.flows
import zoo.networks.maxout
import zoo.networks.pair_discriminators
import zoo.networks.slot_decoders
import zoo.networks.slot_encoders
import zoo.networks.spectral
import zoo.networks.style_gan
import zoo.optim.optimizers
import zoo.optim.schedules
import zoo.perturbation.settings
import zoo.training.decoder_probes
import zoo.training.probes
import zoo.training.settings
from zoo.data import ranking, sampling

for _sampler in (
    sampling.Domains,
    sampling.Independent,
    sampling.LaplacePairs,
    sampling.MatchedPairs,
    sampling.UniformPairs,
    ranking.RankedPairs,
):
    gin.external_configurable(_sampler, module="zoo.data.sampling")

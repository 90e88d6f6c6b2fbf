"""Lachapelle et al. 2023, "Additive Decoders for Latent Variables Identification"."""

"""Zietlow 2022, "An Analysis of the Inner Workings of Variational Autoencoders", chapters 3, 4."""

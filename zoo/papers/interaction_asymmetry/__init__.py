"""Brady et al. 2025, "Interaction Asymmetry"."""

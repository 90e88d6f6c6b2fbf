"""Li et al. 2025, "Synergy Between Sufficient Changes and Sparse Mixing Procedure"."""

"""Perturbations of data sets on which VAEs fail (Zietlow 2022, chapter 4)."""

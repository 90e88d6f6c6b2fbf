"""Locatello et al. 2019: the study of six methods, six strengths each."""

"""All tables of Li et al. 2025."""

from zoo.papers.synergy import images

TABLES = images.TABLES

"""Sweeps over bindings of a gin file: the grid, its check, its tables and its page."""

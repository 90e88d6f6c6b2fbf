"""Optimisers and schedules: what a step of training does with a gradient, and when."""

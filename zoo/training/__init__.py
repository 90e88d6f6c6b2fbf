"""Training: the step and the loop, checkpoints, logs, and the whole job of a run."""

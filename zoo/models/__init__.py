"""Models: what each computes and its losses, one file per family."""

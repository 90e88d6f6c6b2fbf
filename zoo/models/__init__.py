"""Models: what each computes and its losses, one file a family."""

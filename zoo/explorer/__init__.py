"""The explorer: a page in which a trained model runs."""

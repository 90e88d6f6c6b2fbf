"""Training loops that leave TensorFlow: exported here, run by JAX elsewhere, brought back."""

"""Networks: encoders, decoders, discriminators. Keras layers only, no losses."""

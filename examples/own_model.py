"""Trains an objective and an encoder of one's own in the package's VAE, and a model of one's own.

Run in any folder: python own_model.py. The runs are in runs/; to resume one from the command
line, `python -m zoo.train --gin_file=runs/own_objective/config.gin --run_dir=runs/own_objective`.
"""

import gin
import keras
import tensorflow as tf

import zoo
from zoo.models.base import Autoencoder
from zoo.models.objectives import Objective

# Vectors of three numbers that two uniform latents make, some seconds of training.
SETTINGS = {
    "train.dataset": "zoo_synthetic/linear",
    "train.test_dataset": None,
    "train.steps": 200,
    "train.log_every": 50,
    "train.scores": "mcc",
    "train.probe": None,
    "train.compiled": "auto",
}


@gin.register
class CapacityVAE(Objective):
    """A VAE whose KL divergence is held at a capacity: reconstruction + gamma |KL - capacity|."""

    def __init__(self, vae, gamma: float = 10.0, capacity: float = 3.0):
        super().__init__(vae)
        self.gamma, self.capacity = gamma, capacity

    def regularizer(self, posterior, latents, kl, step):
        """What is added to the reconstruction loss, `[B]`, and what is logged besides."""
        distance = tf.abs(kl - self.capacity)
        return self.gamma * distance, {"distance": distance}


@gin.configurable
def residual_encoder(observation_shape: tuple[int, ...], width: int = 16) -> keras.Model:
    """A network from observations to features."""
    inputs = keras.Input(observation_shape)
    hidden = keras.layers.Dense(width, activation="relu")(keras.layers.Flatten()(inputs))
    return keras.Model(inputs, hidden + keras.layers.Dense(width, activation="relu")(hidden))


@gin.register
class PCA(Autoencoder):
    """A linear autoencoder: a model needs `encode`, `decode` and `losses_on`."""

    def __init__(self, observation_shape: tuple[int, ...], latent_dim: int = 2):
        super().__init__()
        self.observation_shape, self.latent_dim = observation_shape, latent_dim
        self.down = keras.layers.Dense(latent_dim, use_bias=False)
        self.up = keras.layers.Dense(observation_shape[0])
        self.down.build((None, *observation_shape))
        self.up.build((None, latent_dim))
        self.built = True

    def encode(self, images):
        """Codes `[B, D]` of observations `[B, N]`."""
        return self.down(images)

    def decode(self, latents):
        """Observations `[B, N]` of codes `[B, D]`."""
        return self.up(latents)

    def losses_on(self, batch, seed, step):
        """The squared error of every observation, `[B]`."""
        # In mixed precision layers return less than float32.
        error = tf.cast(self(batch["image"]), tf.float32) - batch["image"]
        return {"loss": tf.reduce_sum(error**2, axis=1)}


def main() -> None:
    """Trains both and prints a score of each."""
    objective = zoo.fit(
        "gin/linear_vae.gin",
        {
            **SETTINGS,
            "VAE.objective": CapacityVAE,
            "CapacityVAE.capacity": 2.0,
            "VAE.encoder": residual_encoder,
        },
        "runs/own_objective",
    )
    model = zoo.fit(
        "gin/linear_vae.gin",
        {**SETTINGS, "train.model": PCA, "PCA.latent_dim": 2},
        "runs/own_model",
        callbacks=[lambda step, values, model: print(f"step {step}: loss {values['loss']:.3f}")],
    )
    for run in (objective, model):
        print(f"{run.path.parent}: MCC {run.card['scores']['mcc']:.2f}")


if __name__ == "__main__":
    main()

"""The sound VAE with the layers that flax ships, as a user would write it."""

import flax.linen as nn
import jax
import jax.numpy as jnp


def normalise(x_byxi, train, dropout):
    x_byxi = nn.relu(nn.BatchNorm(not train, momentum=0.9)(x_byxi))
    return nn.Dropout(dropout, broadcast_dims=(1, 2), deterministic=not train)(x_byxi)


class ConvVAE(nn.Module):
    channels: tuple[int, ...] = (64, 128, 256, 512, 1024)
    latent: int = 128
    dropout: float = 0.1

    @nn.compact
    def __call__(self, feature_bftc, train=False):
        mels, frames = feature_bftc.shape[1:3]
        step = 2 ** len(self.channels)
        pads = (0, -mels % step), (0, -frames % step)
        x_byxi = jnp.pad(feature_bftc, ((0, 0), *pads, (0, 0)))
        for width in self.channels:
            x_byxi = nn.Conv(width, (3, 3), 2, padding=1)(x_byxi)
            x_byxi = normalise(x_byxi, train, self.dropout)
        shape = x_byxi.shape
        flat = x_byxi.reshape(shape[0], -1)
        mean_bz = nn.Dense(self.latent)(flat)
        log_var_bz = jnp.clip(nn.Dense(self.latent)(flat), -20, 20)
        noise_bz = jax.random.normal(self.make_rng("latent"), mean_bz.shape)
        latent_bz = mean_bz + jnp.exp(0.5 * log_var_bz) * noise_bz * train
        x_byxi = nn.Dense(flat.shape[1])(latent_bz).reshape(shape)
        for width in self.channels[-2::-1]:
            x_byxi = nn.ConvTranspose(width, (3, 3), (2, 2))(x_byxi)
            x_byxi = normalise(x_byxi, train, self.dropout)
        x_byxi = nn.ConvTranspose(2, (3, 3), (2, 2))(x_byxi)[:, :mels, :frames]
        recon_bftc = jnp.stack(
            [nn.softplus(x_byxi[..., 0]), jnp.tanh(x_byxi[..., 1])], axis=-1
        )
        return recon_bftc, {"mean_bz": mean_bz, "log_var_bz": log_var_bz}

"""The two-channel sound VAE: five strided convolutions down, five up."""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp

from distill_jax import weights
from distill_jax.models.layers import BatchNorm, Dense, StridedConv, TransposedConv

LOG_VAR_LIMIT = 20.0
# A sample that is half noise, as one of variance 1 is at first, teaches the decoder to
# ignore it, and then the encoder learns nothing: see benchmarks/RESULTS.md.
FIRST_LOG_VAR = -6.0


class Encoder(nn.Module):
    """Spectrogram to the mean and log-variance of its latent.

    Attributes:
      channels: width of each level; every level halves the picture.
      latent: latent dimensions.
      dropout: share of channels set to zero after each level.
      form: of the convolutions, see `strided.strided_conv`.
    """

    channels: tuple[int, ...]
    latent: int
    dropout: float
    form: str

    @nn.compact
    def __call__(self, feature_bftc, train):
        """Maps [b, f, t, c], f and t multiples of 2**levels, to two [b, z]."""
        x_byxi = feature_bftc
        for level, width in enumerate(self.channels):
            x_byxi = StridedConv(width, self.form, name=f"conv_{level}")(x_byxi)
            x_byxi = BatchNorm(name=f"norm_{level}")(x_byxi, train)
            x_byxi = ChannelDropout(self.dropout, name=f"drop_{level}")(
                nn.relu(x_byxi), train
            )
        mean_bz = Dense((self.latent,), name="mean")(x_byxi)
        log_var_bz = Dense((self.latent,), FIRST_LOG_VAR, name="log_var")(x_byxi)
        return mean_bz, jnp.clip(log_var_bz, -LOG_VAR_LIMIT, LOG_VAR_LIMIT)


class Decoder(nn.Module):
    """Latent to spectrogram, magnitude through Softplus, frequency through Tanh.

    Attributes:
      channels: width of each level, widest first, ending with the two heads.
      grid: rows and columns of the narrowest picture.
      dropout: share of channels set to zero after each level but the last.
      form: of the convolutions, see `strided.transposed_conv`.
    """

    channels: tuple[int, ...]
    grid: tuple[int, int]
    dropout: float
    form: str

    @nn.compact
    def __call__(self, latent_bz, train):
        """Maps [b, z] to [b, y * 2**levels, x * 2**levels, 2]."""
        shape = (*self.grid, self.channels[0])
        x_byxi = Dense(shape, name="dense")(latent_bz)
        *hidden, heads = self.channels[1:]
        for level, width in enumerate(hidden):
            x_byxi = TransposedConv(width, self.form, name=f"conv_{level}")(x_byxi)
            x_byxi = BatchNorm(name=f"norm_{level}")(x_byxi, train)
            x_byxi = ChannelDropout(self.dropout, name=f"drop_{level}")(
                nn.relu(x_byxi), train
            )
        last = TransposedConv(heads, self.form, name=f"conv_{len(hidden)}")
        magnitude_bft, frequency_bft = jnp.moveaxis(last(x_byxi), -1, 0)
        return jnp.stack([nn.softplus(magnitude_bft), jnp.tanh(frequency_bft)], axis=-1)


class ChannelDropout(nn.Module):
    """Sets whole channels to zero, as torch's Dropout2d; rng stream "dropout".

    Attributes:
      rate: probability of a zero.
    """

    rate: float

    @nn.compact
    def __call__(self, x_byxi, train):
        """Drops channels of [b, y, x, i] where `train`, and scales up the rest."""
        drop = nn.Dropout(self.rate, broadcast_dims=(1, 2))
        return drop(x_byxi, deterministic=not train)


class ConvVAE(nn.Module):
    """Convolutional VAE over magnitude and instantaneous frequency.

    Spectrograms of any size are padded with zeros, at the top of the band and the
    end of the clip, to multiples of two to the number of levels, and cropped back.

    Attributes:
      channels: width of each level.
      latent: latent dimensions.
      size: mels and frames; the dense layers are made for it.
      dropout: share of channels set to zero while training.
      form: of the convolutions: "auto", "matmul" or "stock", see `layers`.
    """

    channels: tuple[int, ...] = (64, 128, 256, 512, 1024)
    latent: int = 128
    size: tuple[int, int] = (128, 94)
    dropout: float = 0.1
    form: str = "auto"

    def setup(self):
        """Makes both halves."""
        step = 2 ** len(self.channels)
        grid = tuple(math.ceil(side / step) for side in self.size)
        self.encoder = Encoder(self.channels, self.latent, self.dropout, self.form)
        self.decoder = Decoder((*self.channels[::-1], 2), grid, self.dropout, self.form)

    def __call__(self, feature_bftc, train=False):
        """Encodes and decodes.

        Args:
          feature_bftc: [b, mels, frames, 2] of `size`; magnitude at least 0,
            frequency in [-1, 1].
          train: sample the latent (rng stream "latent"), drop channels (stream
            "dropout"), normalise with and update batch statistics.

        Returns:
          Reconstruction [b, mels, frames, 2] and a dictionary of `mean_bz`,
          `log_var_bz` and `latent_bz`, the sample, or the mean without `train`.

        Raises:
          ValueError: the spectrogram is not of `size`, or not two channels.
        """
        mean_bz, log_var_bz = self.encode(feature_bftc, train)
        latent_bz = mean_bz
        if train:
            noise_bz = jax.random.normal(self.make_rng("latent"), mean_bz.shape)
            noise_bz = noise_bz.astype(mean_bz.dtype)
            latent_bz = mean_bz + jnp.exp(0.5 * log_var_bz) * noise_bz
        out = {"mean_bz": mean_bz, "log_var_bz": log_var_bz, "latent_bz": latent_bz}
        return self.decode(latent_bz, train), out

    def encode(self, feature_bftc, train=False):
        """Gives the posterior of each spectrogram.

        Args:
          feature_bftc: [b, mels, frames, 2] of `size`.
          train: see `__call__`.

        Returns:
          Mean [b, latent] and log-variance [b, latent], within ±20.

        Raises:
          ValueError: the spectrogram is not of `size`, or not two channels.
        """
        found, expected = feature_bftc.shape, ("b", *self.size, 2)
        if found[1:] != expected[1:]:
            raise ValueError(
                f"the spectrograms have shape {found}, expected {expected} "
                "[b, mels, frames, 2]; set size=(mels, frames) of the model to match"
            )
        step = 2 ** len(self.channels)
        pads = [(0, -side % step) for side in self.size]
        return self.encoder(jnp.pad(feature_bftc, ((0, 0), *pads, (0, 0))), train)

    def decode(self, latent_bz, train=False):
        """Turns latents into spectrograms.

        Args:
          latent_bz: [b, latent].
          train: see `__call__`.

        Returns:
          [b, mels, frames, 2]: magnitude above 0, frequency in (-1, 1).
        """
        mels, frames = self.size
        return self.decoder(latent_bz, train)[:, :mels, :frames]


# The PyTorch tree of the same model: nn.Sequential of convolution, norm, ReLU and
# dropout, four modules a level. Its dense layers flatten [c, f, t].
WEIGHT_RULES = (
    ("encoder.convs.{4*i}", "encoder/conv_{i}", weights.conv2d),
    ("encoder.convs.{4*i+1}", "encoder/norm_{i}", weights.batch_norm),
    ("encoder.fc_mu", "encoder/mean", weights.linear_after_flatten),
    ("encoder.fc_logvar", "encoder/log_var", weights.linear_after_flatten),
    ("decoder.fc", "decoder/dense", weights.linear_before_unflatten),
    ("decoder.deconvs.{4*i}", "decoder/conv_{i}", weights.conv_transpose2d),
    ("decoder.deconvs.{4*i+1}", "decoder/norm_{i}", weights.batch_norm),
)

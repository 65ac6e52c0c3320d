"""The sound VAE in PyTorch, written from its description with torch's own layers."""

import torch
import torch.nn.functional as F
from torch import nn


class Encoder(nn.Module):
    def __init__(self, channels, latent, grid, dropout):
        super().__init__()
        modules, width = [], 2
        for out in channels:
            modules += [
                nn.Conv2d(width, out, 3, stride=2, padding=1),
                nn.BatchNorm2d(out),
                nn.ReLU(),
                nn.Dropout2d(dropout),
            ]
            width = out
        self.convs = nn.Sequential(*modules)
        self.fc_mu = nn.Linear(width * grid[0] * grid[1], latent)
        self.fc_logvar = nn.Linear(width * grid[0] * grid[1], latent)

    def forward(self, feature_bcft):
        flat = self.convs(feature_bcft).flatten(1)
        return self.fc_mu(flat), self.fc_logvar(flat).clamp(-20, 20)


class Decoder(nn.Module):
    def __init__(self, channels, latent, grid, dropout):
        super().__init__()
        *hidden, width = channels
        self.shape = (width, *grid)
        self.fc = nn.Linear(latent, width * grid[0] * grid[1])
        modules = []
        for out in hidden[::-1]:
            modules += [
                nn.ConvTranspose2d(width, out, 3, 2, padding=1, output_padding=1),
                nn.BatchNorm2d(out),
                nn.ReLU(),
                nn.Dropout2d(dropout),
            ]
            width = out
        modules += [nn.ConvTranspose2d(width, 2, 3, 2, padding=1, output_padding=1)]
        self.deconvs = nn.Sequential(*modules)

    def forward(self, latent_bz):
        out = self.deconvs(self.fc(latent_bz).unflatten(1, self.shape))
        return torch.stack([F.softplus(out[:, 0]), torch.tanh(out[:, 1])], 1)


class ConvVAE(nn.Module):
    """Spectrograms are [b, 2, mels, frames], as torch has them."""

    def __init__(
        self,
        channels=(64, 128, 256, 512, 1024),
        latent=128,
        size=(128, 94),
        dropout=0.1,
    ):
        super().__init__()
        self.size, self.step = size, 2 ** len(channels)
        grid = [-(-side // self.step) for side in size]
        self.encoder = Encoder(channels, latent, grid, dropout)
        self.decoder = Decoder(channels, latent, grid, dropout)

    def forward(self, feature_bcft, noise_bz):
        mels, frames = self.size
        pad = (0, -frames % self.step, 0, -mels % self.step)
        mean_bz, log_var_bz = self.encoder(F.pad(feature_bcft, pad))
        latent_bz = mean_bz + (0.5 * log_var_bz).exp() * noise_bz
        return self.decoder(latent_bz)[:, :, :mels, :frames], mean_bz, log_var_bz

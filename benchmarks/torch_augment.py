"""The augmentation and the features of keyword networks, as written in PyTorch.

Whole batches at a time; the change of speed and the noise only for those drawn.
"""

import torch

from distill_jax.audio import features


def within(count, low, high):
    return low + (high - low) * torch.rand(count)


def drawn(count, probability):
    return torch.nonzero(torch.rand(count) < probability)[:, 0]


def shifted(audio_bs, most):
    batch, samples = audio_bs.shape
    padded_bs = torch.nn.functional.pad(audio_bs, (most, most))
    first_b = torch.randint(0, 2 * most + 1, (batch,))
    return padded_bs.unfold(1, samples, 1)[torch.arange(batch), first_b]


def at_other_speed(audio_bs, change):
    """Cubic interpolation through the four nearest samples, around the middle."""
    batch, samples = audio_bs.shape
    time_s = torch.arange(samples)
    moved_bs = (time_s - (samples - 1) / 2)[None] * within(batch, -change, change)[
        :, None
    ]
    whole_bs = moved_bs.floor()
    x = moved_bs - whole_bs
    first_bs = (time_s[None] + whole_bs.long() + 3).clamp(0, samples + 4)
    padded_bs = torch.nn.functional.pad(audio_bs, (4, 4))
    weights = (
        -x * (x - 1) * (x - 2) / 6,
        (x + 1) * (x - 1) * (x - 2) / 2,
        -(x + 1) * x * (x - 2) / 2,
        (x + 1) * x * (x - 1) / 6,
    )
    return sum(w * padded_bs.gather(1, first_bs + n) for n, w in enumerate(weights))


def noisy(audio_bs, noise_s, settings):
    batch, samples = audio_bs.shape
    first_b = torch.randint(0, len(noise_s) - samples, (batch,))
    noise_bs = noise_s.unfold(0, samples, 1)[first_b]
    snr_db_b = within(batch, settings.snr_low_db, settings.snr_high_db)
    power_b = audio_bs.square().mean(1) / noise_bs.square().mean(1)
    return audio_bs + noise_bs * (power_b * 10 ** (-snr_db_b / 10)).sqrt()[:, None]


def augment(audio_bs, noise_s, settings):
    batch = len(audio_bs)
    audio_bs = shifted(audio_bs, round(settings.shift_seconds * settings.rate_hz))
    row_n = drawn(batch, settings.speed_probability)
    audio_bs[row_n] = at_other_speed(audio_bs[row_n], settings.speed_change)
    row_n = drawn(batch, settings.noise_probability)
    audio_bs[row_n] = noisy(audio_bs[row_n], noise_s, settings)
    gain_db_b = within(batch, -settings.gain_db, settings.gain_db)
    return audio_bs * 10 ** (gain_db_b / 20)[:, None]


class LogMel:
    """`front_end.log_mel`, as pictures [b, 1, mels, frames]."""

    def __init__(self, front):
        self.front = front
        self.window_s = torch.hann_window(front.window)
        self.filter_fk = torch.tensor(features.mel_filters(front.mel).T.copy())

    def __call__(self, audio_bs):
        front = self.front
        frame_bts = audio_bs.unfold(1, front.window, front.hop) * self.window_s
        power_btk = torch.fft.rfft(frame_bts, front.n_fft).abs().square()
        power_bft = self.filter_fk @ power_btk.swapaxes(1, 2)
        log_bft = (power_bft + front.floor).log()
        return (front.scale * (log_bft + front.shift))[:, None]


def masked(feature_b1ft, masks):
    """Stretches of frames and of bands behind the mean of the example."""
    batch, _, bands, frames = feature_b1ft.shape
    hidden = torch.zeros(batch, 1, bands, frames, dtype=torch.bool)
    kinds = ((frames, masks.times, masks.frames), (bands, masks.bands, masks.width))
    for axis, (size, count, longest) in zip((3, 2), kinds, strict=True):
        place = torch.arange(size)[None]
        for _ in range(count):
            length = (torch.rand(batch, 1) * (longest + 1)).floor()
            first = (torch.rand(batch, 1) * (size - length + 1)).floor()
            inside = (place >= first) & (place < first + length)
            hidden |= inside[:, None, None] if axis == 3 else inside[:, None, :, None]
    return torch.where(hidden, feature_b1ft.mean((2, 3), keepdim=True), feature_b1ft)

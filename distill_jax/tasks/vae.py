"""The sound VAE as a job: two-channel spectrograms in, the same ones out."""

import logging
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp

from distill_jax import folders, losses
from distill_jax.audio import distance, phase
from distill_jax.data import manifest, pipeline, sounds
from distill_jax.models.conv_vae import ConvVAE
from distill_jax.task import Data, Task

log = logging.getLogger(__name__)

PREVIEWS = 4
PREVIEW_ITERATIONS = 8


class Clip(NamedTuple):
    """A recording that is ready to be cut into windows.

    Attributes:
      name: path inside the folder of recordings.
      path: of the decoded and resampled audio, see `pipeline.prepare`.
    """

    name: str
    path: str


def spectrogram(config):
    """The settings of the representation, `phase.Spectrogram`."""
    return phase.Spectrogram(**config.spectrogram)


def rate_hz(config):
    """Samples per second of the audio in a batch."""
    return config.spectrogram.rate_hz


def window_samples(config):
    """Length of one training window in samples."""
    return round(config.data.window_seconds * config.spectrogram.rate_hz)


def model(config):
    """The module, sized for one window."""
    spec = spectrogram(config)
    return ConvVAE(
        channels=tuple(config.model.channels),
        latent=config.model.latent,
        size=(spec.mels, phase.frames(window_samples(config), spec)),
        dropout=config.model.dropout,
    )


def clips(config):
    """The training and the held-out recordings, split by file.

    Args:
      config: as `configs/vae.py` gives it; with no `data.root` the built-in sounds
        are made and used.

    Returns:
      Two lists of `Clip`.

    Raises:
      ValueError: lists every file that cannot be used, and what to do.
    """
    cache = folders.cache("audio", config.data.cache)
    root = config.data.root
    if not root:
        root = sounds.corpus(cache, config.spectrogram.rate_hz)
        log.info(
            "training on built-in sounds in %s; --config.data.root=FOLDER uses yours",
            root,
        )
    found = manifest.scan(root, cache, config.data.min_seconds)
    usable = manifest.require(found, config.data.skip_bad)
    sides = manifest.split(usable, config.data.valid_fraction, config.seed)
    return [prepared(side, root, config.spectrogram.rate_hz, cache) for side in sides]


def prepared(side, root, rate_hz, cache):
    """Decodes and resamples recordings, [`Clip`] for [`manifest.Clip`]."""
    paths = pipeline.prepare(side, rate_hz, cache)
    names = [Path(clip.path).relative_to(root).as_posix() for clip in side]
    return [Clip(name, path) for name, path in zip(names, paths, strict=True)]


def data(config):
    """The batches of the job, `Data`; see `clips` for what it reads and raises."""
    train, valid = sources(config, clips(config))
    loading = pipeline.Loading(
        config.data.gain_db,
        config.data.workers,
        jax.process_index(),
        jax.process_count(),
    )
    log.info(
        "%d windows of %d recordings to train on, %d of %d held out",
        len(train.window_nk),
        len(train.files),
        len(valid.window_nk),
        len(valid.files),
    )
    return Data(
        pipeline.train_stream(train, config.batch, config.seed, loading),
        pipeline.valid_batches(valid, config.batch, loading),
        # Named by what is heard in them.
        [[Path(file).name for file in side.files] for side in (train, valid)],
    )


def sources(config, sides):
    """The windows to train on and those held out, two `pipeline.Source`.

    Windows to train on are `data.hop_seconds` apart. Held-out ones overlap by half at
    most: more would take longer to evaluate and tell nothing new.

    Args:
      config: as `configs/vae.py` gives it.
      sides: as `clips` gives them.
    """
    samples = window_samples(config)
    hop = round(config.data.hop_seconds * config.spectrogram.rate_hz)
    return [
        pipeline.source([clip.path for clip in side], samples, apart)
        for side, apart in zip(sides, (hop, max(hop, samples // 2)), strict=True)
    ]


def annotate(spec, batch):
    """Adds the features of the audio and how loud each cell is.

    Args:
      spec: `phase.Spectrogram`.
      batch: has `audio_bs`, [batch, samples].

    Returns:
      The batch with `feature_bftc`, [batch, mels, frames, 2], and `loudness_bft`,
      the square root of the power, which weighs the frequency channel: phase
      means nothing where there is no sound.
    """
    feature_bftc = phase.encode(batch["audio_bs"], spec)
    loudness_bft = jnp.sqrt(phase.mel_power_bft(feature_bftc, spec))
    return {**batch, "feature_bftc": feature_bftc, "loudness_bft": loudness_bft}


class Objective(NamedTuple):
    """What is minimised.

    Attributes:
      spec: settings of the spectrogram.
      weight: of each term: magnitude, log_power, frequency, kl and audio.
      free_nats: KL per latent that costs nothing.
      kl_warmup_steps: updates over which the weight of the KL rises from 0.
    """

    spec: phase.Spectrogram
    weight: dict
    free_nats: float
    kl_warmup_steps: int


def terms(objective, recon_bftc, out, batch):
    """Every term of the loss, each [batch] and never negative."""
    target_bftc, spec = batch["feature_bftc"], objective.spec
    kl_bz = losses.kl_normal(out["mean_bz"], out["log_var_bz"])
    found = {
        "magnitude": losses.l1(recon_bftc[..., 0], target_bftc[..., 0]),
        "log_power": losses.l1(
            log_power(recon_bftc, objective.spec),
            log_power(target_bftc, objective.spec),
        ),
        "frequency": losses.weighted_l1(
            recon_bftc[..., 1], target_bftc[..., 1], batch["loudness_bft"]
        ),
        "kl": losses.free_bits(kl_bz, batch["weight_b"], objective.free_nats),
    }
    if objective.weight["audio"]:
        found["audio"] = audio_term(recon_bftc, batch, spec)
    return found


def log_power(feature_bftc, spec):
    """Log power of each band above the floor of `distance.log_mel_l1`, in nepers."""
    return jnp.log(phase.mel_power_bft(feature_bftc, spec) + distance.MEL_FLOOR)


def audio_term(recon_bftc, batch, spec):
    """Multi-resolution STFT distance of the decoded audio, [batch].

    The draft inversion (no Griffin-Lim) is differentiable and keeps the phase
    that the frequency channel asks for.
    """
    audio_bs = batch["audio_bs"]
    decoded_bs = phase.decode(recon_bftc, spec, iterations=0, samples=audio_bs.shape[1])
    return distance.mrstft(audio_bs, decoded_bs)


def shown(out):
    """What is logged beside the terms, each [batch]: the KL without free bits."""
    return {"kl_nats": losses.kl_normal(out["mean_bz"], out["log_var_bz"]).sum(axis=1)}


def total(objective, found, kl_scale=1.0):
    """The weighted sum of `terms`, [batch]."""
    weight = {**objective.weight, "kl": objective.weight["kl"] * kl_scale}
    return sum(weight[name] * term_b for name, term_b in found.items())


def warm_up(step, steps):
    """Rises linearly from 0 to 1 over `steps`."""
    return jnp.minimum(1.0, (step + 1.0) / max(steps, 1))


def in_float32(tree):
    """The tree with its arrays in float32: losses are not taken in bfloat16."""
    return jax.tree.map(lambda leaf: leaf.astype(jnp.float32), tree)


def make(config):
    """Builds the job.

    Args:
      config: as `configs/vae.py` gives it.

    Returns:
      A `Task`. The batches it reads have `audio_bs`, `weight_b` and, while
      training, `step`.
    """
    module, spec, samples = model(config), spectrogram(config), window_samples(config)
    objective = Objective(
        spec, dict(config.loss_weight), config.free_nats, config.kl_warmup_steps
    )

    def init(rng):
        variables = module.init(rng, jnp.zeros((1, *module.size, 2)))
        return variables.pop("params"), variables

    def loss_fn(params, state, batch, rng):
        dropout_rng, latent_rng = jax.random.split(rng)
        dtype = jax.tree.leaves(params)[0].dtype
        (recon_bftc, out), state = module.apply(
            {"params": params, **state},
            batch["feature_bftc"].astype(dtype),
            train=True,
            rngs={"dropout": dropout_rng, "latent": latent_rng},
            mutable=list(state),
        )
        recon_bftc, out = in_float32((recon_bftc, out))
        found = terms(objective, recon_bftc, out, batch)
        kl_scale = warm_up(batch["step"], objective.kl_warmup_steps)
        loss = losses.mean(total(objective, found, kl_scale), batch["weight_b"])
        metrics = {
            name: losses.mean(value_b, batch["weight_b"])
            for name, value_b in {**found, **shown(out)}.items()
        }
        return loss, (state, metrics)

    def reconstruct(params, state, batch):
        feature_bftc = batch["feature_bftc"].astype(jax.tree.leaves(params)[0].dtype)
        return in_float32(module.apply({"params": params, **state}, feature_bftc))

    def eval_fn(params, state, batch):
        recon_bftc, out = reconstruct(params, state, batch)
        found = terms(objective, recon_bftc, out, batch)
        weight_b = batch["weight_b"]
        values = {"loss": total(objective, found), **found, **shown(out)}
        return {
            name: (jnp.sum(value_b * weight_b), jnp.sum(weight_b))
            for name, value_b in values.items()
        }

    def preview(params, state, batch):
        batch = jax.tree.map(lambda leaf: leaf[:PREVIEWS], batch)
        recon_bftc, _ = reconstruct(params, state, batch)
        decoded_bs = phase.decode(recon_bftc, spec, PREVIEW_ITERATIONS, samples)
        return {
            "original_bs": batch["audio_bs"],
            "reconstruction_bs": decoded_bs,
            "original_bft": batch["feature_bftc"][..., 0],
            "reconstruction_bft": recon_bftc[..., 0],
        }

    return Task(
        init=init,
        loss_fn=loss_fn,
        eval_fn=eval_fn,
        load=lambda params: (params, ()),
        annotate=lambda frozen, batch: annotate(spec, batch),
        preview=preview,
    )

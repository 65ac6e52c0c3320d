"""A keyword network as a job: windows of sound in, which word was said out."""

import logging

import jax
import jax.numpy as jnp
import numpy as np
import optax

from distill_jax import folders, losses
from distill_jax.audio import augment, front_end, rooms
from distill_jax.data import labelled, stream
from distill_jax.models.tiny_conv import TinyConv
from distill_jax.task import Data, Task

log = logging.getLogger(__name__)

PREVIEWS = 4


def front(config):
    """The settings of the features, `front_end.FrontEnd`, checked."""
    settings = front_end.FrontEnd(**config.front_end)
    front_end.check(settings)
    return settings


def rate_hz(config):
    """Samples per second of the audio in a batch."""
    return config.front_end.rate_hz


def window_samples(config):
    """Length of one window in samples."""
    return round(config.data.window_seconds * config.front_end.rate_hz)


def model(config):
    """The module, sized for one window and for `config.labels`."""
    settings = front(config)
    return TinyConv(
        classes=len(config.labels),
        channels=tuple(config.model.channels),
        strides=tuple(config.model.strides),
        use_depthwise=config.model.use_depthwise,
        residual=config.model.residual,
        size=(front_end.frames(window_samples(config), settings), settings.mels),
    )


def corpus(config):
    """The recordings, checked and divided, and where their samples are.

    Args:
      config: as `configs/distill.py` gives it.

    Returns:
      `labelled.Corpus` and `labelled.Recordings`.

    Raises:
      ValueError: there is no `data.root`, or see `labelled.read`.
    """
    settings = config.data.to_dict()
    root, cache = settings.pop("root"), settings.pop("cache")
    del settings["workers"]
    if not root:
        raise ValueError(
            "there is nothing to learn from; set --config.data.root to a folder with a "
            "folder of recordings for every word"
        )
    cache = folders.cache("labelled", cache)
    settings = labelled.Settings(**{**settings, "words": tuple(settings["words"])})
    found = labelled.read(root, cache, settings)
    return found, labelled.prepare(found, config.front_end.rate_hz, cache)


def data(config):
    """The batches of the job, `Data`; see `corpus` for what it reads and raises.

    What there is to tell apart is found in the recordings and written to
    `config.labels`, so that it is kept, and held on resume, with the other settings.
    """
    found, recordings = corpus(config)
    config.labels = found.labels
    sides = {
        split: labelled.examples(found, split, recordings, window_samples(config))
        for split in ("train", "valid")
    }
    log.info(
        "%d clips of %s to train on, %d held out",
        len(sides["train"].label_n),
        ", ".join(found.labels),
        len(sides["valid"].label_n),
    )
    loading = stream.Loading(
        workers=config.data.workers,
        process=jax.process_index(),
        processes=jax.process_count(),
    )
    return Data(
        labelled.train_stream(sides["train"], config.batch, config.seed, loading),
        labelled.valid_batches(sides["valid"], config.batch, loading),
    )


def bank(config):
    """Noise and rooms that training clips are mixed with, `augment.Bank`."""
    found, recordings = corpus(config)
    noise_s = labelled.noise(found, "train", recordings)
    room_nr = np.zeros((0, 0))
    if config.augment.room_probability > 0:
        simulated = rooms.Settings(rate_hz=config.front_end.rate_hz)
        room_nr = rooms.responses(folders.cache("rooms", config.data.cache), simulated)
    return augment.bank(noise_s, room_nr, window_samples(config))


def annotate(front, varied, masks):
    """Makes the function that adds the features of the audio to a batch.

    Args:
      front: `front_end.FrontEnd`.
      varied: `augment.Settings` for batches to train on, those with a `step`.
      masks: `augment.Masks`, likewise.

    Returns:
      (bank, batch) -> batch with `feature_btf`, [batch, frames, mels].
    """

    def annotated(bank, batch):
        audio_bs, training = batch["audio_bs"], "step" in batch
        if training:
            audio_bs = augment.augment(audio_bs, batch["seed_b"], bank, varied)
        feature_btf = front_end.log_mel(audio_bs, front)
        if training and (masks.times or masks.bands):
            feature_btf = augment.spec_augment(feature_btf, batch["seed_b"], masks)
        return {**batch, "feature_btf": feature_btf}

    return annotated


def mixed(rng, feature_btf, target_bc, alpha):
    """Mixes each example with its neighbour, all of a batch in one proportion.

    Args:
      rng: a key.
      feature_btf: [batch, frames, mels].
      target_bc: probabilities, [batch, classes].
      alpha: of the beta distribution that the proportion is drawn from.

    Returns:
      Both, mixed.

    Source: Zhang et al. 2018, "mixup: Beyond Empirical Risk Minimization".
    """
    share = jax.random.beta(rng, alpha, alpha)
    return jax.tree.map(
        lambda x_b: share * x_b + (1 - share) * jnp.roll(x_b, 1, axis=0),
        (feature_btf, target_bc),
    )


def counted(logits_bc, target_bc, label_b):
    """Cross entropy in nats and whether the likeliest class is right, each [batch]."""
    return {
        "loss": optax.softmax_cross_entropy(logits_bc, target_bc),
        "accuracy": (logits_bc.argmax(axis=1) == label_b).astype(jnp.float32),
    }


def make(config):
    """Builds the job.

    Args:
      config: as `configs/distill.py` gives it, with `labels` as `data` leaves it.

    Returns:
      A `Task`. The batches it reads have `audio_bs`, `label_b`, `weight_b`, `seed_b`
      and, while training, `step`.
    """
    module, classes = model(config), len(config.labels)
    smoothing, alpha = config.label_smoothing, config.mixup

    def init(rng):
        variables = module.init(rng, jnp.zeros((1, *module.size)))
        return variables.pop("params"), variables

    def loss_fn(params, state, batch, rng):
        target_bc = jax.nn.one_hot(batch["label_b"], classes)
        target_bc = optax.smooth_labels(target_bc, smoothing)
        feature_btf = batch["feature_btf"]
        if alpha > 0:
            feature_btf, target_bc = mixed(rng, feature_btf, target_bc, alpha)
        dtype = jax.tree.leaves(params)[0].dtype
        (logits_bc, _), state = module.apply(
            {"params": params, **state},
            feature_btf.astype(dtype),
            train=True,
            mutable=list(state),
        )
        found = counted(logits_bc.astype(jnp.float32), target_bc, batch["label_b"])
        means = {
            name: losses.mean(value_b, batch["weight_b"])
            for name, value_b in found.items()
        }
        return means.pop("loss"), (state, means)

    def classify(params, state, batch):
        feature_btf = batch["feature_btf"].astype(jax.tree.leaves(params)[0].dtype)
        logits_bc, _ = module.apply({"params": params, **state}, feature_btf)
        return logits_bc.astype(jnp.float32)

    def eval_fn(params, state, batch):
        target_bc = jax.nn.one_hot(batch["label_b"], classes)
        logits_bc = classify(params, state, batch)
        weight_b = batch["weight_b"]
        return {
            name: (jnp.sum(value_b * weight_b), jnp.sum(weight_b))
            for name, value_b in counted(logits_bc, target_bc, batch["label_b"]).items()
        }

    def preview(params, state, batch):
        del params, state
        return {
            "heard_bs": batch["audio_bs"][:PREVIEWS],
            "heard_bft": batch["feature_btf"][:PREVIEWS].swapaxes(1, 2),
        }

    return Task(
        init=init,
        loss_fn=loss_fn,
        eval_fn=eval_fn,
        load=lambda params: (params, bank(config)),
        annotate=annotate(
            front(config),
            augment.Settings(rate_hz=config.front_end.rate_hz, **config.augment),
            augment.Masks(**config.masks),
        ),
        preview=preview,
    )

"""What every job on labelled recordings shares: its clips, its batches, its noise."""

import logging
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax

from distill_jax import folders
from distill_jax.audio import augment, rooms
from distill_jax.data import labelled, stream
from distill_jax.task import Data

log = logging.getLogger(__name__)


def rate_hz(config):
    """Samples per second of the audio in a batch."""
    return config.front_end.rate_hz


def window_samples(config):
    """Length of one window in samples."""
    return round(config.data.window_seconds * config.front_end.rate_hz)


def corpus(config):
    """The recordings, checked and divided, and where their samples are.

    Args:
      config: as `configs/distill.py` or `configs/teacher.py` gives it.

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
    return batches(config, sides(config))


def sides(config, splits=("train",)):
    """The clips to train on and those held out, {"train" or "valid": Examples}.

    Args:
      config: as for `corpus`; its `labels` are written.
      splits: those to train on, "train" and perhaps "unlabelled".
    """
    found, recordings = corpus(config)
    config.labels = found.labels
    window = window_samples(config)
    train = labelled.examples(found, splits, recordings, window)
    valid = labelled.examples(found, "valid", recordings, window)
    hidden = int(np.sum(train.label_n < 0))
    log.info(
        "%d clips of %s to train on%s, %d held out",
        len(train.label_n),
        ", ".join(found.labels),
        f" ({hidden} of them without their label)" if hidden else "",
        len(valid.label_n),
    )
    return {"train": train, "valid": valid}


def batches(config, sides, fixed=None, loading=None):
    """`Data` of what `sides` gave.

    Args:
      config: as for `corpus`.
      sides: from `sides`.
      fixed: the `labelled.Views` to show, if any.
      loading: `stream.Loading`; None gives this process its share of every batch.
    """
    loading = loading or stream.Loading(
        workers=config.data.workers,
        process=jax.process_index(),
        processes=jax.process_count(),
    )
    batch = config.batch
    return Data(
        labelled.train_stream(sides["train"], batch, config.seed, loading, fixed),
        labelled.valid_batches(sides["valid"], batch, loading),
        {name: sounds_of(side) for name, side in sides.items()},
    )


def sounds_of(side):
    """The `Data.sounds` of `labelled.Examples`."""
    # The file is named by all that is heard in it.
    file = Path(side.path).name
    return [file, side.start_n.tolist(), side.label_n.tolist()]


def bank(config):
    """Noise and rooms that training clips are mixed with, `augment.Bank`."""
    found, recordings = corpus(config)
    noise_s = labelled.noise(found, "train", recordings)
    room_nr = np.zeros((0, 0))
    if config.augment.room_probability > 0:
        simulated = rooms.Settings(rate_hz=config.front_end.rate_hz)
        room_nr = rooms.responses(folders.cache("rooms", config.data.cache), simulated)
    return augment.bank(noise_s, room_nr, window_samples(config))


def varied(config):
    """How clips are varied while training, `augment.Settings`."""
    return augment.Settings(rate_hz=config.front_end.rate_hz, **config.augment)


def heard(batch, bank, settings):
    """The audio of a batch as the networks hear it.

    Args:
      batch: has `audio_bs`, `seed_b` and, while training, `step`.
      bank: `augment.Bank`.
      settings: `augment.Settings`.

    Returns:
      [b, s]: varied while training, else as it is.
    """
    if "step" not in batch:
        return batch["audio_bs"]
    return augment.augment(batch["audio_bs"], batch["seed_b"], bank, settings)


def counted(logits_bc, target_bc, label_b):
    """Cross entropy in nats and whether the likeliest class is right, each [batch]."""
    return {
        "loss": optax.softmax_cross_entropy(logits_bc, target_bc),
        "accuracy": (logits_bc.argmax(axis=1) == label_b).astype(jnp.float32),
    }


def summed(value_of, weight_b):
    """Values of examples as `Task.eval_fn` gives them, {name: (sum, count)}."""
    return {
        name: (jnp.sum(value_b * weight_b), jnp.sum(weight_b))
        for name, value_b in value_of.items()
    }

"""Is there speech in a second of sound? A new model and a new task, whole.

    python docs/examples/speech_present.py speech/ other/ runs/speech_present

Two folders of recordings in, a linear probe on log-mel features out.
"""

import sys
from pathlib import Path

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
import optax
from ml_collections import ConfigDict

from distill_jax import losses, metrics, settings, train, weights
from distill_jax.audio import files, front_end
from distill_jax.data import listing, stream
from distill_jax.task import Data, Task

LABELS = ("other", "speech")
FRONT = front_end.FrontEnd()
HELD_OUT = 5  # the first of so many files is judged by, and not trained on


class Probe(nn.Module):
    """A dense layer on the mean and the spread of every band.

    Attributes:
      classes: how many.
    """

    classes: int

    @nn.compact
    def __call__(self, feature_btf, train=False):
        """Tells classes apart.

        Args:
          feature_btf: [batch, frames, mels].
          train: of no effect here.

        Returns:
          Logits [batch, classes], and a dictionary of what is inside.
        """
        del train
        pooled_bd = jnp.concatenate(
            [feature_btf.mean(axis=1), feature_btf.std(axis=1)], axis=1
        )
        logits_bc = nn.Dense(self.classes, name="head")(pooled_bd)
        return logits_bc, {"pooled_bd": pooled_bd}


# The PyTorch tree of the same model.
WEIGHT_RULES = (("classifier", "head", weights.linear),)


def get_config():
    """The settings: what is the task's own, then what every task needs."""
    config = ConfigDict()
    config.task = "speech_present"
    config.data = ConfigDict({"speech": "", "other": "", "seconds": 1.0})

    config.seed, config.steps, config.batch = 0, 300, 32
    config.learning_rate, config.rate_scale, config.warmup_steps = 1e-2, (), 10
    config.weight_decay, config.clip_norm, config.ema_decay = 0.01, 1.0, 0.98
    config.dtype, config.fsdp, config.accumulate = "float32", 1, 1
    config.eval_every, config.save_every, config.keep = 50, 50, 2
    config.preview_every, config.max_skipped = 0, 10
    return config


def window_samples(config):
    """Length of an example in samples."""
    return round(config.data.seconds * FRONT.rate_hz)


def data(config):
    """Reads both folders; one file in five is held out.

    Args:
      config: as `get_config` gives it, with both folders.

    Returns:
      `Data` of batches with `audio_bs`, `label_b` and `weight_b`.

    Raises:
      FileNotFoundError: a folder is missing, or has no sound.
      ValueError: a file is damaged.
    """
    length, clips, held = window_samples(config), [], []
    for label, folder in enumerate(LABELS):
        root = Path(config.data[folder])
        for number, name in enumerate(listing.sound_names(root)):
            clip = files.read(root / name, FRONT.rate_hz), label
            (clips if number % HELD_OUT else held).append(clip)

    def drawn(index, rng):
        audio_s, label = clips[index]
        start = rng.integers(max(1, len(audio_s) - length + 1))
        return example(audio_s[start : start + length], label, 1.0)

    def first(index, weight):
        audio_s, label = held[index]
        return example(audio_s[:length], label, weight)

    def example(audio_s, label, weight):
        return {
            "audio_bs": np.pad(audio_s, (0, length - len(audio_s))),
            "label_b": np.int32(label),
            "weight_b": np.float32(weight),
        }

    return Data(
        train=stream.endless(len(clips), drawn, (config.batch, config.seed)),
        valid=stream.once(len(held), first, config.batch),
    )


def make(config):
    """Builds the job, a `Task` on the batches of `data`."""
    net = Probe(len(LABELS))
    frames = front_end.frames(window_samples(config), FRONT)

    def init(rng):
        variables = net.init(rng, jnp.zeros((1, frames, FRONT.mels)))
        return variables["params"], {}

    def judged(params, batch):
        logits_bc, _ = net.apply({"params": params}, batch["feature_btf"])
        logits_bc, label_b = logits_bc.astype(jnp.float32), batch["label_b"]
        return {
            "loss": optax.softmax_cross_entropy_with_integer_labels(logits_bc, label_b),
            "accuracy": (logits_bc.argmax(axis=1) == label_b).astype(jnp.float32),
        }

    def loss_fn(params, state, batch, rng):
        del rng  # nothing is drawn at random
        value_of = {
            name: losses.mean(value_b, batch["weight_b"])
            for name, value_b in judged(params, batch).items()
        }
        return value_of.pop("loss"), (state, value_of)

    def eval_fn(params, state, batch):
        del state
        weight_b = batch["weight_b"]
        return {
            name: (jnp.sum(value_b * weight_b), jnp.sum(weight_b))
            for name, value_b in judged(params, batch).items()
        }

    def annotate(frozen, batch):
        del frozen
        return batch | {"feature_btf": front_end.log_mel(batch["audio_bs"], FRONT)}

    return Task(
        init=init,
        loss_fn=loss_fn,
        eval_fn=eval_fn,
        load=lambda params: (params, ()),
        annotate=annotate,
        preview=lambda params, state, batch: {"heard_bs": batch["audio_bs"][:4]},
    )


def main(speech, other, workdir, *changes):
    """Trains, or goes on; tells how often it is right about held-out files.

    Args:
      speech: folder of recordings in which somebody speaks.
      other: folder of recordings in which nobody does.
      workdir: folder of the run.
      *changes: "steps=600" each.
    """
    config = settings.changed(get_config(), changes)
    config.data.update(speech=str(speech), other=str(other))
    steps = train.train(config, make(config), data(config), workdir)
    with metrics.Writer(workdir, FRONT.rate_hz) as writer:
        for step, values in steps:
            writer.write(step, values)
            if "valid/accuracy" in values:
                print(f"step {step}: {values['valid/accuracy']:.1%} right")


if __name__ == "__main__":
    main(*sys.argv[1:])

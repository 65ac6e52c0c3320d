"""A real job that trains in a second: a small net with all that can go wrong.

Convolution, batch normalisation, dropout, two dense layers; it learns which of four
frequencies a noisy tone has. Run as a program it trains in a work directory, as often
as it is told to be killed on the way: `tiny_job.py WORKDIR [KILL_AT_STEP]`.
"""

import contextlib
import hashlib
import os
import signal
import sys

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from distill_jax import checkpoints, metrics, train
from distill_jax.task import Data, Task

CLASSES = 4
SAMPLES = 64


class Net(nn.Module):
    width: int = 16

    @nn.compact
    def __call__(self, audio_bs, train):
        # No bias: before a normalisation its gradient is rounding noise.
        conv = nn.Conv(self.width, (9,), (4,), use_bias=False, name="conv")
        x = conv(audio_bs[..., None])
        x = nn.BatchNorm(use_running_average=not train, momentum=0.9, name="norm")(x)
        x = nn.relu(x).reshape(len(audio_bs), -1)
        x = nn.relu(nn.Dense(self.width, name="hidden")(x))
        x = nn.Dropout(0.2, deterministic=not train)(x)
        return nn.Dense(CLASSES, name="head")(x)


def config(**changes):
    values = {
        "seed": 0,
        "steps": 24,
        "batch": 16,
        "learning_rate": 1e-2,
        "rate_scale": (),
        "warmup_steps": 2,
        "weight_decay": 0.01,
        "clip_norm": 1.0,
        "ema_decay": 0.9,
        "dtype": "float32",
        "eval_every": 8,
        "preview_every": 12,
        "save_every": 8,
        "keep": 2,
        "fsdp": 1,
        "accumulate": 1,
        "max_skipped": 10,
        "model": {"width": 16},
    }
    return ConfigDict(values | changes)


def make(config, trainable=(".*",)):
    net = Net(config.model.width)

    def init(rng):
        variables = net.init(rng, jnp.zeros((1, SAMPLES)), train=False)
        return variables["params"], {"batch_stats": variables["batch_stats"]}

    def loss_fn(params, state, batch, rng):
        logits_bc, state = net.apply(
            {"params": params, **state},
            batch["scaled_bs"].astype(config.dtype),
            train=True,
            rngs={"dropout": rng},
            mutable=["batch_stats"],
        )
        loss_b = cross_entropy(logits_bc.astype(jnp.float32), batch["class_b"])
        return jnp.mean(loss_b), (dict(state), {"highest": jnp.max(loss_b)})

    def eval_fn(params, state, batch):
        logits_bc = net.apply({"params": params, **state}, batch["scaled_bs"], False)
        loss_b, weight_b = cross_entropy(logits_bc, batch["class_b"]), batch["weight_b"]
        right_b = jnp.argmax(logits_bc, axis=-1) == batch["class_b"]
        return {
            name: (jnp.sum(value_b * weight_b), jnp.sum(weight_b))
            for name, value_b in (("loss", loss_b), ("accuracy", right_b))
        }

    return Task(
        init=init,
        loss_fn=loss_fn,
        eval_fn=eval_fn,
        load=lambda params: (params, {"gain": jnp.float32(2.0)}),
        annotate=lambda frozen, batch: (
            batch | {"scaled_bs": frozen["gain"] * batch["audio_bs"]}
        ),
        preview=lambda params, state, batch: {"heard_bs": batch["scaled_bs"][:2]},
        trainable=trainable,
    )


def cross_entropy(logits_bc, class_b):
    at_bc = jax.nn.one_hot(class_b, CLASSES)
    return -jnp.sum(jax.nn.log_softmax(logits_bc) * at_bc, axis=-1)


def batch_of(seed, step, size):
    rng = np.random.default_rng((seed, step))
    class_b = rng.integers(CLASSES, size=size)
    phase_bs = np.arange(SAMPLES) * 2 * np.pi * (2 + 3 * class_b[:, None]) / SAMPLES
    noise_bs = rng.normal(scale=0.5, size=(size, SAMPLES))
    audio_bs = np.sin(phase_bs + rng.uniform(0, 6, (size, 1))) + noise_bs
    return {
        "audio_bs": audio_bs.astype(np.float32),
        "class_b": class_b.astype(np.int32),
        "weight_b": np.ones(size, np.float32),
    }


def data(config, at=None):
    """The batches; `at(step, batch)` may change or see each before it is used."""

    def train(start):
        step = start
        while True:
            batch = batch_of(config.seed, step, config.batch)
            yield at(step, batch) if at else batch
            step += 1

    def valid():
        for number in range(2):
            batch = batch_of(config.seed + 1, number, config.batch)
            batch["weight_b"][config.batch // 2 :] = number == 0
            yield batch

    return Data(train, valid)


def start(workdir, at=None, trainable=(".*",), **changes):
    """The training loop; `changes` are settings."""
    settings = config(**changes)
    task = make(settings, trainable)
    return train.train(settings, task, data(settings, at), workdir)


def learnt(workdir, which="latest"):
    """Step of a checkpoint and a digest of all that training moves."""
    saved = checkpoints.read(workdir, which)
    digest = hashlib.sha256()
    for leaf in jax.tree.leaves((saved["params"], saved["state"], saved["ema"])):
        digest.update(leaf.tobytes())
    return saved["step"], digest.hexdigest()


@contextlib.contextmanager
def compiled_once(folder):
    """Every test compiles the same programs; inside, from the second time read."""
    names = (
        "jax_compilation_cache_dir",
        "jax_persistent_cache_min_compile_time_secs",
    )
    before = {name: getattr(jax.config, name) for name in names}
    train.cache_compilations(folder)
    jax.config.update(names[1], 0.0)
    yield
    for name, value in before.items():
        jax.config.update(name, value)


def killed_at(kill_at):
    """For `data`: ends the process as a power cut would when that step is read."""

    def at(step, batch):
        if step == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return batch

    return at


def main(workdir, kill_at=-1):
    at = killed_at(int(kill_at))
    steps = start(workdir, at, steps=60, save_every=10, eval_every=20)
    with metrics.Writer(workdir, rate_hz=8000) as writer:
        for step, values in steps:
            writer.write(step, values)


if __name__ == "__main__":
    main(*sys.argv[1:])

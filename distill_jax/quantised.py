"""From a trained run to its integer network, and the clips to judge it on."""

from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np

from distill_jax import checkpoints, quant, student
from distill_jax.audio import augment, front_end
from distill_jax.data import labelled
from distill_jax.quant import integer
from distill_jax.tasks import qat, words

NOISE_SEED = 1234  # of the stretches of noise that test clips are heard in


class Quantised(NamedTuple):
    """A run in integers.

    Attributes:
      trained: `student.Student`.
      variables: of its module, with `ranges`.
      model: `integer.Model`.
      bits: of the weights.
    """

    trained: student.Student
    variables: dict[str, Any]
    model: integer.Model
    bits: int

    def logits(self, code_bc):
        """The numbers that int8 logits stand for."""
        return quant.decode(code_bc, self.model.logits)

    def codes(self, audio_bs):
        """Int8 features of windows, [b, frames, mels]."""
        parts = [
            quant.encode(student.features(self.trained, part_bs), self.model.input)
            for part_bs in np.split(audio_bs, range(256, len(audio_bs), 256))
        ]
        return np.concatenate(parts)


class Clips(NamedTuple):
    """Test clips.

    Attributes:
      audio_bs: clean, [clips, samples].
      noise_bs: a stretch of background noise for each; None without noise.
      label_b: what is said.
    """

    audio_bs: np.ndarray
    noise_bs: np.ndarray | None
    label_b: np.ndarray

    def heard(self, snr_db):
        """The clips in noise of that level."""
        snr_db_b = np.full(len(self.label_b), snr_db, np.float32)
        return np.asarray(augment.mix_at_snr(self.audio_bs, self.noise_bs, snr_db_b))


def load(workdir, data=None, bits=None):
    """Opens a run and turns it into integers.

    A run of quantisation-aware training has its ranges; any other is calibrated with
    its training clips.

    Args:
      workdir: folder of the run.
      data: where the labelled recordings are now; None is where they were.
      bits: of the weights; None is what the run was trained for, else 8.

    Returns:
      `Quantised`.

    Raises:
      FileNotFoundError, ValueError, checkpoints.CheckpointError: see `student.load`,
        `words.corpus` and `quant.frozen`.
    """
    trained = at(opened(workdir), data)
    if "ranges" in trained.variables:
        return of_variables(trained, trained.variables, bits or trained.config.bits)
    return calibrated(trained, bits or 8)


def opened(workdir):
    """The student of a run: the best, or the last where all steps were to be done.

    The best of a run of configs/qat.py may be one whose ranges were still moving.
    """
    task = checkpoints.read_config(workdir).task
    return student.load(workdir, "latest" if task == "qat" else "best")


def at(trained, data):
    """A student whose recordings are in the folder `data`, unless that is None."""
    config = trained.config.copy_and_resolve_references()
    config.data.root = str(data or config.data.root)
    return trained._replace(config=config)


def calibrated(trained, bits=8):
    """Post-training quantisation of a student: `Quantised`."""
    variables = {name: trained.variables[name] for name in ("params", "batch_stats")}
    ranges = qat.calibrated(trained.config, trained.module, variables)
    return of_variables(trained, {**variables, "ranges": ranges}, bits)


def of_variables(trained, variables, bits):
    """`Quantised` of a student and variables with ranges."""
    model = quant.frozen(trained.module, variables, bits)
    return Quantised(trained, variables, model, bits)


def simulated(found):
    """The network in the arithmetic it was trained in, compiled: a function.

    Returns:
      feature_btf -> logits [b, classes], the numbers of int8 codes: those of the
      integer reference, and so of the files, to the last bit; in a tenth of its time.
    """
    apply = jax.jit(quant.Simulation(found.trained.module, found.bits).apply)
    variables = jax.device_put(found.variables)
    return lambda feature_btf: apply(variables, feature_btf)[0]


def classifier(found):
    """The network as a `Classifier`, in integers: `simulated`."""
    return student.classifier(found.trained)._replace(
        arithmetic=f"integers, weights of {found.bits} bits, simulated",
        features=partial(front_end.log_mel_in_turn, front=found.trained.front),
        logits=simulated(found),
        along=None,
    )


def test_clips(trained):
    """The test clips of a run's recordings, `Clips`.

    Raises:
      ValueError: they hold other words than the run was trained on, or no test clip.
    """
    found, recordings = words.corpus(trained.config)
    if found.labels != trained.labels:
        raise ValueError(
            f"{trained.config.data.root} holds {', '.join(found.labels)}, but the "
            f"network was trained on {', '.join(trained.labels)}; give the recordings "
            "of the run as --data"
        )
    examples = labelled.examples(found, "test", recordings, trained.samples)
    (batch,) = labelled.valid_batches(examples, len(examples.label_n))()
    noise_s = labelled.noise(found, "test", recordings)
    noise_bs = None
    if len(noise_s) > trained.samples:
        rng = np.random.default_rng(NOISE_SEED)
        last = len(noise_s) - trained.samples
        first_b = rng.integers(0, last, len(examples.label_n))
        noise_bs = np.stack([noise_s[at : at + trained.samples] for at in first_b])
    return Clips(batch["audio_bs"], noise_bs, examples.label_n)

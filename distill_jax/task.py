"""The contract between a job, the data it eats and the loop that runs it."""

from collections.abc import Callable
from typing import Any, NamedTuple


class Task(NamedTuple):
    """A training job as pure functions; one step and one loop serve them all.

    Attributes:
      init: (rng) -> params, state. Random, jitted, sharded at birth.
      loss_fn: (params, state, batch, rng) -> loss, (state, metrics). The only
        thing that is differentiated; metrics are scalars.
      eval_fn: (params, state, batch) -> {name: (sum, count)}; "loss" among them.
      load: (params) -> params, frozen. On the host: overlays pretrained weights,
        reads teachers.
      annotate: (frozen, batch) -> batch. Jitted, before the gradient: features
        are computed and teachers write their outputs.
      preview: (params, state, batch) -> {name: array}. What people look at and
        listen to: names end in the axes, `_bs` for audio, `_bft` for pictures.
      trainable: path patterns; every other parameter gets no updates.
    """

    init: Callable
    loss_fn: Callable
    eval_fn: Callable
    load: Callable
    annotate: Callable
    preview: Callable
    trainable: tuple[str, ...] = (".*",)


class Data(NamedTuple):
    """What the loop reads; batches are dictionaries of numpy arrays.

    Attributes:
      train: (start) -> endless iterator over the batches of step start,
        start + 1, …; a batch depends on nothing but the seed and its step.
      valid: () -> iterator, once through the held-out examples. The last batch
        is filled up with examples whose `weight_b` is 0.
      sounds: JSON values that are others where the examples are; held against those of
        the other processes.
    """

    train: Callable
    valid: Callable
    sounds: Any = None


class TrainState(NamedTuple):
    """Everything that a resumed run needs.

    Attributes:
      step: int32 scalar, the updates that were tried.
      params: what the optimizer moves.
      state: what the forward pass moves (batch-norm statistics, ranges).
      opt_state: the optimizer's.
      ema: moving average of params, what evaluation and export use.
      skipped: int32 scalar, all updates skipped because they were not finite.
      skipped_in_a_row: int32 scalar, the same since the last good one.
    """

    step: Any
    params: Any
    state: Any
    opt_state: Any
    ema: Any
    skipped: Any
    skipped_in_a_row: Any

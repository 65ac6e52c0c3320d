"""One update, one evaluation and one preview of a job, compiled."""

import jax
import jax.numpy as jnp

from distill_jax import optimizer
from distill_jax.task import TrainState


def make_step(config, task, shardings=None):
    """Compiles one update.

    Args:
      config: as for `train`.
      task: the `Task`. Its batches get a field `step`, the int32 number of updates
        before this one.
      shardings: TrainState of shardings, or None for one device.

    Returns:
      (state, frozen, batch) -> state, metrics. The state given is donated. If loss or
      gradient is not finite, nothing moves but the counters.
    """
    opt = optimizer.adamw(config)
    # Another stream than the one that drew the initial parameters.
    rng = jax.random.fold_in(jax.random.key(config.seed), 1)

    def step(old, frozen, batch):
        batch = task.annotate(frozen, {**batch, "step": old.step})
        moving = optimizer.trainable(old.params, task.trainable)

        def loss_fn(moving):
            params = cast(optimizer.replaced(old.params, moving), config.dtype)
            return task.loss_fn(
                params, old.state, batch, jax.random.fold_in(rng, old.step)
            )

        (loss, (state, shown)), grads = jax.value_and_grad(loss_fn, has_aux=True)(
            moving
        )
        moving, opt_state, report = opt.update(moving, old.opt_state, grads, loss)
        finite = report.pop("finite")
        params = optimizer.replaced(old.params, moving)
        ema = optimizer.average(
            old.ema, params, old.step - old.skipped, config.ema_decay
        )
        new = TrainState(
            old.step + 1,
            params,
            _choose(finite, state, old.state),
            opt_state,
            _choose(finite, ema, old.ema),
            old.skipped + ~finite,
            jnp.where(finite, 0, old.skipped_in_a_row + 1),
        )
        counters = {
            name: getattr(new, name) for name in ("skipped", "skipped_in_a_row")
        }
        return new, {**shown, "loss": loss, **report, **counters}

    return jax.jit(step, donate_argnums=0, out_shardings=(shardings, None))


def make_eval(config, task):
    """Compiles the evaluation of the averaged parameters.

    Returns:
      (state, frozen, batch) -> {name: (sum, count)}.
    """

    def evaluate(state, frozen, batch):
        params = cast(state.ema, config.dtype)
        return task.eval_fn(params, state.state, task.annotate(frozen, batch))

    return jax.jit(evaluate)


def make_preview(config, task):
    """Compiles the task's preview, likewise: (state, frozen, batch) -> arrays."""

    def preview(state, frozen, batch):
        params = cast(state.ema, config.dtype)
        return task.preview(params, state.state, task.annotate(frozen, batch))

    return jax.jit(preview)


def cast(tree, dtype):
    """The tree with its floating-point arrays in another type."""
    return jax.tree.map(
        lambda leaf: (
            leaf.astype(dtype) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf
        ),
        tree,
    )


def _choose(condition, new, old):
    return jax.tree.map(lambda new, old: jnp.where(condition, new, old), new, old)

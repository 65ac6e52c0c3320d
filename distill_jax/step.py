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
    whole = _gather(shardings)

    def step(old, frozen, batch):
        moving, frozen = optimizer.trainable(old.params, task.trainable), whole(frozen)

        def learn(state, batch, rng):
            batch = task.annotate(frozen, {**batch, "step": old.step})

            def loss_fn(moving):
                params = cast(optimizer.replaced(old.params, moving), config.dtype)
                return task.loss_fn(whole(params), state, batch, rng)

            return jax.value_and_grad(loss_fn, has_aux=True)(moving)

        learn = accumulated(learn, config.accumulate)
        (loss, (state, shown)), grads = learn(
            old.state, batch, jax.random.fold_in(rng, old.step)
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

    outs = shardings, _whole(shardings)
    return jax.jit(step, donate_argnums=0, out_shardings=outs)


def accumulated(learn, parts):
    """Learns from a batch in parts, one after the other, which takes less memory.

    Losses and gradients are weighed by `weight_b`, so means over examples are those of
    the whole batch up to rounding. What looks at several examples at once sees a part:
    batch normalisation (whose averages then move once for each part), free bits and
    mixup. Dropout is drawn for each part.

    Args:
      learn: (state, batch, rng) -> (loss, (state, metrics)), gradients.
      parts: how many; 1 is `learn` itself.

    Returns:
      A function like `learn`. Metrics are means, arrays of counts `*_n` sums.
    """
    if parts == 1:
        return learn

    def learn_in_parts(state, batch, rng):
        dealt = {name: _dealt(array, parts) for name, array in batch.items()}

        def learnt(state, numbered):
            number, part = numbered
            (loss, (state, shown)), grads = learn(
                state, part, jax.random.fold_in(rng, number)
            )
            weight = jnp.sum(part["weight_b"])
            return state, (*_weighed({"loss": loss, **shown}, grads, weight), weight)

        def add(carry, numbered):
            state, found = learnt(carry[0], numbered)
            return (state, jax.tree.map(jnp.add, carry[1], found)), None

        numbered = jnp.arange(parts), dealt
        first = jax.tree.map(lambda array: array[0], numbered)
        _, shapes = jax.eval_shape(learnt, state, first)
        zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
        (state, totals), _ = jax.lax.scan(add, (state, zeros), numbered)
        *sums, weight = totals
        shown, grads = _weighed(*sums, 1 / jnp.maximum(weight, 1e-8))
        return (shown.pop("loss"), (state, shown)), grads

    return learn_in_parts


def _dealt(array_b, parts):
    """[parts, b / parts, …]; example n goes to part n modulo parts.

    So each device deals out those that it has, and how many devices there are does not
    change the parts.
    """
    return jnp.reshape(array_b, (-1, parts, *array_b.shape[1:])).swapaxes(0, 1)


def _weighed(shown, grads, weight):
    """Metrics that are means, and gradients, times a weight."""
    shown = {
        name: value if name.endswith("_n") else value * weight
        for name, value in shown.items()
    }
    return shown, jax.tree.map(lambda grad: grad * weight, grads)


def make_eval(config, task, shardings=None):
    """Compiles the evaluation of the averaged parameters; see `make_step`.

    Returns:
      (state, frozen, batch) -> {name: (sum, count)}.
    """
    whole = _gather(shardings)

    def evaluate(state, frozen, batch):
        params = whole(cast(state.ema, config.dtype))
        return task.eval_fn(params, state.state, task.annotate(whole(frozen), batch))

    return jax.jit(evaluate, out_shardings=_whole(shardings))


def make_preview(config, task, shardings=None):
    """Compiles the task's preview, likewise: (state, frozen, batch) -> arrays."""
    whole = _gather(shardings)

    def preview(state, frozen, batch):
        params = whole(cast(state.ema, config.dtype))
        return task.preview(params, state.state, task.annotate(whole(frozen), batch))

    return jax.jit(preview, out_shardings=_whole(shardings))


def _gather(shardings):
    """Makes the function that puts weights together for as long as they are used.

    Left to itself XLA may cut activations as the weights are cut, and let devices do
    the work of others.
    """
    if shardings is None:
        return lambda tree: tree
    whole = _whole(shardings)
    return lambda tree: jax.lax.with_sharding_constraint(tree, whole)


def _whole(shardings):
    """Sharding of what every process reads; that of the step counter is such a one."""
    return shardings and shardings.step


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

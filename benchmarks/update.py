"""One optimizer update of the sound VAE's 17 million parameters, without the model.

    python -m benchmarks.update

Clipping by the global norm, AdamW, moving average; ours and optax's with the guard that
leaves everything as it was where a number is not finite, PyTorch's without (it has
none). The contenders take turns, so each begins with a cold cache, as after a
backward pass; ratios are to the fastest PyTorch.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import torch
from ml_collections import ConfigDict

from benchmarks import timing
from distill_jax import optimizer
from distill_jax.models.conv_vae import ConvVAE

ROUNDS = 25
CONFIG = ConfigDict(
    {
        "learning_rate": 1e-3,
        "warmup_steps": 0,
        "steps": 1000,
        "weight_decay": 0.01,
        "clip_norm": 1.0,
        "rate_scale": (),
        "ema_decay": 0.999,
    }
)


def parameters():
    model = ConvVAE((64, 128, 256, 512, 1024), latent=128, size=(128, 94), dropout=0.1)
    shapes = jax.eval_shape(
        lambda rng: model.init(rng, jnp.zeros((1, 128, 94, 2))), jax.random.key(0)
    )
    rng = np.random.default_rng(0)
    return {
        path: rng.normal(scale=0.02, size=leaf.shape).astype(np.float32)
        for path, leaf in optimizer.named(shapes["params"]).items()
    }


def ours(state, grads):
    params, opt_state, ema, step = state
    params, opt_state, report = optimizer.adamw(CONFIG).update(
        params, opt_state, grads, 0.0
    )
    new_ema = optimizer.average(ema, params, step, CONFIG.ema_decay)
    return params, opt_state, keep(report["finite"], new_ema, ema), step + 1


def optax_chain():
    return optax.chain(
        optax.clip_by_global_norm(CONFIG.clip_norm),
        optax.adamw(
            optimizer.schedule(CONFIG),
            weight_decay=CONFIG.weight_decay,
            mask=lambda tree: {p: not p.endswith(optimizer.UNDECAYED) for p in tree},
        ),
    )


def moved(state, grads):
    params, opt_state, ema, step = state
    updates, opt_state = optax_chain().update(grads, opt_state, params)
    params = optax.apply_updates(params, updates)
    ema = optimizer.average(ema, params, step, CONFIG.ema_decay)
    return params, opt_state, ema, step + 1


def optax_where(state, grads):
    finite = jnp.isfinite(optax.tree.norm(grads))
    return keep(finite, moved(state, grads), state)


def optax_cond(state, grads):
    finite = jnp.isfinite(optax.tree.norm(grads))
    return jax.lax.cond(finite, lambda s: moved(s, grads), lambda s: s, state)


def keep(finite, new, old):
    return jax.tree.map(lambda n, o: jnp.where(finite, n, o), new, old)


def with_jax(update, init, params):
    """One donated update after the other, on gradients like the parameters."""
    params = jax.tree.map(jnp.asarray, params)
    grads = jax.tree.map(lambda leaf: leaf * 0.1, params)
    ema = jax.tree.map(jnp.copy, params)
    state = [jax.tree.map(jnp.copy, (params, init(params), ema, jnp.int32(0)))]
    compiled = jax.jit(update, donate_argnums=0).lower(state[0], grads).compile()
    spare = compiled.memory_analysis().temp_size_in_bytes / 1e6

    def step():
        state[0] = jax.block_until_ready(compiled(state[0], grads))

    return step, spare


def with_torch(params, **kind):
    tensors = {p: torch.nn.Parameter(torch.tensor(v)) for p, v in params.items()}
    plain = [t for p, t in tensors.items() if p.endswith(optimizer.UNDECAYED)]
    decayed = [t for p, t in tensors.items() if not p.endswith(optimizer.UNDECAYED)]
    groups = [
        {"params": decayed, "weight_decay": CONFIG.weight_decay},
        {"params": plain, "weight_decay": 0.0},
    ]
    adamw = torch.optim.AdamW(groups, lr=CONFIG.learning_rate, **kind)
    everything = list(tensors.values())
    ema = [tensor.detach().clone() for tensor in everything]
    for tensor in everything:
        tensor.grad = 0.1 * tensor.detach()

    @torch.no_grad
    def step():
        # Clips in place, so all but the first time it multiplies by one.
        torch.nn.utils.clip_grad_norm_(everything, CONFIG.clip_norm, foreach=True)
        adamw.step()
        torch._foreach_lerp_(ema, everything, 1 - CONFIG.ema_decay)

    return step, 0.0


def main():
    params = parameters()
    init = optimizer.adamw(CONFIG).init
    contenders = {
        "torch, AdamW(fused=True)": with_torch(params, fused=True),
        "torch, AdamW(foreach=True)": with_torch(params, foreach=True),
        "distill_jax, guarded": with_jax(ours, init, params),
        "optax, guarded by where": with_jax(optax_where, optax_chain().init, params),
        "optax, guarded by cond": with_jax(optax_cond, optax_chain().init, params),
        "optax, not guarded": with_jax(moved, optax_chain().init, params),
    }
    calls = {name: step for name, (step, _) in contenders.items()}
    times = timing.in_turns(calls, ROUNDS)
    count = sum(leaf.size for leaf in params.values())
    print(f"{count:,} parameters, {torch.get_num_threads()} threads")
    fastest = times["torch, AdamW(fused=True)"].median
    for name, taken in times.items():
        print(
            f"{name:28s} {1e3 * taken.median:6.1f} ms (least {1e3 * taken.least:.1f}) "
            f"×{taken.median / fastest:.2f}  {contenders[name][1]:4.0f} MB temporary"
        )


if __name__ == "__main__":
    main()

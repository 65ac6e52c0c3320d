"""One optimizer update of the sound VAE's 17 million parameters, without the model.

    python benchmarks/update.py

Clipping by the global norm, AdamW, moving average; ours and optax's with the guard that
leaves everything as it was where a number is not finite, PyTorch's without (it has
none). Prints milliseconds (best and median), and ratios to the fastest PyTorch.
"""

import time

import jax
import jax.numpy as jnp
import numpy as np
import optax
import torch
from ml_collections import ConfigDict

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


def time_jax(update, init, params):
    params = jax.tree.map(jnp.asarray, params)
    grads = jax.tree.map(lambda leaf: leaf * 0.1, params)
    ema = jax.tree.map(jnp.copy, params)
    state = (params, init(params), ema, jnp.int32(0))
    compiled = jax.jit(update, donate_argnums=0).lower(state, grads).compile()
    held = [jax.tree.map(jnp.copy, state)]

    def step():
        held[0] = jax.block_until_ready(compiled(held[0], grads))

    extra = compiled.memory_analysis().temp_size_in_bytes / 1e6
    return timed(step), f"{extra:.0f} MB of temporaries"


def time_torch(params, **kind):
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
    grads = [0.1 * tensor.detach() for tensor in everything]

    def step():
        for tensor, grad in zip(everything, grads, strict=True):
            tensor.grad.copy_(grad)
        start = time.perf_counter()
        torch.nn.utils.clip_grad_norm_(everything, CONFIG.clip_norm, foreach=True)
        adamw.step()
        with torch.no_grad():
            torch._foreach_lerp_(ema, everything, 1 - CONFIG.ema_decay)
        return time.perf_counter() - start

    for tensor, grad in zip(everything, grads, strict=True):
        tensor.grad = grad.clone()
    return timed(step), ""


def timed(step):
    """Best and median milliseconds; a step may say itself how long it took."""
    seconds = []
    for _ in range(ROUNDS + 3):
        start = time.perf_counter()
        own = step()
        seconds.append(own or time.perf_counter() - start)
    return 1e3 * np.min(seconds[3:]), 1e3 * np.median(seconds[3:])


def main():
    params = parameters()
    torch.set_num_threads(len(jax.devices()) and torch.get_num_threads())
    rows = {
        "torch AdamW(fused)": time_torch(params, fused=True),
        "torch AdamW(foreach)": time_torch(params, foreach=True),
        "distill_jax, guarded": time_jax(ours, optimizer.adamw(CONFIG).init, params),
        "optax, guard by where": time_jax(optax_where, optax_chain().init, params),
        "optax, guard by cond": time_jax(optax_cond, optax_chain().init, params),
        "optax, no guard": time_jax(moved, optax_chain().init, params),
    }
    count = sum(leaf.size for leaf in params.values())
    print(f"{count:,} parameters, {torch.get_num_threads()} threads, best/median ms")
    fastest = rows["torch AdamW(fused)"][0][1]
    for name, ((best, median), note) in rows.items():
        print(f"{name:24s} {best:6.1f} {median:6.1f}  ×{median / fastest:.2f}  {note}")


if __name__ == "__main__":
    main()

"""One training step of the sound VAE, beside PyTorch and beside stock linen.

    python -m benchmarks.vae_step [--batches 8,32] [--rounds 9] [--threads 2]

A step is forward, L1 loss and KL, backward, clipping by global norm and AdamW, in
float32, dropout on. Every contender lives in a process of its own, and they take
turns: the others are idle while one steps. PyTorch runs eagerly, once in its
default memory format and once in channels-last, with its fused AdamW; ratios are
against the faster of the two.
"""

import argparse
import multiprocessing
import os
import resource
import statistics
import time

CLIP, RATE, DECAY, KL_WEIGHT = 1.0, 1e-3, 1e-4, 1e-3
SIZE = 128, 94


def jax_step(model, batch):
    import jax
    import jax.numpy as jnp
    import optax

    optimizer = optax.chain(
        optax.clip_by_global_norm(CLIP), optax.adamw(RATE, weight_decay=DECAY)
    )

    def loss_fn(params, stats, feature_bftc, rng):
        (recon_bftc, out), state = model.apply(
            {"params": params, "batch_stats": stats},
            feature_bftc,
            True,
            rngs=dict(zip(("latent", "dropout"), jax.random.split(rng), strict=True)),
            mutable=["batch_stats"],
        )
        mean_bz, log_var_bz = out["mean_bz"], out["log_var_bz"]
        kl_bz = 0.5 * (mean_bz**2 + jnp.exp(log_var_bz) - 1 - log_var_bz)
        loss = jnp.mean(jnp.abs(recon_bftc - feature_bftc))
        return loss + KL_WEIGHT * jnp.mean(jnp.sum(kl_bz, axis=1)), state["batch_stats"]

    def update(carry, feature_bftc, rng):
        params, stats, opt_state = carry
        grads, stats = jax.grad(loss_fn, has_aux=True)(params, stats, feature_bftc, rng)
        updates, opt_state = optimizer.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), stats, opt_state

    feature_bftc = jax.random.uniform(jax.random.key(0), (batch, *SIZE, 2))
    variables = jax.jit(model.init)(jax.random.key(1), feature_bftc)
    params = variables["params"]
    carry = params, variables["batch_stats"], optimizer.init(params)
    update = jax.jit(update, donate_argnums=0)
    rng = jax.random.key(2)

    def step():
        nonlocal carry
        carry = jax.block_until_ready(update(carry, feature_bftc, rng))

    return step


def ours(batch):
    from distill_jax.models.conv_vae import ConvVAE

    return jax_step(ConvVAE(), batch)


def linen(batch):
    from benchmarks.linen_conv_vae import ConvVAE

    return jax_step(ConvVAE(), batch)


def torch_step(batch, channels_last):
    import torch

    from tests.oracles.torch_conv_vae import ConvVAE

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    layout = torch.channels_last if channels_last else torch.contiguous_format
    model = ConvVAE().to(memory_format=layout)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=RATE, weight_decay=DECAY, fused=True
    )
    feature = torch.rand(batch, 2, *SIZE).contiguous(memory_format=layout)

    def step():
        optimizer.zero_grad()
        recon, mean_bz, log_var_bz = model(feature, torch.randn(batch, 128))
        kl_bz = 0.5 * (mean_bz**2 + log_var_bz.exp() - 1 - log_var_bz)
        loss = (recon - feature).abs().mean() + KL_WEIGHT * kl_bz.sum(1).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()

    return step


def torch_default(batch):
    return torch_step(batch, channels_last=False)


def torch_channels_last(batch):
    return torch_step(batch, channels_last=True)


CONTENDERS = (ours, torch_default, torch_channels_last, linen)


def serve(contender, batch, threads, pipe):
    """Builds a contender, then steps whenever it is asked to."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    step = contender(batch)
    start = time.perf_counter()
    step()
    pipe.send(time.perf_counter() - start)
    step()
    while pipe.recv():
        start = time.perf_counter()
        step()
        pipe.send(time.perf_counter() - start)
    pipe.send(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def race(contenders, batch, rounds, threads):
    """First step, median step (seconds) and peak memory (MiB) of each."""
    context = multiprocessing.get_context("spawn")
    pipes, first = {}, {}
    for contender in contenders:
        pipes[contender], theirs = context.Pipe()
        arguments = contender, batch, threads, theirs
        context.Process(target=serve, args=arguments, daemon=True).start()
        first[contender] = pipes[contender].recv()
    times = {contender: [] for contender in contenders}
    for _ in range(rounds):
        for contender, pipe in pipes.items():
            pipe.send(True)
            times[contender].append(pipe.recv())
    peak = {}
    for contender, pipe in pipes.items():
        pipe.send(False)
        peak[contender] = pipe.recv()
    return first, {name: statistics.median(all_) for name, all_ in times.items()}, peak


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batches", default="8,32")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", help="contenders, separated by commas")
    options = parser.parse_args()
    only = options.only.split(",") if options.only else None
    chosen = [c for c in CONTENDERS if only is None or c.__name__ in only]
    for batch in map(int, options.batches.split(",")):
        first, median, peak = race(chosen, batch, options.rounds, options.threads)
        print(f"batch {batch}, {options.threads} threads, {options.rounds} rounds")
        rivals = [median[c] for c in chosen if c.__name__.startswith("torch")]
        for contender in chosen:
            against = f"{min(rivals) / median[contender]:8.2f}x" if rivals else ""
            print(
                f"  {contender.__name__:20} {median[contender]:8.3f} s/step {against}"
                f" {peak[contender]:8.0f} MiB peak {first[contender]:8.1f} s first"
            )


if __name__ == "__main__":
    main()

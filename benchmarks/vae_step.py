"""One training step of the sound VAE, beside PyTorch and beside stock linen.

    python -m benchmarks.vae_step [--batches 8,32] [--rounds 9] [--threads 2]
        [--device cuda] [--dtype bfloat16]

A step is forward, L1 loss and KL, backward, clipping by global norm and AdamW, dropout
on. In bfloat16 weights stay float32; ours are cast for a step, PyTorch's by autocast.
Every contender lives in a process of its own, and they take turns: the others are idle
while one steps. PyTorch runs eagerly, once in its default memory format and once in
channels-last, with its fused AdamW; ratios are against the faster of the two.
"""

from benchmarks import racing

CLIP, RATE, DECAY, KL_WEIGHT = 1.0, 1e-3, 1e-4, 1e-3
SIZE = 128, 94


def jax_step(model, work):
    import jax
    import jax.numpy as jnp
    import optax

    from distill_jax.step import cast

    optimizer = optax.chain(
        optax.clip_by_global_norm(CLIP), optax.adamw(RATE, weight_decay=DECAY)
    )

    def loss_fn(params, stats, feature_bftc, rng):
        (recon_bftc, out), state = model.apply(
            {"params": cast(params, work.dtype), "batch_stats": stats},
            feature_bftc.astype(work.dtype),
            True,
            rngs=dict(zip(("latent", "dropout"), jax.random.split(rng), strict=True)),
            mutable=["batch_stats"],
        )
        mean_bz, log_var_bz = cast((out["mean_bz"], out["log_var_bz"]), "float32")
        kl_bz = 0.5 * (mean_bz**2 + jnp.exp(log_var_bz) - 1 - log_var_bz)
        loss = jnp.mean(jnp.abs(recon_bftc - feature_bftc))
        return loss + KL_WEIGHT * jnp.mean(jnp.sum(kl_bz, axis=1)), state["batch_stats"]

    def update(carry, feature_bftc, rng):
        params, stats, opt_state = carry
        grads, stats = jax.grad(loss_fn, has_aux=True)(params, stats, feature_bftc, rng)
        updates, opt_state = optimizer.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), stats, opt_state

    feature_bftc = jax.random.uniform(jax.random.key(0), (work.batch, *SIZE, 2))
    variables = jax.jit(model.init)(jax.random.key(1), feature_bftc)
    params = variables["params"]
    carry = params, variables["batch_stats"], optimizer.init(params)
    update = jax.jit(update, donate_argnums=0)
    rng = jax.random.key(2)

    def step():
        nonlocal carry
        carry = jax.block_until_ready(update(carry, feature_bftc, rng))

    return step


def ours(work):
    from distill_jax.models.conv_vae import ConvVAE

    return jax_step(ConvVAE(), work)


def linen(work):
    from benchmarks.linen_conv_vae import ConvVAE

    return jax_step(ConvVAE(), work)


def torch_step(work, channels_last):
    import torch

    from tests.oracles.torch_conv_vae import ConvVAE

    racing.ready_torch(work)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    model = ConvVAE().to(memory_format=layout)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=RATE, weight_decay=DECAY, fused=True
    )
    feature = torch.rand(work.batch, 2, *SIZE).contiguous(memory_format=layout)
    low = torch.autocast(work.device, torch.bfloat16, work.dtype == "bfloat16")

    def step():
        optimizer.zero_grad()
        noise_bz = torch.randn(work.batch, 128)
        with low:
            recon, mean_bz, log_var_bz = model(feature, noise_bz)
        kl_bz = 0.5 * (mean_bz**2 + log_var_bz.exp() - 1 - log_var_bz)
        loss = (recon - feature).abs().mean() + KL_WEIGHT * kl_bz.sum(1).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()

    return racing.waiting(step, work)


def torch_default(work):
    return torch_step(work, channels_last=False)


def torch_channels_last(work):
    return torch_step(work, channels_last=True)


CONTENDERS = (ours, torch_default, torch_channels_last, linen)


def main():
    parser = racing.arguments(__doc__)
    parser.add_argument("--batches", default="8,32")
    parser.add_argument("--only", help="contenders, separated by commas")
    options = parser.parse_args()
    only = options.only.split(",") if options.only else None
    chosen = [c for c in CONTENDERS if only is None or c.__name__ in only]
    for batch in map(int, options.batches.split(",")):
        work = racing.Work(batch, options.device, options.dtype)
        paces = racing.race(chosen, work, options.rounds, options.threads)
        print(f"{work}, {options.threads} threads, {options.rounds} rounds")
        rivals = [paces[c].median for c in chosen if c.__name__.startswith("torch")]
        for contender, pace in paces.items():
            against = f"{min(rivals) / pace.median:8.2f}x" if rivals else ""
            print(
                f"  {contender.__name__:20} {pace.median:8.4f} s/step {against}"
                f" {racing.memory(pace)} {pace.first:8.1f} s first"
            )


if __name__ == "__main__":
    main()

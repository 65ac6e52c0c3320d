"""An epoch of training a keyword network, beside PyTorch.

    python -m benchmarks.tiny_conv_step [--batch 64] [--rounds 9] [--threads 2]
        [--device cuda] [--dtype bfloat16]

An epoch is 4,112 clips of 1 s, as many as three words of Speech Commands have: the
augmentation of `configs/distill.py`, log-mel features, masks, forward, backward,
clipping, AdamW and the moving average of the parameters. Clips lie in memory.
Every contender lives in a process of its own, and they take turns, eight updates at a
time; ratios are against the faster of PyTorch's two memory formats.
"""

import numpy as np

from benchmarks import racing

CLIPS, STEPS = 4112, 8
LABELS = ("bed", "cat", "happy")


def config_of(variant, work):
    from configs.distill import get_config

    config = get_config(variant)
    config.labels, config.batch = LABELS, work.batch
    config.dtype = work.dtype
    return config


def sounds(batch):
    rng = np.random.default_rng(0)
    audio_bs = np.float32(0.1 * rng.normal(size=(batch, 16_000)))
    noise_s = np.float32(0.1 * rng.normal(size=300 * 16_000))
    return audio_bs, noise_s, np.int32(rng.integers(0, len(LABELS), batch))


def jax_steps(variant, work):
    import jax

    from distill_jax import sharding, train
    from distill_jax.audio import augment
    from distill_jax.tasks import distill

    config, batch = config_of(variant, work), work.batch
    audio_bs, noise_s, label_b = sounds(batch)
    bank = augment.bank(noise_s, np.zeros((0, 0)), audio_bs.shape[1])
    frozen = {"bank": bank, "teachers": []}
    task = distill.make(config)._replace(load=lambda params: (params, frozen))
    programs, state = train.prepare(config, task, sharding.mesh(1))
    fields = {"label_b": label_b, "weight_b": np.ones(batch, np.float32)}
    seed_b = np.arange(batch, dtype=np.uint32)

    def call():
        nonlocal state
        for step in range(STEPS):
            drawn_b = seed_b + np.uint32(step * batch)
            seeds = {"seed_b": drawn_b, "mask_seed_b": drawn_b}
            placed = programs.place({"audio_bs": audio_bs, **fields, **seeds})
            state, values = programs.step(state, programs.frozen, placed)
        jax.block_until_ready(values)

    return call


def torch_steps(variant, work, channels_last):
    import torch

    from benchmarks import torch_augment
    from distill_jax.audio import augment
    from distill_jax.tasks import distill
    from tests.oracles.torch_tiny_conv import TinyConv

    racing.ready_torch(work)
    config = config_of(variant, work)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    sizes = config.model.channels, config.model.strides, config.model.use_depthwise
    model = TinyConv(len(LABELS), *sizes).to(memory_format=layout)
    optimizer = torch.optim.AdamW(model.parameters(), config.learning_rate, fused=True)
    average = [p.detach().clone() for p in model.parameters()]
    loss_fn = torch.nn.CrossEntropyLoss(label_smoothing=config.label_smoothing)
    log_mel = torch_augment.LogMel(distill.front(config))
    varied, masks = augment.Settings(**config.augment), augment.Masks(**config.masks)
    audio_bs, noise_s, label_b = sounds(work.batch)
    noise_s, label_b = torch.tensor(noise_s), torch.tensor(label_b).long()
    host_bs = torch.from_numpy(audio_bs)
    low = torch.autocast(work.device, torch.bfloat16, work.dtype == "bfloat16")

    def one():
        with torch.no_grad():
            heard_bs = torch_augment.augment(host_bs.to(work.device), noise_s, varied)
            picture = torch_augment.masked(log_mel(heard_bs), masks)
        optimizer.zero_grad()
        with low:
            logits_bc = model(picture.contiguous(memory_format=layout))
        loss_fn(logits_bc.float(), label_b).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm)
        optimizer.step()
        moved = [p.detach() for p in model.parameters()]
        torch._foreach_lerp_(average, moved, 1 - config.ema_decay)

    def call():
        for _ in range(STEPS):
            one()

    return racing.waiting(call, work)


def ours_full(work):
    return jax_steps("none", work)


def torch_full(work):
    return torch_steps("none", work, channels_last=False)


def torch_channels_last_full(work):
    return torch_steps("none", work, channels_last=True)


def ours_depthwise(work):
    return jax_steps("none,depthwise", work)


def torch_depthwise(work):
    return torch_steps("none,depthwise", work, channels_last=False)


def torch_channels_last_depthwise(work):
    return torch_steps("none,depthwise", work, channels_last=True)


RACES = {
    "16-32-64-64": (ours_full, torch_full, torch_channels_last_full),
    "16-32-64-64, depthwise": (
        ours_depthwise,
        torch_depthwise,
        torch_channels_last_depthwise,
    ),
}


def main():
    parser = racing.arguments(__doc__)
    parser.add_argument("--batch", type=int, default=64)
    options = parser.parse_args()
    work = racing.Work(options.batch, options.device, options.dtype)
    epochs = CLIPS / (STEPS * work.batch)
    for name, contenders in RACES.items():
        paces = racing.race(contenders, work, options.rounds, options.threads)
        print(f"{name}, {work}, {options.threads} threads", flush=True)
        rival = min(paces[contender].median for contender in contenders[1:])
        for contender, pace in paces.items():
            print(
                f"  {contender.__name__:30} {epochs * pace.median:6.2f} s/epoch"
                f" {rival / pace.median:5.2f}x {racing.memory(pace)}"
                f" {pace.first:6.1f} s first"
            )


if __name__ == "__main__":
    main()

"""A step with two teachers: live, with kept answers, and written in PyTorch.

    python -m benchmarks.distill_step [--batch 8] [--rounds 5] [--threads 2]
        [--layers 12,24] [--device cuda] [--dtype bfloat16]

Teachers are Wav2Vec2 base and Wav2Vec2-BERT with random weights and so many layers, of
the type asked for. The student is depthwise TinyConv, aligned with the middle layer of
each. A step augments, makes the features of all three, asks the teachers, and updates
student and projectors (float32). PyTorch takes the feature extractors, which compute on
the processor, and the models of `transformers`; `torch_given` is spared the extractors:
its teachers get the same features at every step. Every contender lives in a process of
its own, and they take turns. Shown last are examples per second and the share of the
rate at which this machine multiplies large matrices of that type.
"""

import numpy as np

from benchmarks import jobs_by_formula, racing, timing
from benchmarks.tiny_conv_step import LABELS, sounds


def encoders(layers):
    wav, bert = layers
    sizes = {"hidden_size": 768, "num_attention_heads": 12, "intermediate_size": 3072}
    yield {"model_type": "wav2vec2", "num_hidden_layers": wav, **sizes}
    yield {"model_type": "wav2vec2-bert", "num_hidden_layers": bert}


def config_of(work):
    from configs.distill import get_config

    config = get_config("dual,depthwise")
    config.labels, config.batch = LABELS, work.batch
    config.distill.dtype = work.dtype
    return config


def teachers_of(config, layers):
    import jax
    import jax.numpy as jnp

    from distill_jax import teachers
    from distill_jax.audio import kaldi, normalise
    from distill_jax.models import hf

    head = {"id2label": dict(enumerate(config.labels))}
    for encoder in encoders(layers):
        module = hf.from_config(encoder | head, "classifier")
        bert = encoder["model_type"] == "wav2vec2-bert"
        form = kaldi.Filterbank() if bert else normalise.Waveform()
        example = jnp.zeros((1, 49, 160) if bert else (1, 16_000))
        shapes = jax.eval_shape(module.init, jax.random.key(0), example)
        rng = np.random.default_rng(0)
        variables = jax.tree.map(
            lambda leaf, rng=rng: (
                np.float32(0.02) * rng.standard_normal(leaf.shape, np.float32)
            ),
            shapes,
        )
        variables = jax.tree.map(
            lambda leaf: leaf.astype(config.distill.dtype), variables
        )
        name = encoder["model_type"]
        yield teachers.Teacher(
            name, config.labels, module, form, 16_000, variables, 1.0, ""
        )


def ours(work, kept):
    import jax

    from distill_jax import sharding, train
    from distill_jax.audio import augment
    from distill_jax.tasks import distill
    from distill_jax.teachers import lessons

    config, batch = config_of(work), work.batch
    found = list(teachers_of(config, work.layers))
    task = distill.taught_by(config, found)
    audio_bs, noise_s, label_b = sounds(batch)
    bank = augment.bank(noise_s, np.zeros((0, 0)), audio_bs.shape[1])
    asked = [] if kept else [teacher.variables for teacher in found]
    task = task._replace(
        load=lambda params: (params, {"bank": bank, "teachers": asked})
    )
    programs, state = train.prepare(config, task, sharding.mesh(1))
    seed_b = np.arange(batch, dtype=np.uint32)
    fields = {"audio_bs": audio_bs, "label_b": label_b, "seed_b": seed_b}
    fields |= {"mask_seed_b": seed_b, "weight_b": np.ones(batch, np.float32)}
    if kept:
        rng = np.random.default_rng(0)
        fields[lessons.LOGITS] = np.float32(rng.normal(size=(batch, 2, len(LABELS))))
        for number, teacher in enumerate(found):
            encoder = teacher.module.encoder
            name = f"teacher_{number}_layer_{encoder.count // 2}"
            fields[name] = np.float32(rng.normal(size=(batch, encoder.width)))
    del found

    def call():
        nonlocal state
        placed = programs.place(fields)
        state, values = programs.step(state, programs.frozen, placed)
        jax.block_until_ready(values)

    return call


def ours_live(work):
    return ours(work, kept=False)


def ours_kept(work):
    return ours(work, kept=True)


def torch_live(work):
    return in_torch(work, given=False)


def torch_given(work):
    return in_torch(work, given=True)


def in_torch(work, given):
    import torch
    import transformers
    from torch.nn import functional

    from benchmarks import torch_augment
    from distill_jax.audio import augment
    from distill_jax.tasks import distill
    from tests.oracles.torch_tiny_conv import TinyConv

    racing.ready_torch(work)
    config = config_of(work)
    kinds = [
        (transformers.Wav2Vec2Config, transformers.Wav2Vec2ForSequenceClassification),
        (
            transformers.Wav2Vec2BertConfig,
            transformers.Wav2Vec2BertForSequenceClassification,
        ),
    ]
    networks = []
    for encoder, (settings, network) in zip(encoders(work.layers), kinds, strict=True):
        encoder = {
            name: value for name, value in encoder.items() if name != "model_type"
        }
        made = settings(**encoder, num_labels=len(LABELS), attn_implementation="sdpa")
        networks.append(network(made).to(getattr(torch, work.dtype)).eval())
    extract = (
        transformers.Wav2Vec2FeatureExtractor(),
        transformers.SeamlessM4TFeatureExtractor(),
    )
    sizes = config.model.channels, config.model.strides, config.model.use_depthwise
    student = TinyConv(len(LABELS), *sizes)
    widths = [network.config.hidden_size for network in networks]
    projectors = torch.nn.ModuleList(projector(width) for width in widths)
    moving = [*student.parameters(), *projectors.parameters()]
    optimizer = torch.optim.AdamW(moving, config.learning_rate, fused=True)
    average = [p.detach().clone() for p in moving]
    log_mel = torch_augment.LogMel(distill.front(config))
    varied, masks = augment.Settings(**config.augment), augment.Masks(**config.masks)
    audio_bs, noise_s, label_b = sounds(work.batch)
    noise_s, label_b = torch.tensor(noise_s), torch.tensor(label_b)
    host_bs = torch.from_numpy(audio_bs)
    heat, alpha, tau = (config.distill[n] for n in ("temperature", "alpha", "tau"))

    def extracted(heard_bs):
        clips, found = list(heard_bs.cpu().numpy()), []
        for extractor in extract:
            with torch.device("cpu"):
                fields = extractor(clips, sampling_rate=16_000, return_tensors="pt")
            fields = fields.to(work.device)
            for name, value in fields.items():
                if value.is_floating_point():
                    fields[name] = value.to(getattr(torch, work.dtype))
            found.append(fields)
        return found

    always = extracted(host_bs) if given else None

    def asked(heard_bs):
        logits, aligned = [], []
        features = always or extracted(heard_bs)
        for network, fields in zip(networks, features, strict=True):
            said = network(**fields, output_hidden_states=True)
            middle = said.hidden_states[network.config.num_hidden_layers // 2].float()
            logits.append(said.logits.float())
            aligned.append(functional.layer_norm(middle.mean(1), middle.shape[-1:]))
        return torch.stack(logits), aligned

    def call():
        with torch.no_grad():
            heard_bs = torch_augment.augment(host_bs.to(work.device), noise_s, varied)
            logits_mbc, aligned = asked(heard_bs)
            picture = torch_augment.masked(log_mel(heard_bs), masks)
            sure_mbc = logits_mbc.log_softmax(-1)
            entropy_mb = -(sure_mbc.exp() * sure_mbc).sum(-1)
            weight_mb = (-entropy_mb / tau).softmax(0)
            soft_mbc = (logits_mbc / heat).softmax(-1)
            target_bc = (weight_mb[..., None] * soft_mbc).sum(0)
        optimizer.zero_grad()
        feature_bd = student.features(picture).mean((2, 3))
        logits_bc = student.classifier[2](feature_bd)
        hard = functional.cross_entropy(logits_bc, label_b.long())
        student_bc = (logits_bc / heat).log_softmax(-1)
        soft = heat**2 * functional.kl_div(student_bc, target_bc, reduction="batchmean")
        pairs = zip(projectors, aligned, strict=True)
        apart = sum(functional.mse_loss(p(feature_bd), t) for p, t in pairs) / 2
        ((1 - alpha) * hard + alpha * soft + apart).backward()
        torch.nn.utils.clip_grad_norm_(moving, config.clip_norm)
        optimizer.step()
        moved = [p.detach() for p in moving]
        torch._foreach_lerp_(average, moved, 1 - config.ema_decay)

    return racing.waiting(call, work)


def projector(width):
    from torch import nn

    return nn.Sequential(
        nn.Linear(64, 256), nn.LayerNorm(256), nn.ReLU(), nn.Linear(256, width)
    )


CONTENDERS = ours_live, ours_kept, torch_live, torch_given


def main():
    parser = racing.arguments(__doc__, rounds=5)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--layers", default="12,24", help="of the two teachers")
    options = parser.parse_args()
    layers = tuple(map(int, options.layers.split(",")))
    work = racing.Work(options.batch, options.device, options.dtype, layers)
    paces = racing.race(CONTENDERS, work, options.rounds, options.threads)
    print(f"{work}, {options.threads} threads, {options.rounds} rounds")
    live, theirs = paces[ours_live].median, paces[torch_live].median
    for contender, pace in paces.items():
        print(
            f"  {contender.__name__:12} {pace.median:8.4f} s/step "
            f"{live / pace.median:8.2f}x live {theirs / pace.median:8.2f}x PyTorch "
            f"{racing.memory(pace)} {pace.first:8.1f} s first"
        )
    if layers == (12, 24):
        rate = timing.matmul_rate(work.dtype)
        share = jobs_by_formula.distilled(live=True).flops * work.batch / live / rate
        print(
            f"live: {work.batch / live:.3g} examples/s, {share:.0%} of "
            f"{rate / 1e12:.3g} Tflop/s of large {work.dtype} products"
        )


if __name__ == "__main__":
    main()

"""Quality of the sound VAE on real recordings, each figure beside its bar.

    python -m benchmarks.vae_quality overfit|heldout|untrained|all
        [--steps N] [--root FOLDER] [--workdir FOLDER]

`overfit` learns eight windows by heart. `heldout` trains `configs/vae.py` on the
recordings, or goes on with a run that was stopped, and judges its report.
`untrained` counts the axes that are named in models that have learnt nothing.
Lines begin with PASS, FAIL or, where there is no bar, INFO.
"""

import argparse
import itertools
import json
import sys
from pathlib import Path

import jax
import numpy as np

from configs.vae import get_config
from distill_jax import folders, main, progress, sharding, sound, train
from distill_jax.data import pipeline
from distill_jax.sound_analysis import axes, evidence
from distill_jax.sound_report import baselines
from distill_jax.tasks import vae

RECORDINGS = Path(__file__).parents[2] / "shared" / "data"
OVERFIT_STEPS, CHUNKS = 400, 8
OVERFIT_LOG_MEL, ACTIVE_UNITS, NOT_COPIED = 0.30, 16, 0.5
UNTRAINED_SEEDS, UNTRAINED_WINDOWS = 3, 128


class Verdicts:
    """Prints lines and remembers whether one failed."""

    def __init__(self):
        self.failed = 0

    def line(self, passed, text):
        """PASS or FAIL, or INFO where `passed` is None."""
        self.failed += passed is False
        print({True: "PASS", False: "FAIL", None: "INFO"}[passed], text, flush=True)


def overfit(args, verdicts):
    config = get_config()
    config.data.root, config.batch = str(args.root), CHUNKS
    config.steps = min(args.steps or OVERFIT_STEPS, OVERFIT_STEPS)
    config.model.dropout = config.loss_weight.kl = 0.0
    audio_bs = windows(config, CHUNKS)
    state = fit(config, {"audio_bs": audio_bs, "weight_b": np.ones(CHUNKS, np.float32)})
    model = sound.of_variables(config, {"params": state.ema, **state.state})
    feature_bftc = model.decode(model.encode(audio_bs)[0])
    decoded_bs = baselines.decode(feature_bftc, model.spec, model.samples)
    found = baselines.distances(audio_bs, decoded_bs, model.spec)
    log_mel = found.pop("log_mel_l1").mean()
    others = ", ".join(
        f"{name} {value_b.mean():.3f}" for name, value_b in found.items()
    )
    verdicts.line(
        bool(log_mel <= OVERFIT_LOG_MEL),
        f"overfit: {CHUNKS} windows, {config.steps} steps: log-mel L1 {log_mel:.3f} "
        f"(at most {OVERFIT_LOG_MEL}); {others}",
    )


def windows(config, count):
    """Training windows with sound in them, [count, samples], of as many files."""
    train_clips, _ = vae.clips(config)
    samples = vae.window_samples(config)
    source = pipeline.source([clip.path for clip in train_clips], samples, samples)
    found = baselines.sample(source, 4 * count, config.seed, vae.spectrogram(config))
    return baselines.audible(found, count).audio_ns


def fit(config, batch):
    """Takes the training steps on one batch; no files are written."""
    task, mesh = vae.make(config), sharding.mesh()
    programs, state = train.prepare(config, task, mesh)
    batch = programs.place(batch)
    for _ in progress.bar(range(config.steps), "overfit", unit="step"):
        state, _ = programs.step(state, programs.frozen, batch)
        jax.block_until_ready(state.step)
    return state


def heldout(args, verdicts):
    config = get_config()
    config.data.root = str(args.root)
    config.steps = args.steps or config.steps
    main.run(config, args.workdir)
    report = Path(args.workdir) / "report" / "report.json"
    judge(json.loads(report.read_text("utf-8")), verdicts)


def judge(figures, verdicts):
    """Holds a report to the bars."""
    held_out = figures["held_out"]
    ours = held_out["reconstruction"]
    for rival, measure in itertools.product(
        ("pca", "nearest"), ("log_mel_l1", "mrstft")
    ):
        theirs, share = held_out[rival], held_out["share_closer_than"][rival][measure]
        verdicts.line(
            ours[measure] < theirs[measure],
            f"{measure}: reconstruction {ours[measure]:.3f}, {rival} "
            f"{theirs[measure]:.3f}; closer for {share:.0%} of "
            f"{held_out['windows']} windows",
        )
    latents = figures["latents"]
    verdicts.line(
        latents["active_units"] >= ACTIVE_UNITS,
        f"active units: {latents['active_units']} of {latents['latents']} (at least "
        f"{ACTIVE_UNITS}); KL {latents['kl_nats']:.1f} nats, "
        f"{latents['share_at_free_bits']:.0%} of the latents at the free bits",
    )
    near = figures["nearest_training_sound"]
    median = {kind: spread["median"] for kind, spread in near.items()}
    ratio = median["generated"] / median["held_out"]
    verdicts.line(
        ratio >= NOT_COPIED,
        "memorisation: median log-mel L1 to the nearest training window: "
        f"generated {median['generated']:.3f}, held out {median['held_out']:.3f}, "
        f"training to other files {median['training']:.3f}; generated over held out "
        f"{ratio:.2f} (at least {NOT_COPIED})",
    )
    run = figures["run"]
    verdicts.line(
        None,
        f"step {run['step_judged']} of {run['steps']}, {run['parameters']:,} "
        f"parameters, {run['training_files']} files to train on, "
        f"{run['held_out_files']} held out, {run['device']}, JAX {run['jax']}",
    )


def untrained(args, verdicts):
    config = get_config()
    config.data.root = str(args.root)
    audio_ns = windows(config, UNTRAINED_WINDOWS)
    for seed in range(UNTRAINED_SEEDS):
        params, state = jax.jit(vae.make(config).init)(jax.random.key(seed))
        model = sound.of_variables(config, {"params": params, **state})
        mean_nz, _ = model.encode(audio_ns)
        lines = axes.fit(mean_nz)
        named = evidence.names(evidence.measure(model, lines, mean_nz))
        verdicts.line(
            not named,
            f"untrained, seed {seed}: {len(named)} of {len(lines.std_a)} axes named",
        )


PARTS = {"overfit": overfit, "heldout": heldout, "untrained": untrained}


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", choices=[*PARTS, "all"])
    parser.add_argument("--steps", type=int, help="fewer or more than the bar allows")
    parser.add_argument("--root", type=Path, default=RECORDINGS / "esc10_4")
    parser.add_argument("--workdir", default="runs/vae_quality")
    return parser.parse_args()


def run():
    args, verdicts = arguments(), Verdicts()
    if not args.root.is_dir():
        sys.exit(f"there are no recordings in {args.root}; give a folder with --root")
    train.cache_compilations(folders.cache("xla"))
    for part in PARTS if args.part == "all" else [args.part]:
        PARTS[part](args, verdicts)
    sys.exit(bool(verdicts.failed))


if __name__ == "__main__":
    run()

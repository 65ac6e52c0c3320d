"""What was trained, on what and by what."""

import platform

import jax
import numpy as np

import distill_jax
from distill_jax import report
from distill_jax.sound_report.job import Chapter
from distill_jax.tasks import vae

TITLES = {
    "loss": "loss",
    "magnitude": "magnitude L1",
    "log_power": "log power L1, nepers",
    "frequency": "frequency L1",
    "audio": "MRSTFT of the audio",
    "kl": "KL with free bits, nats",
    "kl_nats": "KL, nats",
}


def training(job):
    """The curves of the training, and its circumstances."""
    logged = report.curves(job.workdir)
    figures = circumstances(job) | report.time(job.workdir)
    if "train/skipped" in logged:
        figures["skipped_updates"] = int(logged["train/skipped"][1][-1])
    names = [name for name in TITLES if f"valid/{name}" in logged]
    parts = ["No losses were logged."]
    if names:
        series = {TITLES[name]: report.sides(logged, name) for name in names}
        report.panels(job.folder / "curves.png", series, "Losses", "step")
        caption = (
            "Held-out sounds are judged without dropout and noise, with averaged "
            "parameters: their loss may be the lower one."
        )
        parts = [report.Image("curves.png", caption)]
    parts.append(
        report.Table(["", ""], [[k.replace("_", " "), v] for k, v in figures.items()])
    )
    return Chapter({"run": figures}, report.Section("The training", parts))


def circumstances(job):
    """Sizes, versions and the machine, by name."""
    config, (train, held) = job.model.config, job.sources
    params, _ = jax.eval_shape(vae.make(config).init, jax.random.key(0))
    return {
        "step_judged": int(job.model.step),
        "steps": config.steps,
        "batch": config.batch,
        "parameters": sum(leaf.size for leaf in jax.tree.leaves(params)),
        "latents": config.model.latent,
        "training_files": len(train.files),
        "training_windows": len(train.window_nk),
        "training_windows_compared_with": len(job.train.audio_ns),
        "held_out_files": len(held.files),
        "held_out_windows": len(held.window_nk),
        "held_out_windows_judged": len(job.held.audio_ns),
        "device": f"{jax.device_count()} of {jax.devices()[0].device_kind}",
        "distill_jax": distill_jax.__version__,
        "jax": jax.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }

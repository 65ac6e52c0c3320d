"""How a teacher was trained."""

import jax

import distill_jax
from distill_jax import report

TITLES = {"loss": "loss, nats", "accuracy": "accuracy"}


def training(job, calibrated):
    """The curves of the training, and its circumstances."""
    del calibrated
    logged = report.curves(job.workdir)
    series = {title: report.sides(logged, name) for name, title in TITLES.items()}
    series = {title: curves for title, curves in series.items() if curves}
    parts = ["Nothing was logged."]
    if series:
        report.panels(job.folder / "curves.png", series, "Training", "step")
        caption = (
            "Training clips are varied and drowned in noise, held-out ones are as "
            "they are, and judged with averaged parameters: they may do better."
        )
        parts = [report.Image("curves.png", caption)]
    figures = circumstances(job) | report.time(job.workdir)
    rows = [[name.replace("_", " "), value] for name, value in figures.items()]
    parts.append(report.Table(["", ""], rows))
    return {"run": figures}, report.Section("The training", parts)


def circumstances(job):
    """What was trained, how long, and with what, by name."""
    config, teacher = job.config, job.config.teacher
    return {
        "encoder": teacher.encoder.model_type,
        "weights_at_the_start": teacher.folder or "random",
        "layers": teacher.encoder.num_hidden_layers,
        "width": teacher.encoder.hidden_size,
        "trained": teacher.train,
        "parameters": job.parameters,
        "step_judged": int(job.step),
        "steps": config.steps,
        "batch": config.batch,
        "dtype": config.dtype,
        "device": f"{jax.device_count()} of {jax.devices()[0].device_kind}",
        "distill_jax": distill_jax.__version__,
        "jax": jax.__version__,
    }

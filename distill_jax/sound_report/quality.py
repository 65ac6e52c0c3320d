"""How close held-out sounds come back, and whether new ones are copies."""

import numpy as np

from distill_jax import report, sound
from distill_jax.sound_report import baselines
from distill_jax.sound_report.job import Chapter, cut_from

GENERATED = 64
NAMES = {
    "reconstruction": "reconstruction",
    "nearest": "nearest training sound",
    "pca": "principal components",
    "mean": "mean of training sounds",
    "ceiling": "no network (the ceiling)",
}
MEASURES = {
    "log_mel_l1": "log-mel L1",
    "mrstft": "MRSTFT",
    "lsd_db": "LSD, dB",
    "spectral_convergence": "spectral conv.",
    "magnitude_l1": "magnitude L1",
}
RIVALS = ("nearest", "pca")
JUDGED = ("log_mel_l1", "mrstft")
KINDS = {
    "generated": "generated",
    "held_out": "held out",
    "training": "training, other files",
}


def reconstruction(job):
    """How close held-out sounds come back, beside what is simpler than a network."""
    values = dict(baselines.compare(job.model, job.train, job.held))
    np.savez(
        job.folder / "held_out.npz",
        **cut_from(job, 1),
        **{
            f"{name}_{key}_n": x_n
            for name in values
            for key, x_n in values[name].items()
        },
    )
    figures = summary(values)
    report.bars(
        job.folder / "distances.png",
        [figures[name]["log_mel_l1"] for name in NAMES],
        list(NAMES.values()),
        "How far from the original (lower is closer)",
        "log-mel L1",
    )
    rows = [[NAMES[name], *map(figures[name].get, MEASURES)] for name in NAMES]
    wins = figures["share_closer_than"]["nearest"]["log_mel_l1"]
    parts = [
        verdict(figures),
        f"{figures['windows']} windows of {len(set(job.held.file_n))} files that "
        f"training never saw, silent ones left out. {wins:.0%} come back closer to the "
        "original than the training window that is nearest to it (by log-mel L1).",
        report.Image("distances.png"),
        report.Table(["mean distance", *MEASURES.values()], rows),
        "All but the nearest training sound are turned into audio by the same "
        "inversion, whose own loss is the last row. The principal components are as "
        f"many as the model has latents, {job.model.config.model.latent}, if the "
        "training sounds span so many. A log-mel L1 of 1 is 4.3 dB.",
    ]
    heading = "How close do sounds come back that it has never heard?"
    return Chapter({"held_out": figures}, report.Section(heading, parts))


def summary(values):
    """Means over the windows, and how often the reconstruction is the closer one.

    Args:
      values: {candidate: {measure: value_n}}, as `baselines.compare` gives.

    Returns:
      {candidate: {measure: mean}}, with `windows`, their number, and
      `share_closer_than`, {rival: {measure: share}}.
    """
    means = {
        name: {key: float(value_n.mean()) for key, value_n in of.items()}
        for name, of in values.items()
    }
    ours = values["reconstruction"]
    shares = {
        rival: {key: float(np.mean(ours[key] < values[rival][key])) for key in JUDGED}
        for rival in RIVALS
    }
    windows = len(ours["log_mel_l1"])
    return means | {"windows": windows, "share_closer_than": shares}


def verdict(held_out):
    """One plain sentence on what `summary` gave."""
    lost = [
        f"{NAMES[rival]} ({MEASURES[key]})"
        for rival in RIVALS
        for key in JUDGED
        if held_out["reconstruction"][key] >= held_out[rival][key]
    ]
    if lost:
        return (
            "Not good yet: closer to the held-out originals than the reconstruction, "
            f"on average: {', '.join(lost)}. Train for more steps, or on more sounds."
        )
    return (
        "Good: held-out sounds come back closer to their originals than the nearest "
        "training sound is, and closer than from as many principal components."
    )


def table(held_out):
    """What `summary` gave as lines of text, for a terminal."""
    first = max(map(len, NAMES.values()))
    width = max(map(len, MEASURES.values())) + 2
    head = "".join(f"{title:>{width}}" for title in MEASURES.values())
    rows = [
        f"{title:{first}}"
        + "".join(f"{held_out[name][key]:>{width}.3f}" for key in MEASURES)
        for name, title in NAMES.items()
    ]
    return "\n".join([f"{'held-out sounds':{first}}{head}", *rows])


def memory(job):
    """Whether generated sounds are copies of training sounds."""
    prior, seed = sound.fitted_prior(job.workdir, job.model.step), job.model.config.seed
    drawn_nz = sound.draw(prior, GENERATED, seed)
    distances = baselines.closeness(job.model, job.train, job.held, drawn_nz)
    # A training window has no other file to be near to where there is one file only.
    distances = {name: x_n[np.isfinite(x_n)] for name, x_n in distances.items()}
    figures = {name: _spread_of(x_n) for name, x_n in distances.items()}
    report.lines(
        job.folder / "memory.png",
        {
            KINDS[name]: (np.sort(x_n), np.arange(x_n.size) / x_n.size)
            for name, x_n in distances.items()
            if x_n.size
        },
        "How near is the nearest training sound?",
        "log-mel L1 to the nearest training window",
        "share of the sounds that are nearer",
    )
    rows = [[KINDS[name], *of.values()] for name, of in figures.items()]
    parts = [
        "A model that knows its training sounds by heart makes sounds that are much "
        "nearer to one of them than sounds are that it never heard: its curve would "
        "lie far to the left of the others.",
        report.Image("memory.png"),
        report.Table(["", "median", "nearest 5 %", "nearest", "sounds"], rows),
    ]
    section = report.Section("Does it copy its training sounds?", parts)
    return Chapter({"nearest_training_sound": figures}, section)


def _spread_of(value_n):
    if not value_n.size:
        return {
            "median": np.nan,
            "percentile_5": np.nan,
            "smallest": np.nan,
            "sounds": 0,
        }
    smallest, low, middle = np.percentile(value_n, (0, 5, 50)).tolist()
    return {
        "median": middle,
        "percentile_5": low,
        "smallest": smallest,
        "sounds": value_n.size,
    }

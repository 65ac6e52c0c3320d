"""The page of an analysis: plots, and sounds to hear what each axis does."""

import re
from pathlib import PurePosixPath

import numpy as np

from distill_jax import report
from distill_jax import sound as sounds
from distill_jax.audio import descriptors, files
from distill_jax.sound_analysis import evidence, records

# Axes to hear where none has a name, and sounds to hear each on.
UNNAMED, HEARD = 3, 2
PLACES = ("lowest", "middle", "highest")
# Kinds of sounds that have a colour of their own.
KINDS = 6
SWEPT = 4


def write(folder, sound, latents, analysis):
    """Writes `analysis.html` and what it shows into a folder.

    Args:
      folder: `WORKDIR/report`.
      sound: `sound.Sound`.
      latents: as `sound.read_latents` gives them.
      analysis: as `analyse` gives it.
    """
    (folder / "audio").mkdir(parents=True, exist_ok=True)
    draw(folder, latents, analysis)
    sections = [
        report.Section("", [verdict(analysis), summary(analysis)]),
        report.Section("Listen", players(folder, sound, latents, analysis)),
        report.Section("What each axis changes", effects_shown()),
        report.Section("Where the training sounds lie", spread_shown(analysis)),
    ]
    report.page(folder / "analysis.html", "Axes of the sound VAE", sections)


def verdict(analysis):
    """Which axes have earned a name, in a sentence or two."""
    found = [record["name"] for record in analysis["axes"] if record["name"]]
    rule = (
        f"A name needs, over {analysis['base_points']} training sounds, a mean rank "
        f"correlation of at least {evidence.LEAST_RHO} with the position, a change of "
        f"at least {evidence.LEAST_CHANGE} standard deviations of the corpus that can "
        "be heard, and more than random directions of the same length do."
    )
    if not found:
        return f"No axis has earned a name. {rule}"
    return f"{len(found)} of {len(analysis['axes'])} axes: {', '.join(found)}. {rule}"


def titles(analysis):
    """What each axis is called: "axis2", with its name if it has one."""
    return [
        f"axis{number}" + (f" {record['name']}" if record["name"] else "")
        for number, record in enumerate(analysis["axes"], 1)
    ]


def summary(analysis):
    """A row for each axis."""
    header = ["axis", "variance, %", "lowest", "highest", "correlation", "change"]
    rows = []
    for title, record in zip(titles(analysis), analysis["axes"], strict=True):
        effect = record["effects"].get(record["name"], {"rho": "", "change": ""})
        leak = record["leakage"]
        beside = f"{leak['descriptor']}, {leak['rho']:.2f}" if leak else ""
        shown = [100 * record["share"], *record["safe"], *effect.values(), beside]
        rows.append([title, *shown])
    return report.Table([*header, "second, its correlation"], rows)


def players(folder, sound, latents, analysis):
    """The same training sounds at three places of each axis, in a table."""
    named = [n for n, record in enumerate(analysis["axes"]) if record["name"]]
    heard = named or range(min(UNNAMED, len(analysis["axes"])))
    rng = np.random.default_rng(analysis["seed"])
    base_nz = latents["mean_nz"][rng.permutation(len(latents["mean_nz"]))[:HEARD]]
    rows = []
    for axis in heard:
        record = analysis["axes"][axis]
        places = np.linspace(*record["safe"], len(PLACES))
        for number, base_z in enumerate(base_nz, 1):
            cells = []
            for place, position in zip(PLACES, places, strict=True):
                moved_nz = records.move(
                    analysis, base_z[None, :], {f"axis{axis + 1}": position}
                )
                path = f"audio/axis{axis + 1}_{place}_{number}.wav"
                settings = {"axis": axis + 1, "position": position, "sound": number}
                audio_s = sounds.generate(sound, moved_nz, sound.samples)
                rate_hz = sound.spec.rate_hz
                files.write(folder / path, files.limit(audio_s), rate_hz, settings)
                cells.append(report.Audio(path))
            rows.append([titles(analysis)[axis], f"sound {number}", *cells])
    return [report.Table(["", "", *PLACES], rows)]


def draw(folder, latents, analysis):
    """Draws all plots of the page."""
    found, names = analysis["axes"], descriptors.NAMES
    change_a5, rho_a5 = (
        np.array([[record["effects"][name][key] for name in names] for record in found])
        for key in ("change", "rho")
    )
    limit_5 = [analysis["descriptors"][name]["null_limit"] for name in names]
    rows = [*titles(analysis), "limit of the null"]
    report.heat(
        folder / "axes_change.png",
        np.concatenate([change_a5, [limit_5]]),
        rows,
        names,
        "Change over the safe range, in std of the corpus",
    )
    report.heat(folder / "axes_rho.png", rho_a5, rows[:-1], names, "Rank correlation")
    report.panels(
        folder / "axes_paths.png",
        _paths(analysis, change_a5),
        "What moving along an axis does",
        "position, std of the axis",
    )
    share = [100 * record["share"] for record in found]
    labels = titles(analysis)
    report.bars(folder / "axes_variance.png", share, labels, "Variance", "%")
    if len(found) > 1:
        _scatter(folder / "axes_map.png", latents, found)


def _paths(analysis, change_a5):
    """Curves of the axes that change each descriptor most, with its unit."""
    series = {}
    for index, kind in enumerate(descriptors.DESCRIPTORS):
        size_a = np.nan_to_num(np.abs(change_a5[:, index]))
        strongest = np.argsort(-size_a, kind="stable")[:SWEPT]
        series[f"{kind.name}, {kind.unit}"] = {
            titles(analysis)[axis]: (
                np.array(analysis["axes"][axis]["positions"]),
                np.array(analysis["axes"][axis]["path"][kind.name], float),
            )
            for axis in strongest
        }
    return series


def _scatter(path, latents, found):
    centred_nz = latents["mean_nz"] - latents["mean_nz"].mean(axis=0, keepdims=True)
    xy_n2 = np.stack(
        [centred_nz @ np.array(one["vector"]) / one["std"] for one in found[:2]], axis=1
    )
    kinds = [_kind(name) for name in latents["names"]]
    common = sorted(set(kinds), key=lambda kind: (-kinds.count(kind), kind))[:KINDS]
    groups = [kind if kind in common else "others" for kind in kinds]
    order_n = np.argsort(groups, kind="stable")
    title = "Training sounds: axis1 across, axis2 up"
    report.scatter(path, xy_n2[order_n], np.array(groups)[order_n], title)


def _kind(name):
    """What files of one sort share: their folder, or how their names begin."""
    path = PurePosixPath(name)
    return str(path.parent) if path.parent.name else re.match(r"[^\d_]*", path.stem)[0]


def effects_shown():
    """The plots of what axes change, and how to read them."""
    return [
        report.Image(
            "axes_change.png",
            "From the lowest to the highest safe position, the mean over the base "
            "points. The last row is what the null exceeds in 5 % of all analyses.",
        ),
        report.Image(
            "axes_rho.png",
            "Between the position and the descriptor, the mean over the base points. "
            "It says how steady a change is, not how great: random directions reach "
            "1 as well.",
        ),
        report.Image(
            "axes_paths.png",
            "The mean over the base points, for the axes that change it most.",
        ),
    ]


def spread_shown(analysis):
    """The plots of where the training sounds lie."""
    shown = [report.Image("axes_variance.png", "Of the training sounds' latents.")]
    if len(analysis["axes"]) > 1:
        shown.append(
            report.Image("axes_map.png", "A point is one window; colours are folders.")
        )
    return shown

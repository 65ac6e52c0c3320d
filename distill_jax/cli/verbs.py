"""What the verbs on trained sound VAEs do."""

import contextlib
import math

import numpy as np

import distill_jax
from distill_jax import checkpoints, folders, progress, sound_analysis, train
from distill_jax import sound as sounds
from distill_jax.audio import files
from distill_jax.cli.usage import require, told
from distill_jax.data import listing

ITERATIONS = 32
# Where a sound is put that would clip.
CEILING_DB = -1.0


def opened(workdir):
    """The model of a run, `sound.Sound`."""
    train.cache_compilations(folders.cache("xla"))
    with told(FileNotFoundError, checkpoints.CheckpointError):
        try:
            return sounds.load(workdir)
        except FileNotFoundError as error:
            raise FileNotFoundError(
                f"{error}\nto train one: python -m distill_jax.main "
                f"--config=configs/vae.py --workdir={workdir}"
            ) from error


def reconstruct(options):
    """Sends every file through the model."""
    require(options.files, "no sound to reconstruct; name files or folders")
    with told(OSError, ValueError):
        pairs = listing.with_targets(options.files, options.out, options.format)
    sound = opened(options.workdir)
    problems = []
    with progress.bar(pairs, "reconstructing", unit="sound") as bar:
        for source, target in bar:
            try:
                audio_s = files.read(source, sound.spec.rate_hz)
            except (OSError, ValueError) as error:
                problems.append(str(error))
                continue
            made_s = sounds.reconstruct(sound, audio_s, ITERATIONS)
            settings = {"source": str(source)} | origin(options, sound)
            save(bar, target, made_s, settings)
    require(not problems, "\n  ".join(["these were left out:", *problems]))


def generate(options):
    """Draws and decodes new sounds."""
    check(options)
    position_of = parse_axes(options.axis)
    sound = opened(options.workdir)
    samples = max(1, round(options.seconds * sound.spec.rate_hz))
    prior = chosen_prior(options, sound)
    analysis = None
    if position_of:
        analysis, position_of = within_safe_range(options, sound, position_of)
    count = sounds.latents_needed(sound, samples)
    seeds = range(options.seed, options.seed + options.count)
    label = "".join(f"_{name}{value:+g}" for name, value in position_of.items())
    with progress.bar(seeds, "generating", unit="sound") as bar:
        for seed in bar:
            path_nz = sounds.wander(prior, count, seed, options.temperature)
            if position_of:
                path_nz = sound_analysis.move(analysis, path_nz, position_of)
            audio_s = sounds.generate(sound, path_nz, samples, ITERATIONS)
            target = options.out / f"generated_{seed}{label}.{options.format}"
            settings = {
                "seed": seed,
                "seconds": options.seconds,
                "temperature": options.temperature,
                "prior": options.prior,
                "axis": position_of,
            }
            save(bar, target, audio_s, settings | origin(options, sound))


def check(options):
    """Refuses numbers with which nothing can be generated."""
    require(options.count > 0, f"--count is {options.count}, expected at least 1")
    require(options.seed >= 0, f"--seed is {options.seed}, expected 0 or more")
    require(
        0 < options.seconds < math.inf,
        f"--seconds is {options.seconds}, expected more than 0",
    )
    require(
        0 <= options.temperature < math.inf,
        f"--temperature is {options.temperature}, expected 0 or more",
    )


def parse_axes(texts):
    """["brightness=+2"] as {"brightness": 2.0}."""
    position_of = {}
    for text in texts:
        name, _, number = text.partition("=")
        with contextlib.suppress(ValueError):
            position_of[name.strip()] = float(number)
        require(
            math.isfinite(position_of.get(name.strip(), math.nan)),
            f"--axis {text!r} should be a name and a number, such as brightness=+2",
        )
    return position_of


def chosen_prior(options, sound):
    """The distribution that latents are drawn from."""
    if options.prior == "standard":
        return sounds.standard_prior(sound)
    with told(FileNotFoundError, ValueError):
        try:
            return sounds.fitted_prior(options.workdir, sound.step)
        except FileNotFoundError as error:
            raise FileNotFoundError(f"{error}, or add --prior standard") from error


def within_safe_range(options, sound, position_of):
    """The analysis of the run, and the positions, brought into the safe range."""
    with told(FileNotFoundError, ValueError):
        analysis = sound_analysis.read(options.workdir, sound.step)
        found = {name: sound_analysis.find(analysis, name) for name in position_of}
    safe = {}
    for name, wanted in position_of.items():
        low, high = found[name]["safe"]
        safe[name] = round(min(max(wanted, low), high), 2)
        if not low <= wanted <= high:
            print(
                f"{name}={wanted:+g} is outside the safe range of {low:+.2f} to "
                f"{high:+.2f}, where 96 % of the training sounds lie; "
                f"{safe[name]:+.2f} is used"
            )
    return analysis, safe


def interpolate(options):
    """Decodes what lies between two sounds."""
    require(options.steps > 1, f"--steps is {options.steps}, expected at least 2")
    sound = opened(options.workdir)
    with told(OSError, ValueError):
        start_s, end_s = (
            files.read(path, sound.spec.rate_hz)
            for path in (options.start, options.end)
        )
    mixes = [[mix] for mix in np.linspace(0, 1, options.steps).tolist()]
    mixes = [[0.0, 1.0]] if options.morph else mixes
    name = f"{options.start.stem}_{options.end.stem}"
    with progress.bar(mixes, "interpolating", unit="sound") as bar:
        for number, mix in enumerate(bar):
            audio_s = sounds.interpolate(sound, start_s, end_s, mix)
            part = "morph" if options.morph else f"{number:02d}"
            target = options.out / f"{name}_{part}.{options.format}"
            settings = {
                "start": str(options.start),
                "end": str(options.end),
                "mix": mix,
            }
            save(bar, target, audio_s, settings | origin(options, sound))


def analyse(options):
    """Measures the axes of the run and says which have a name."""
    sound = opened(options.workdir)
    with told(FileNotFoundError, ValueError):
        latents = sounds.read_latents(options.workdir, sound.step)
    with told(sound_analysis.LatentsError):
        analysis = sound_analysis.write(options.workdir, sound, latents, options.seed)
    for number, record in enumerate(analysis["axes"], 1):
        low, high = record["safe"]
        name = record["name"] or "no name"
        effect = record["effects"].get(record["name"])
        shown = f", correlation {effect['rho']:+.2f}" if effect else ""
        print(
            f"axis{number}: {name}, {record['share']:.0%} of the variance, safe from "
            f"{low:+.2f} to {high:+.2f}{shown}"
        )
    if not analysis["named"]:
        print("no axis does one thing steadily, audibly and better than chance")
    print(options.workdir / sound_analysis.FILE)
    print(options.workdir / "report" / "analysis.html")


VERBS = {
    "Reconstruct": reconstruct,
    "Generate": generate,
    "Interpolate": interpolate,
    "Analyse": analyse,
}


def origin(options, sound):
    """What every file says of the model that made it."""
    return {
        "program": f"distill_jax {distill_jax.__version__}",
        "verb": type(options).__name__.lower(),
        "workdir": str(options.workdir),
        "step": sound.step,
        "iterations": ITERATIONS,
        "rate_hz": sound.spec.rate_hz,
    }


def save(bar, path, audio_s, settings):
    """Writes a sound, quieter if it would clip, and prints its path above the bar."""
    note, peak = "", float(np.abs(audio_s).max())
    if peak > 1.0:
        audio_s = files.limit(audio_s, 10 ** (CEILING_DB / 20))
        gain_db = CEILING_DB - 20 * math.log10(peak)
        settings = settings | {"gain_db": round(gain_db, 2)}
        note = f" (turned down by {-gain_db:.1f} dB, it would have clipped)"
    with told(OSError, ValueError):
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write(path, audio_s, settings["rate_hz"], settings)
    bar.write(f"{path}{note}")

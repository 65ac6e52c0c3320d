"""What training takes past one machine: formulas, checked against the compiler.

    python -m benchmarks.scaling [--only sizes,programs,collectives,pods,corpus]

Nothing is trained and nothing timed. `programs` and `collectives` compile: for the
first, networks of one and of two layers in full width; for the second, updates of tiny
jobs over eight devices that are parts of one CPU, of which the program's text counts.
`pods` is a prediction from data sheets and assumptions, see `benchmarks/pods.py`.
"""

import os

os.environ.setdefault("XLA_FLAGS", "--xla_force_host_platform_device_count=8")
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import argparse
import json
import tempfile
from pathlib import Path

import jax
import numpy as np

from benchmarks import (
    compiled_costs,
    corpus_costs,
    jobs_by_formula,
    layer_costs,
    pods,
    seeds,
)
from benchmarks.layer_costs import total
from distill_jax.audio import augment, files
from distill_jax.data import manifest
from distill_jax.models.conv_vae import ConvVAE
from distill_jax.models.tiny_conv import TinyConv
from distill_jax.models.wav2vec2 import Wav2Vec2
from distill_jax.models.wav2vec2_bert import Wav2Vec2Bert
from distill_jax.tasks import teacher, vae

DEVICES = 8


def row(*cells):
    """Prints a row of a table."""
    print("|", " | ".join(map(str, cells)), "|")


def heading(*cells):
    """Prints the first two rows."""
    row(*cells)
    print("|" + "---|" * len(cells))


def amount(number, unit=""):
    """A number with three digits and a letter for thousands."""
    for letter in ("", "k", "M", "G", "T"):
        if abs(number) < 999.5:
            return f"{number:.3g} {letter}{unit}".strip()
        number /= 1000
    return f"{number:.3g} P{unit}"


def show_sizes():
    """What each job takes by formula."""
    heading(
        "job", "learnt", "frozen", "state, fsdp 1", "kept/example", "FLOPs/example",
        "sent, fsdp 1", "sent, fsdp 8",
    )  # fmt: skip
    for job in jobs_by_formula.all_jobs():
        row(
            job.name,
            f"{job.trained:,}",
            f"{job.frozen + job.held - job.trained:,}",
            amount(jobs_by_formula.state_bytes(job), "B"),
            amount(jobs_by_formula.kept_bytes(job, 1), "B"),
            amount(job.flops),
            amount(pods.wire_bytes(job, DEVICES), "B"),
            amount(pods.wire_bytes(job, DEVICES, DEVICES), "B"),
        )


def checked(name, compiled, flops, kept):
    """A row: formula, compiler and their ratio, of products and of kept bytes."""
    found, temporary = compiled
    row(
        name,
        amount(flops),
        amount(found),
        f"{flops / found:.3f}",
        amount(kept, "B"),
        amount(temporary, "B"),
        f"{kept / temporary:.2f}",
    )


def show_programs():
    """Formulas beside what the compiler counts, forward and backward, of an example."""
    heading(
        "network", "FLOPs, formula", "compiler", "ratio", "kept, formula",
        "set aside", "ratio",
    )  # fmt: skip
    small = {
        "VAE 128×94": (ConvVAE(), (128, 94, 2), layer_costs.conv_vae()),
        "TinyConv": (TinyConv(4), (49, 40), layer_costs.tiny_conv(4)),
        "TinyConv, depthwise": (
            TinyConv(4, use_depthwise=True),
            (49, 40),
            layer_costs.tiny_conv(4, depthwise=True),
        ),
    }
    for name, (module, shape, parts) in small.items():
        compiled = compiled_costs.learning(module, (8, *shape), train=True)
        cost = total(parts.values())
        found = [size / 8 for size in _found(compiled)]
        flops = jobs_by_formula.learnt(cost, parts["first"])
        checked(name, found, flops, 4 * cost.kept)
    for name, layers, learning, parts in encoders():
        cost = total(parts.values())
        wave = parts.get("waveform", layer_costs.Cost())
        flops = jobs_by_formula.learnt(cost) - 4 * wave.products
        pairs = zip(*(_found(learning(count)) for count in (1, 2)), strict=True)
        found = [compiled_costs.extrapolated(*pair, layers) for pair in pairs]
        checked(name, found, flops, 4 * (cost.kept - wave.kept))


def _found(compiled):
    sizes = compiled.memory_analysis()
    return compiled_costs.flops(compiled), sizes.temp_size_in_bytes


def encoders():
    """Name, layers, count -> compiled gradient, and parts, of the two full encoders."""
    frames, samples = jobs_by_formula.FRAMES, jobs_by_formula.SAMPLES
    yield (
        "Wav2Vec2-BERT",
        24,
        lambda count: compiled_costs.learning(
            Wav2Vec2Bert(count=count), (1, frames, 160)
        ),
        layer_costs.wav2vec2_bert(frames),
    )
    yield (
        "Wav2Vec2 base, waveform frozen",
        12,
        lambda count: compiled_costs.learning(
            Wav2Vec2(count=count), (1, samples), "waveform"
        ),
        layer_costs.wav2vec2(samples),
    )


def tiny_jobs():
    """Name, config, task, frozen and batch of two jobs that compile in seconds."""
    config = compiled_costs.config_of("vae", "tiny")
    rng, weight_b = np.random.default_rng(0), np.ones(DEVICES, np.float32)
    audio_bs = rng.normal(size=(DEVICES, 48_000)).astype(np.float32)
    batch = {"audio_bs": audio_bs, "weight_b": weight_b}
    yield "VAE, tiny", config, vae.make(config), (), batch
    config = compiled_costs.config_of("teacher", "wav2vec2_bert,tiny")
    config.labels = ("yes", "no")
    noise_s = audio_bs[0]
    frozen = augment.bank(noise_s, np.zeros((0, 0)), 16_000)
    label_b = np.zeros(DEVICES, np.int32)
    batch = {"audio_bs": audio_bs[:, :16_000], "weight_b": weight_b}
    batch |= {"label_b": label_b, "seed_b": label_b.astype(np.uint32)}
    yield "teacher, tiny", config, teacher.make(config), frozen, batch


def show_collectives():
    """Bytes that programs over eight devices exchange, beside the formula."""
    heading("update", "fsdp", "kind", "formula", "program", "ratio")
    for name, config, task, frozen, batch in tiny_jobs():
        params, _ = jax.eval_shape(task.init, jax.random.key(0))
        for fsdp in (1, DEVICES):
            program = compiled_costs.update(config, task, frozen, batch, fsdp)
            found = compiled_costs.collective_bytes(program)
            # On CPUs alone augmentation gathers chunks of the batch, which is cut.
            heard = batch["audio_bs"].nbytes if "label_b" in batch else 0
            wanted = {"all-reduce": 4 * compiled_costs.count(params) + heard}
            if fsdp > 1:
                wanted["all-gather"] = compiled_costs.cut_bytes(params, fsdp)
            for kind in sorted(wanted | found):
                size, seen = wanted.get(kind, 0), found.get(kind, 0)
                ratio = f"{size / seen:.3f}" if seen else "none"
                row(name, fsdp, kind, f"{size:,}", f"{seen:,}", ratio)


BATCHES = {
    "VAE": 64,
    "teacher, Wav2Vec2-BERT": 8,
    "teacher, Wav2Vec2 base": 32,
    "distillation, live": 64,
    "distillation, cached": 1024,
    "QAT": 1024,
}


def show_pods():
    """Predicted steps: as many examples for each chip, then as many for all."""
    machines = [pods.v5e(4, 4), pods.v5e(16, 16), pods.h200(8)]
    print("\nPredicted, not measured. As much for each chip (weak scaling):\n")
    _predictions([(pod, None) for pod in machines])
    print("\nPredicted, not measured. As much for all, a batch of 1,024 (strong):\n")
    sides = [(2, 4), (4, 4), (8, 8), (16, 16)]
    _predictions([(pods.v5e(*each), 1024) for each in sides])
    print("\nPredicted. Examples per chip whose products take as long as gradients:\n")
    heading("job", *[pod.name for pod in machines])
    for job in jobs_by_formula.all_jobs():
        row(job.name, *[f"{pods.balance(job, pod):.3g}" for pod in machines])


def _predictions(cases):
    heading("job", *[pod.name for pod, _ in cases])
    for job in jobs_by_formula.all_jobs():
        row(job.name, *[_predicted(job, *case) for case in cases])


def _predicted(job, pod, whole):
    examples = whole / pod.chips if whole else BATCHES[job.name]
    found = pods.predicted(job, pod, examples)
    if found is None:
        return "no room"
    share = f"{100 * found.efficiency:.0f} %"
    cut = f", fsdp {found.fsdp}" if found.fsdp > 1 else ""
    return f"{1e3 * found.step:.3g} ms, {share}, {found.limit}{cut}"


def show_corpus():
    """What grows with a corpus, and the hours at which it is too much."""
    heading("part", "an hour of sound", "room", "enough for hours")
    for growth in corpus_costs.growths(record()):
        each, room = (
            amount(size, growth.unit) for size in (growth.each_hour, growth.room)
        )
        row(growth.part, each, room, amount(growth.hours))
    pod, job = pods.v5e(16, 16), jobs_by_formula.distilled(live=True)
    rate = pod.chips * pods.rate(job, pod)
    print(f"\nPredicted: both teachers asked about 4 views of each second, {pod.name}:")
    for hours in (1e4, 1e6):
        taken = corpus_costs.asking_hours(hours, rate)
        print(f"{amount(hours)} hours of sound in {taken:.3g} h")
    print("\nPredicted. Sound that a step takes, for each host:\n")
    heading("job", "pod", "examples/s", "bytes/s", "busy pairs of cores")
    for pod in (pods.v5e(16, 16), pods.h200(8)):
        for job in jobs_by_formula.all_jobs():
            _input(job, pod)


def _input(job, pod):
    examples = BATCHES[job.name]
    found = pods.predicted(job, pod, examples)
    each = examples * pod.chips / found.step / pod.hosts
    busy = corpus_costs.hosts_busy(each)
    row(job.name, pod.name, amount(each), amount(each * job.input, "B"), f"{busy:.2g}")


def record():
    """A line of the manifest of one recording."""
    with tempfile.TemporaryDirectory() as folder:
        sounds = Path(folder) / "sounds"
        sounds.mkdir()
        wave_s = np.sin(np.arange(16_000) / 9).astype(np.float32)
        files.write(sounds / "0a1b2c3d_nohash_0.wav", wave_s, 16_000, {})
        manifest.scan(sounds, folder)
        (line,) = next(Path(folder).glob("manifest_*.jsonl")).read_text().splitlines()
    return json.dumps(json.loads(line))


SHOWN = {
    "sizes": show_sizes,
    "programs": show_programs,
    "collectives": show_collectives,
    "pods": show_pods,
    "corpus": show_corpus,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default=",".join(SHOWN), help="what to show")
    names = parser.parse_args().only.split(",")
    seeds.known(names, SHOWN)
    if len(jax.devices()) < DEVICES:
        raise SystemExit(
            f"needs {DEVICES} devices, found {len(jax.devices())}: unset XLA_FLAGS and "
            "JAX_PLATFORMS, and it takes parts of this machine's CPU"
        )
    for name in names:
        print(f"\n{name}\n")
        SHOWN[name]()


if __name__ == "__main__":
    main()

"""A folder of synthetic speech: a subfolder for each label, and a manifest.

A line of manifest.jsonl tells the path of a clip, its label, its speaker (the variant,
so that a split by speaker has no timbre on both sides), where in the file speech starts
and ends, in seconds, and what the clip was made from.
"""

import errno
import hashlib
import json
import os
from pathlib import Path
from typing import NamedTuple

from distill_jax import folders, workdir
from distill_jax.audio import files
from distill_jax.data import espeak, speech

MANIFEST = "manifest.jsonl"


class _Job(NamedTuple):
    out: Path
    found: speech.Study
    seen: set  # sha256 of the clips so far


def begin(out, found):
    """Makes the folder, or refuses one that holds clips of another request.

    Args:
      out: the folder.
      found: `speech.Study`.

    Raises:
      ValueError: the folder was begun with other settings; they are named.
      OSError: it cannot be written.
    """
    settings = found.request._asdict() | {
        "lines": hashlib.sha256("\n".join(found.request.lines).encode()).hexdigest(),
        "espeak_ng": found.version,
        "clips": speech.VERSION,
    }
    workdir.keep_settings(out, settings, "synthetic speech")


def read(out):
    """The manifest: {(label, index): line}, for the clips that are there.

    A line that a killed program left unfinished is taken out of the file, and so are
    those of clips that were removed; they are made again.
    """
    path, kept = Path(out) / MANIFEST, {}
    data = path.read_text("utf-8") if path.exists() else ""
    for text in data.splitlines():
        try:
            line = json.loads(text)
        except ValueError:
            continue
        if (Path(out) / line["path"]).is_file():
            kept[line["label"], line["index"]] = line
    if data != "".join(map(_text, kept.values())):
        _rewrite(path, kept)
    return kept


def clips(out, found, counts):
    """Makes the clips that are not there, each complete before the next is begun.

    Args:
      out: the folder, after `begin`.
      found: `speech.Study`.
      counts: {kind: how many}; kinds as `speech.draw` takes them.

    Yields:
      The line of the manifest of each clip, of one that was there, too.

    Raises:
      ValueError: the voices give no more that is new or can be heard.
      OSError: the disk is full; what was made stays and the same call goes on.
    """
    out = Path(out)
    done = read(out)
    job = _Job(out, found, {line["sha256"] for line in done.values()})
    path = out / MANIFEST
    for kind, label in labels(found.request).items():
        (out / label).mkdir(exist_ok=True)
        for first in range(0, counts[kind], speech.BLOCK):
            block = range(first, min(counts[kind], first + speech.BLOCK))
            there = {i: done[label, i] for i in block if (label, i) in done}
            if len(there) == len(block):
                yield from there.values()
                continue
            with path.open("ab", buffering=0) as file:
                for line in _block(job, kind, block, there):
                    if line["index"] not in there:
                        done[label, line["index"]] = line
                        _append(file, line)
                    yield line
    _rewrite(path, done)


def labels(request):
    """{kind: name of its folder}."""
    return {speech.PHRASE: request.label} | speech.LABELS


def _block(job, kind, block, there):
    """Clips that a fresh synthesiser makes one after the other.

    Those that are there are made again, for each leaves its trace in the next.
    """
    with espeak.opened() as engine:
        for index in block:
            recipe, clip, attempt = _new(engine, job, kind, index, there)
            if index in there:
                yield there[index]
                continue
            job.seen.add(clip.sha256)
            line = _line(job.found.request, kind, index, recipe, clip)
            line["attempt"] = attempt
            target = job.out / line["path"]
            files.write(target, clip.audio_s, speech.RATE_HZ, line)
            yield line


def _new(engine, job, kind, index, there):
    for attempt in range(speech.ATTEMPTS):
        recipe = speech.draw(job.found, kind, index, attempt)
        clip = speech.speak(engine, recipe)
        if index in there:
            if attempt == there[index]["attempt"]:
                return recipe, clip, attempt
        elif clip and clip.sha256 not in job.seen:
            return recipe, clip, attempt
    raise ValueError(
        f"{speech.ATTEMPTS} attempts at {recipe.text!r} gave nothing new that can be "
        "heard; ask for fewer clips or give another text"
    )


def _line(request, kind, index, recipe, clip):
    """What the manifest says of a clip, and its own tag."""
    label = labels(request)[kind]
    # As Speech Commands names files: who splits by speaker looks at the first part.
    speaker = recipe.variant.replace(" ", "-")
    return {
        "path": f"{label}/{speaker}_nohash_{index}.{request.format}",
        "label": label,
        "index": index,
        "speaker": recipe.variant,
        "voice": f"{recipe.voice.name}+{recipe.variant}",
        "text": recipe.text,
        "edit": recipe.edit,
        **recipe.prosody._asdict(),
        "start": clip.start_s,
        "end": clip.end_s,
        "seconds": len(clip.audio_s) / speech.RATE_HZ,
        "sha256": clip.sha256,
    }


def _text(line):
    return json.dumps(line, ensure_ascii=False) + "\n"


def _append(file, line):
    """Writes a line to an unbuffered file, which keeps nothing to write later."""
    data = _text(line).encode()
    try:
        if file.write(data) < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    except OSError as error:
        why = f"{error.strerror}; free some space, and the same command goes on"
        raise OSError(error.errno, why, str(file.name)) from error


def _rewrite(path, lines):
    with folders.replacing(path) as file:
        for key in sorted(lines):
            file.write(_text(lines[key]).encode())

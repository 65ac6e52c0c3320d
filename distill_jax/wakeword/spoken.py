"""Speech made of the text: what is trained on, what is judged, and near misses.

A threshold for so few false accepts an hour is chosen in sound with the share of other
words that life has. Near misses, which it hardly has, would decide it alone, so that
they are trained against, and those of held-out voices judged by themselves.
"""

import json

import numpy as np

from distill_jax import classifier, folders, streaming
from distill_jax.audio import files
from distill_jax.data import speech, speech_folder, words
from distill_jax.data.labelled import splits


def make(plan):
    """Speaks what is not there yet; a generator of (clip, clips, {}), as of a stage."""
    counts = {
        speech.PHRASE: plan.clips,
        speech.NEAR_MISS: plan.clips // 2,
        speech.OTHER: plan.clips,
    }
    text, lines = " ".join(plan.text.split()), words.lines()
    request = speech.Request(text, plan.label, "en", lines, True, plan.seed, "wav")
    found = speech.study(request)
    speech_folder.begin(plan.speech, found)
    total = sum(counts.values())
    for number, _ in enumerate(speech_folder.clips(plan.speech, found, counts), 1):
        yield number, total, {}
    rows = [
        {"path": line["path"], "label": label, "split": split, "speaker": speaker}
        for line, label, split, speaker in _divided(plan)
        if split == "train" or not _near(label)
    ]
    with folders.replacing(plan.root) as file:
        file.write("".join(json.dumps(row) + "\n" for row in rows).encode())
    return {"clips": total, "espeak_ng": found.version}


def near_misses(plan, known, threshold):
    """How many near misses of held-out voices are taken for the word.

    Args:
      plan: `plan.Plan` without recordings.
      known: `classifier.Classifier`.
      threshold: of the smoothed score of the word.

    Returns:
      {"clips": how many, "taken": of them}.
    """
    scorer = classifier.scorer(known, known.labels.index(plan.label))
    step, smooth = streaming.steps(scorer, 0.02), streaming.Settings(0.0, 1).smooth
    held = [
        plan.speech / line["path"]
        for line, label, split, _ in _divided(plan)
        if split != "train" and _near(label)
    ]
    taken = 0
    for path in held:
        quiet_s = np.zeros(known.samples, np.float32)
        audio_s = files.read(path, known.front.rate_hz)
        heard_s = np.concatenate([quiet_s, audio_s, quiet_s])
        score_n, _ = streaming.scores(scorer, heard_s, step)
        taken += bool(streaming.smooth(score_n, smooth).max() >= threshold)
    return {"clips": len(held), "taken": taken}


def _divided(plan):
    """Lines of the manifest, each with its label, its split and its speaker."""
    for line in speech_folder.read(plan.speech).values():
        speaker = line["speaker"]
        yield line, line["label"], splits.speaker_split(speaker), speaker


def _near(label):
    return label == speech.LABELS[speech.NEAR_MISS]

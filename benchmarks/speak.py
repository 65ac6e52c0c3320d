"""Synthetic speech beside the command `espeak-ng`, a process for each clip.

    python -m benchmarks.speak [--clips 256] [--rounds 5]

`ours` synthesises, trims, resamples to 16 kHz and writes files with a manifest, for
each kind of clip. The command gets the same voices, rates and pitches, and writes its
own 22,050 Hz: alone, then with the file read, resampled and written again. All on one
core; clips per second of the processor are told too, as others may be using it.
"""

import argparse
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from benchmarks import timing
from distill_jax.audio import files
from distill_jax.data import espeak, speech, speech_folder, words

COMMAND = "espeak-ng"


def ours(out, found, kind, clips):
    shutil.rmtree(out, ignore_errors=True)
    speech_folder.begin(out, found)
    counts = dict.fromkeys(range(3), 0) | {kind: clips}
    return sum(1 for _ in speech_folder.clips(out, found, counts))


def synthesis(recipes):
    with espeak.opened() as engine:
        for recipe in recipes:
            espeak.choose(engine, recipe.voice, recipe.variant)
            espeak.synthesise(engine, recipe.text, recipe.prosody, recipe.noise)


def command(out, recipes, convert):
    out.mkdir(exist_ok=True)
    for number, recipe in enumerate(recipes):
        path = out / f"{number}.wav"
        prosody = recipe.prosody
        voice = f"{recipe.voice.language}+{recipe.variant}"
        options = [f"-s{prosody.rate_wpm}", f"-p{prosody.pitch}", f"-v{voice}"]
        call = [COMMAND, *options, f"-w{path}", recipe.text]
        subprocess.run(call, check=True, stderr=subprocess.DEVNULL)
        if convert:
            audio_s = files.limit(files.read(path, speech.RATE_HZ))
            files.write(path, audio_s, speech.RATE_HZ, {"text": recipe.text})


def processor_seconds(call):
    """Of this process and of those that it ran."""
    before = os.times()
    call()
    return sum(os.times()[:4]) - sum(before[:4])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    start = time.perf_counter()
    request = speech.Request(
        "hey jarvis", "hey_jarvis", "en", words.lines(), True, 0, "wav"
    )
    found = speech.study(request)
    print(f"voices chosen in {time.perf_counter() - start:.1f} s")
    whole = found._replace(accents=())
    recipes = [speech.draw(whole, speech.PHRASE, i, 0) for i in range(args.clips)]
    with tempfile.TemporaryDirectory() as home:
        out = Path(home, "ours")
        calls = {
            f"ours, {name}": lambda kind=kind: ours(out, found, kind, args.clips)
            for name, kind in (
                ("phrase", speech.PHRASE),
                ("near misses", speech.NEAR_MISS),
                ("other words", speech.OTHER),
            )
        }
        calls["of it synthesis"] = lambda: synthesis(recipes)
        if shutil.which(COMMAND):
            other = Path(home, "command")
            calls[COMMAND] = lambda: command(other, recipes, False)
            calls[f"{COMMAND}, 16 kHz"] = lambda: command(other, recipes, True)
        else:
            print(f"no {COMMAND} here: apt-get install espeak-ng")
        times = timing.in_turns(calls, args.rounds)
        timing.show(times, "clip", args.clips)
        for name, call in calls.items():
            rate = args.clips / times[name].median
            busy = args.clips / processor_seconds(call)
            print(f"{name:34} {rate:6.0f} clips/s, {busy:6.0f} per processor second")


if __name__ == "__main__":
    main()

"""What the verb on synthetic speech does."""

import collections
import re

from distill_jax import progress
from distill_jax.cli.usage import require, told
from distill_jax.data import speech, speech_folder, words


def speak(options):
    """Makes the clips that are not there yet."""
    counts = counted(options)
    request = requested(options, counts)
    with told(ModuleNotFoundError, OSError, ValueError):
        found = speech.study(request)
        tell(found)
        speech_folder.begin(options.out, found)
        made = check_room(options, counts, request)
    total = sum(counts.values())
    if made:
        print(f"{made} of {total} clips are done already")
    with told(OSError, ValueError):
        clips = speech_folder.clips(options.out, found, counts)
        with progress.bar(clips, "speaking", total=total, unit="clip") as bar:
            lines = list(bar)
    for line in summary(lines):
        print(line)
    print(options.out / speech_folder.MANIFEST)


def counted(options):
    """{kind: number of clips}."""
    near = options.n // 2 if options.near_misses is None else options.near_misses
    others = options.n if options.others is None else options.others
    for name, number, least in (
        ("--n", options.n, 1),
        ("--near-misses", near, 0),
        ("--others", others, 0),
        ("--seed", options.seed, 0),
    ):
        require(number >= least, f"{name} is {number}, expected at least {least}")
    return {speech.PHRASE: options.n, speech.NEAR_MISS: near, speech.OTHER: others}


def requested(options, counts):
    """The `speech.Request` of the options."""
    text = " ".join(options.text.split())
    require(re.search(r"\w", text), f"the text is {text!r}, expected words to say")
    label = options.label or "_".join(re.findall(r"\w+", text.lower()))
    taken = set(speech.LABELS.values())
    require(
        re.fullmatch(r"\w[\w-]*", label) and label not in taken,
        f"--label is {label!r}, expected letters, digits and _, and none of "
        f"{', '.join(sorted(taken))}",
    )
    lines = lines_of(options, counts)
    fields = options.language.lower(), lines, options.accents
    return speech.Request(text, label, *fields, options.seed, options.format)


def lines_of(options, counts):
    """What other words are, a tuple of different lines."""
    if options.negatives is None:
        wanted = counts[speech.NEAR_MISS] or counts[speech.OTHER]
        english = options.language.lower().split("-")[0] == "en"
        require(
            english or not wanted,
            f"the built-in negatives are English, --language is {options.language}: "
            "give some with --negatives FILE, or make none with --near-misses 0 "
            "--others 0",
        )
        return words.lines() if english else ()
    with told(OSError, ValueError):
        lines = options.negatives.read_text("utf-8").splitlines()
    found = tuple(dict.fromkeys(line.strip() for line in lines if line.strip()))
    require(found, f"{options.negatives} holds no line of text")
    return found


def tell(found):
    """Prints who speaks, and which negatives are not used."""
    accents = f", {len(found.accents)} foreign accents" if found.accents else ""
    print(
        f"espeak-ng {found.version}: {len(found.natives)} voices of "
        f"{found.request.language}{accents}, {len(found.variants)} speakers"
    )
    if found.dropped:
        names = ", ".join(map(repr, found.dropped))
        print(f"left out, for the phrase is heard in them: {names}")


def check_room(options, counts, request):
    """How many clips are there; refuses fewer than that."""
    number = collections.Counter(label for label, _ in speech_folder.read(options.out))
    many = [
        f"  {label}: {number[label]} there, {counts[kind]} asked for"
        for kind, label in speech_folder.labels(request).items()
        if number[label] > counts[kind]
    ]
    require(
        not many,
        "\n".join([f"{options.out} holds more; ask for as many or more:", *many]),
    )
    return number.total()


def summary(lines):
    """What was made, a line for each label."""
    groups = collections.defaultdict(list)
    for line in lines:
        groups[line["label"]].append(line)
    for label, group in groups.items():
        minutes = sum(line["seconds"] for line in group) / 60
        speakers = len({line["speaker"] for line in group})
        voices = len({line["voice"] for line in group})
        yield (
            f"{label}: {len(group)} clips, {minutes:.1f} minutes, {speakers} speakers "
            f"in {voices} voices"
        )


VERBS = {"Speak": speak}

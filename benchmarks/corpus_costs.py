"""What grows with the hours of a corpus, by formula and from recorded figures."""

from typing import NamedTuple

from benchmarks import jobs_by_formula

HOUR_CLIPS = 3600  # of a second
VIEWS = 4  # of each clip that teachers are asked about
PART_ROWS = 2048  # `teachers.store.PART`
# benchmarks/RESULTS.md, "Augmentation and batches on CPU": 5,188 clips on two cores.
CHECK_SECONDS, PREPARE_SECONDS = 13 / 5188, 9 / 5188
BATCH_SECONDS = 5.8e-3 / 128
# The same, "A step with two teachers on CPU", 8 clips.
ASKED_SECONDS = 8.98 / 8
# Assumed of a host: a day to prepare, memory, a disk; Linux' default number of maps.
DAY, MEMORY, DISK, MAPS = 86_400, 512e9, 10e12, 65_530
FILE = 16e12  # the largest of ext4


class Growth(NamedTuple):
    """Something that grows with a corpus.

    Attributes:
      part: what.
      each_hour: how much of it an hour of sound takes.
      unit: of that.
      room: how much there may be.
    """

    part: str
    each_hour: float
    unit: str
    room: float

    @property
    def hours(self):
        """Of sound at which there is no more room."""
        return self.room / self.each_hour


def record_bytes(line):
    """Of a line of the manifest, JSON with its end."""
    return len(line.encode()) + 1


def growths(record):
    """Every `Growth`.

    Args:
      record: a line of a manifest.
    """
    rows = HOUR_CLIPS * VIEWS
    answers = jobs_by_formula.answer_bytes()
    windows = HOUR_CLIPS / 0.1
    prepared = 4 * 16_000 * HOUR_CLIPS
    return [
        Growth("checking every file", CHECK_SECONDS * HOUR_CLIPS, "s", DAY),
        Growth("decoding, once", PREPARE_SECONDS * HOUR_CLIPS, "s", DAY),
        Growth("prepared sound, 16 kHz", prepared, "B", DISK),
        Growth("the same, in one file", prepared, "B", FILE),
        Growth("the same, in memory", prepared, "B", MEMORY),
        Growth("prepared sound, 48 kHz", 3 * prepared, "B", DISK),
        Growth("manifest", record_bytes(record) * HOUR_CLIPS, "B", MEMORY),
        Growth("windows of the VAE, 0.1 s apart", 16 * windows, "B", MEMORY),
        Growth("answers, 4 views, float32", answers * rows, "B", DISK),
        Growth("the same, files mapped at once", rows / PART_ROWS, "", MAPS),
        Growth("asking two teachers, 2 cores", ASKED_SECONDS * rows, "s", DAY),
    ]


def asking_hours(hours, pod_rate):
    """Hours of a pod to ask both teachers about all views.

    Args:
      hours: of sound.
      pod_rate: FLOP/s of all of its chips, as assumed.
    """
    products = jobs_by_formula.teachers().products
    return 2 * products * hours * HOUR_CLIPS * VIEWS / pod_rate / 3600


def hosts_busy(examples_per_second):
    """Pairs of cores that make so many examples, as batches were made."""
    return examples_per_second * BATCH_SECONDS

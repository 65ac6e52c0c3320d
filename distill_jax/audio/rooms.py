"""Impulse responses of simulated rooms."""

import hashlib
import json
import math
from pathlib import Path
from typing import NamedTuple

import numpy as np

from distill_jax.audio import files
from distill_jax.progress import bar

SOUND_M_S = 343.0
# No nearer to a wall than this are talker and microphone.
MARGIN_M = 0.3
# The energy of a reflection that is not worth to be followed further.
FAINT = 1e-6
# Raise it when rooms change, so that old ones are not read.
VERSION = 1


class Settings(NamedTuple):
    """Which rooms are simulated; pairs are the least and the most.

    Attributes:
      count: how many.
      rate_hz: sampling rate.
      seconds: length of a response, from the direct sound on.
      floor_m: length and width of the floor.
      height_m: of the room.
      distance_m: from the talker to the microphone.
      absorption: share of the energy that a wall takes, the same for all six; 0.1 is
        a tiled bathroom, 0.6 a furnished living room.
      seed: another one gives other rooms.
    """

    count: int = 64
    rate_hz: int = 16_000
    seconds: float = 0.25
    floor_m: tuple[float, float] = (2.5, 8.0)
    height_m: tuple[float, float] = (2.2, 3.5)
    distance_m: tuple[float, float] = (0.3, 3.0)
    absorption: tuple[float, float] = (0.15, 0.7)
    seed: int = 0


class Room(NamedTuple):
    """A room without furniture, and who is where in it.

    Attributes:
      size_m: (length, width, height).
      source_m: place of the talker.
      microphone_m: place of the microphone.
      absorption: as in `Settings`.
    """

    size_m: tuple[float, float, float]
    source_m: tuple[float, float, float]
    microphone_m: tuple[float, float, float]
    absorption: float


DEFAULT = Settings()


def responses(cache, settings=DEFAULT):
    """Simulates rooms, or reads them if that was done before.

    Args:
      cache: folder for them.
      settings: `Settings`.

    Returns:
      float32 [count, r], see `simulate`.

    Raises:
      ValueError: the settings cannot be met.
      OSError: the disk is full.
    """
    _check(settings)
    digest = hashlib.sha256(json.dumps([VERSION, settings]).encode()).hexdigest()[:16]
    path = Path(cache) / f"rooms_{digest}.npy"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        drawn = bar(draw(settings), "simulating rooms", unit="room")
        room_nr = np.stack([simulate(room, settings) for room in drawn])
        with files.replacing(path) as file:
            np.save(file, room_nr)
    return np.load(path)


def draw(settings):
    """Draws rooms in which the direct sound takes a whole number of samples.

    Args:
      settings: `Settings`.

    Returns:
      list of `Room`.
    """
    rng = np.random.default_rng(settings.seed)
    return [_draw_one(rng, settings) for _ in range(settings.count)]


def simulate(room, settings):
    """The impulse response of a room, of unit energy.

    Args:
      room: `Room`.
      settings: `Settings`.

    Returns:
      float32 [r]. It begins with the direct sound, so that reverberated audio is not
      later than the original, and fades out over its last quarter.

    Source: image method of Allen & Berkley 1979, by pyroomacoustics.
    """
    import pyroomacoustics  # Takes seconds, and is needed once in a cache's life.

    walls = pyroomacoustics.Material(room.absorption)
    box = pyroomacoustics.ShoeBox(
        room.size_m, settings.rate_hz, materials=walls, max_order=_order(room, settings)
    )
    box.set_sound_speed(SOUND_M_S)
    box.add_source(room.source_m)
    box.add_microphone(room.microphone_m)
    box.compute_rir()
    lead = pyroomacoustics.constants.get("frac_delay_length") // 2
    first = lead + round(_distance(room) / SOUND_M_S * settings.rate_hz)
    taps = round(settings.seconds * settings.rate_hz)
    response_r = box.rir[0][0][first : first + taps]
    response_r = np.pad(response_r, (0, taps - len(response_r)))
    fade = taps // 4
    response_r[-fade:] *= 0.5 + 0.5 * np.cos(np.pi * np.arange(fade) / fade)
    return np.float32(response_r / np.linalg.norm(response_r))


def _order(room, settings):
    """How many walls a sound may meet before it is over or too faint."""
    over = math.ceil(settings.seconds * SOUND_M_S / min(room.size_m)) + 1
    faint = math.ceil(math.log(FAINT) / math.log(1 - room.absorption))
    return min(over, faint)


def _distance(room):
    return math.dist(room.source_m, room.microphone_m)


def _draw_one(rng, settings):
    floor_m, height_m = settings.floor_m, settings.height_m
    size_m = np.array([*rng.uniform(*floor_m, 2), rng.uniform(*height_m)])
    absorption = rng.uniform(*settings.absorption)
    per_m = settings.rate_hz / SOUND_M_S
    distance_m = round(rng.uniform(*settings.distance_m) * per_m) / per_m
    while True:
        source_m = rng.uniform(MARGIN_M, size_m - MARGIN_M)
        way = rng.normal(size=3)
        microphone_m = source_m + distance_m * way / np.linalg.norm(way)
        if np.all((microphone_m > MARGIN_M) & (microphone_m < size_m - MARGIN_M)):
            places = size_m.tolist(), source_m.tolist(), microphone_m.tolist()
            return Room(*map(tuple, places), float(absorption))


def _check(settings):
    faults = []
    inside_m = min(settings.floor_m[0], settings.height_m[0]) - 2 * MARGIN_M
    if inside_m <= 0:
        faults.append(f"floor_m and height_m should be above {2 * MARGIN_M:g} m")
    # Else placing talker and microphone by chance could take forever.
    elif not 0 < settings.distance_m[0] <= settings.distance_m[1] <= 2 * inside_m:
        faults.append(
            f"distance_m should be between 0 and {2 * inside_m:g} m in these rooms"
        )
    if not 0 < settings.absorption[0] <= settings.absorption[1] < 1:
        faults.append("absorption should be between 0 and 1")
    if settings.count < 1 or settings.seconds * settings.rate_hz < 4:
        faults.append("count should be at least 1 and a response 4 samples long")
    if faults:
        raise ValueError(f"no such rooms: {'; '.join(faults)}; found {settings}")

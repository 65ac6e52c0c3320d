"""Numbers, pictures and sounds of a run: reduced, and written where people look."""

import json
import math
from pathlib import Path

import numpy as np
from tensorboardX import SummaryWriter

FILE = "metrics.jsonl"
# Nine points of matplotlib's viridis, dark to bright.
VIRIDIS = np.array(
    [
        (68, 1, 84),
        (71, 45, 123),
        (59, 82, 139),
        (44, 114, 142),
        (33, 145, 140),
        (40, 174, 128),
        (94, 201, 98),
        (173, 220, 48),
        (253, 231, 37),
    ],
    np.float32,
)


def add(totals, batch):
    """Adds the metrics of a batch to those of the batches before it.

    Args:
      totals: {name: (sum, count)}, {} at first.
      batch: the same of one batch.

    Returns:
      The sum of both, in double precision.
    """
    return {
        name: tuple(
            before + float(part)
            for before, part in zip(totals.get(name, (0.0, 0.0)), pair, strict=True)
        )
        for name, pair in batch.items()
    }


def means(totals):
    """{name: sum / count}; NaN where nothing was counted."""
    return {
        name: total / count if count else math.nan
        for name, (total, count) in totals.items()
    }


def read(workdir):
    """All records of a run, in order.

    Args:
      workdir: folder of the run.

    Returns:
      Dictionaries with `step`, `split`, `values` and `non_finite`, the number of
      values that JSON cannot write and that are None. A line cut off by the end of
      a process is left out.
    """
    path = Path(workdir) / FILE
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("}\n")]


class Writer:
    """Appends to `metrics.jsonl` and to TensorBoard; a context manager.

    The first record says where the run goes on: what an earlier process wrote for
    that step and later ones is dropped.

    Attributes:
      non_finite: how many values written so far were infinite or NaN.
    """

    def __init__(self, workdir, rate_hz=None, every=1):
        """Nothing is opened before the first record.

        Args:
          workdir: folder of the run.
          rate_hz: sample rate of previews that are audio.
          every: training metrics are written at multiples of this step.
        """
        self.workdir = Path(workdir)
        self.rate_hz = rate_hz
        self.every = every
        self.non_finite = 0
        self._file = self._board = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self._file is not None:
            self._file.close()
            self._board.close()

    def write(self, step, values):
        """Writes what the training loop yields.

        Args:
          step: number of the update.
          values: floats, and arrays `*_n`, counts in equal bins from 0 to 1; those
            called `valid/...` are a record of their own and, with arrays called
            `preview/...`, written whatever the step. Names of the latter end in `_bs`
            for audio and in `_bft` or `_bfx` for pictures [batch, frequency, time].

        Raises:
          ValueError: a preview's name tells neither.
        """
        if self._file is None:
            self._open(step)
        splits = {"train": {}, "valid": {}, "preview": {}}
        for name, value in values.items():
            split, _, rest = (
                name.rpartition("/") if "/" in name else ("train", "", name)
            )
            splits[split][rest] = value
        if step % self.every == 0 or splits["valid"]:
            self._numbers(step, "train", splits["train"])
        if splits["valid"]:
            self._numbers(step, "valid", splits["valid"])
        self._previews(step, splits["preview"])

    def _open(self, step):
        kept = [record for record in read(self.workdir) if record["step"] < step]
        path = self.workdir / FILE
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(FILE + ".partial")
        partial.write_text("".join(map(_line, kept)), encoding="utf-8")
        partial.replace(path)
        self._file = path.open("a", encoding="utf-8")
        self._board = SummaryWriter(str(self.workdir / "tensorboard"), purge_step=step)

    def _numbers(self, step, split, values):
        counts = {name: v for name, v in values.items() if name.endswith("_n")}
        values = {name: v for name, v in values.items() if name not in counts}
        finite = {name: v if math.isfinite(v) else None for name, v in values.items()}
        lost = sum(value is None for value in finite.values())
        finite |= {name: count_n.tolist() for name, count_n in counts.items()}
        self.non_finite += lost
        record = {"step": step, "split": split, "values": finite, "non_finite": lost}
        self._file.write(_line(record))
        self._file.flush()
        for name, value in values.items():
            self._board.add_scalar(f"{split}/{name}", value, step)
        for name, count_n in counts.items():
            self._histogram(step, f"{split}/{name}", count_n)

    def _histogram(self, step, name, count_n):
        """Counts in bins, of which TensorBoard wants sums as well."""
        edge_n = np.linspace(0.0, 1.0, len(count_n) + 1)
        middle_n = (edge_n[1:] + edge_n[:-1]) / 2
        self._board.add_histogram_raw(
            name,
            min=0.0,
            max=1.0,
            num=int(count_n.sum()),
            sum=float(count_n @ middle_n),
            sum_squares=float(count_n @ middle_n**2),
            bucket_limits=edge_n[1:].tolist(),
            bucket_counts=count_n.tolist(),
            global_step=step,
        )

    def _previews(self, step, arrays):
        kinds = {name: name.rpartition("_")[2] for name in arrays}
        unknown = [
            name for name, kind in kinds.items() if kind not in ("bs", "bft", "bfx")
        ]
        if unknown:
            raise ValueError(
                f"previews are audio (*_bs) or pictures (*_bft, *_bfx), not {unknown}; "
                "name them by their axes"
            )
        for name, kind in kinds.items():
            if kind == "bs":
                self._sounds(step, name, arrays[name])
            else:
                alike = [arrays[other] for other in kinds if kinds[other] == kind]
                image = picture(arrays[name], _range(alike))
                self._board.add_image(name, image, step, dataformats="HWC")

    def _sounds(self, step, name, audio_bs):
        for number, audio_s in enumerate(np.clip(audio_bs, -1.0, 1.0)):
            self._board.add_audio(
                f"{name}/{number}", audio_s[:, None], step, sample_rate=self.rate_hz
            )


def picture(value_bft, limits):
    """Maps side by side as one picture, low frequencies at the bottom.

    Args:
      value_bft: [batch, frequency, time].
      limits: (darkest, brightest) value.

    Returns:
      uint8 [frequency, batch * (time + 1) - 1, 3]; a white column between two maps,
      not-finite values red.
    """
    low, high = limits
    value_bft = np.asarray(value_bft, np.float32)[:, ::-1]
    unit_bft = np.clip((value_bft - low) / max(high - low, 1e-12), 0.0, 1.0)
    at_bft = np.nan_to_num(unit_bft) * (len(VIRIDIS) - 1)
    points = np.arange(len(VIRIDIS))
    rgb_bftn = np.stack([np.interp(at_bft, points, c) for c in VIRIDIS.T], axis=-1)
    rgb_bftn[~np.isfinite(value_bft)] = (255, 0, 0)
    rgb_bftn = np.pad(rgb_bftn, [(0, 0), (0, 0), (0, 1), (0, 0)], constant_values=255)
    return np.concatenate(list(np.round(rgb_bftn).astype(np.uint8)), axis=1)[:, :-1]


def _range(arrays):
    """Lowest and highest finite value of maps that are to be compared."""
    values = np.concatenate([np.ravel(array) for array in arrays])
    values = values[np.isfinite(values)]
    return (float(values.min()), float(values.max())) if values.size else (0.0, 1.0)


def _line(record):
    return json.dumps(record) + "\n"

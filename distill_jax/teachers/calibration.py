"""How sure a teacher may be: one temperature, chosen on held-out clips."""

import json
import logging
import math
from pathlib import Path

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from distill_jax import detection, workdir

log = logging.getLogger(__name__)

FILE = "calibration.json"
COLDEST, HOTTEST = 0.1, 10.0


def nll(logits_nc, label_n, temperature=1.0):
    """Mean negative log-likelihood of the right classes, in nats.

    Args:
      logits_nc: [clips, classes].
      label_n: the right class of each.
      temperature: the logits are divided by it.
    """
    log_prob_nc = log_softmax(np.asarray(logits_nc, np.float64) / temperature, axis=1)
    return float(-log_prob_nc[np.arange(len(label_n)), label_n].mean())


def probabilities(logits_nc, temperature=1.0):
    """Softmax of logits divided by a temperature, float64 [clips, classes]."""
    logits_nc = np.asarray(logits_nc, np.float64)
    return np.exp(log_softmax(logits_nc / temperature, axis=1))


def fit(logits_nc, label_n):
    """The temperature that makes the right classes likeliest.

    Args:
      logits_nc: of clips that the teacher was not trained on, [clips, classes].
      label_n: the right class of each.

    Returns:
      Between 0.1 and 10; a warning says when it ends at one of them.

    Source: Guo et al. 2017, "On calibration of modern neural networks", section 4.2.
    """
    # NLL has one minimum in 1/T, so in log T too.
    found = minimize_scalar(
        lambda log_t: nll(logits_nc, label_n, math.exp(log_t)),
        bounds=(math.log(COLDEST), math.log(HOTTEST)),
        method="bounded",
        options={"xatol": 1e-4},
    )
    # The search never looks at its ends.
    temperature = min(
        (COLDEST, HOTTEST, math.exp(found.x)),
        key=lambda each: nll(logits_nc, label_n, each),
    )
    if temperature in (COLDEST, HOTTEST):
        log.warning(
            "the temperature ended at its limit, %.3g, on %d clips: too few, too easy "
            "or too hard ones to calibrate on",
            temperature,
            len(label_n),
        )
    return temperature


def measure(logits_nc, label_n, temperature):
    """Figures of clips before and after the temperature, by name.

    Returns:
      `nll`, nats, and `ece`, the expected calibration error in 15 bins, each a pair
      of before and after.
    """
    pair = 1.0, temperature
    sure = [probabilities(logits_nc, each) for each in pair]
    return {
        "nll": [nll(logits_nc, label_n, each) for each in pair],
        "ece": [detection.calibration_error(each, label_n) for each in sure],
    }


def write(folder, figures):
    """Writes `FILE` into the folder of a run; it needs `temperature` and `step`."""
    workdir.write_json(Path(folder) / FILE, figures)


def read(folder):
    """What `write` wrote.

    Raises:
      ValueError: there is none: the run is not finished.
    """
    path = Path(folder) / FILE
    if not path.is_file():
        raise ValueError(
            f"{path} is missing, so the teacher in {folder} was never calibrated; "
            "give its training command again, which finishes and calibrates it"
        )
    return json.loads(path.read_text("utf-8"))

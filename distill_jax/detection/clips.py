"""Numbers on single clips."""

import numpy as np


def confusion(true_n, predicted_n, classes):
    """How often each class was taken for each, int [true, predicted]."""
    count_cc = np.zeros((classes, classes), int)
    np.add.at(count_cc, (np.asarray(true_n), np.asarray(predicted_n)), 1)
    return count_cc


def calibration_error(probability_nc, true_n, bins=15):
    """Expected difference between confidence and accuracy, 0 to 1.

    Args:
      probability_nc: of every class, [examples, classes].
      true_n: the right class of each.
      bins: of equal width, between confidence 0 and 1.

    Source: Guo et al. 2017, "On calibration of modern neural networks", eq. 3.
    """
    _, confidence_k, right_k = reliability(probability_nc, true_n, bins)
    return float(np.abs(confidence_k - right_k).sum() / len(probability_nc))


def reliability(probability_nc, true_n, bins=15):
    """Answers by how sure they are.

    Args:
      probability_nc: of every class, [examples, classes].
      true_n: the right class of each.
      bins: of equal width, between confidence 0 and 1. A bin holds its upper end, as
        in the paper.

    Returns:
      Of each bin the examples, the sum of their confidence, and how many are right.

    Source: Guo et al. 2017, section 2.
    """
    confidence_n = probability_nc.max(axis=1).astype(np.float64)
    right_n = probability_nc.argmax(axis=1) == np.asarray(true_n)
    bin_n = np.clip(np.ceil(confidence_n * bins).astype(int) - 1, 0, bins - 1)
    return tuple(
        np.bincount(bin_n, each_n, bins) for each_n in (None, confidence_n, right_n)
    )


def det(score_n, positive_n):
    """Detection error trade-off of single clips, at every score and above them all.

    Args:
      score_n: [clips].
      positive_n: whether each holds the word, [clips], some of either kind.

    Returns:
      threshold_m, false_accept_m and false_reject_m, shares of the clips without and
      with the word; thresholds rise.

    Source: Martin et al. 1997, "The DET curve in assessment of detection task
    performance".
    """
    score_n, positive_n = np.asarray(score_n), np.asarray(positive_n, bool)
    threshold_m = np.append(np.unique(score_n), np.inf)
    with_n, without_n = np.sort(score_n[positive_n]), np.sort(score_n[~positive_n])
    accepted_m = 1 - np.searchsorted(without_n, threshold_m) / len(without_n)
    return threshold_m, accepted_m, np.searchsorted(with_n, threshold_m) / len(with_n)

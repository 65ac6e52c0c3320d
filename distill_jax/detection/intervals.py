"""Intervals: how far a counted number can be trusted."""

import numpy as np
from scipy import stats

CONFIDENCE = 0.95


def wilson(count, total, confidence=CONFIDENCE):
    """Interval of a share, (low, high).

    Args:
      count: how many times it was so.
      total: of how many; for 0 the interval is (0, 1).
      confidence: probability that the interval covers the true share.

    Source: Wilson 1927, "Probable inference", without continuity correction.
    """
    if not total:
        return 0.0, 1.0
    z = stats.norm.ppf((1 + confidence) / 2)
    share, extra = count / total, z * z / total
    middle = (share + extra / 2) / (1 + extra)
    half = np.sqrt(share * (1 - share) * extra + extra * extra / 4) / (1 + extra)
    # At 0 and 1 the interval ends there, but for rounding.
    low = middle - half if count else 0.0
    return float(low), float(middle + half if count < total else 1.0)


def poisson(count, confidence=CONFIDENCE):
    """Exact interval of the mean of a Poisson count, (low, high).

    Source: Garwood 1936; Ulm 1990 for the form with chi-squared quantiles.
    """
    tail = (1 - confidence) / 2
    low = stats.chi2.ppf(tail, 2 * count) / 2 if count else 0.0
    return float(low), float(stats.chi2.ppf(1 - tail, 2 * count + 2) / 2)


def probit(share_n):
    """Shares as standard normal quantiles, the axes of a DET plot."""
    return stats.norm.ppf(share_n)


def worst_group(missed_k, group_k):
    """The group of words (a speaker, a voice) that is most surely heard badly.

    Args:
      missed_k: whether each word was missed.
      group_k: the name of the group of each.

    Returns:
      name, missed, words, and the interval of its share of misses. It is the group
      with the highest lower end of that interval: one word missed of one is weaker
      evidence than three of four.
    """
    group_k, missed_k = np.asarray(group_k), np.asarray(missed_k, bool)
    counts = [
        (str(name), int(missed_k[group_k == name].sum()), int((group_k == name).sum()))
        for name in np.unique(group_k)
    ]
    name, missed, words = max(counts, key=lambda each: wilson(*each[1:])[0])
    return name, missed, words, wilson(missed, words)

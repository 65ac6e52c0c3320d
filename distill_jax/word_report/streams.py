"""Whether the word is heard in sound that does not end, and what else is."""

import math

from distill_jax import detection, report
from distill_jax.word_report.job import shown
from distill_jax.word_report.listening import RATES, hours, outcome, threshold

PROTOCOL = (
    "A word counts as heard if the smoothed score reaches the threshold between its "
    "start and one second after its end; elsewhere each second with such a score is a "
    "false accept. Thresholds are chosen on validation recordings, with all levels of "
    "noise together, and the numbers are of test recordings. Intervals are of 95 % "
    "(words: Wilson; false accepts: exact Poisson). They take words and false accepts "
    "for independent; the same words are used at every level of noise."
)


def operation(job, scenes, heard):
    """What happens at the threshold for the wanted rate of false accepts."""
    wanted = job.listening.per_hour
    chosen = threshold(heard, wanted)
    found = {
        snr_db: outcome(scenes[snr_db], timeline, chosen)
        for snr_db, timeline in heard["test"].items()
    }
    rows = [
        [shown(snr_db), *_cells(each), _late(each), _worst(each)]
        for snr_db, each in found.items()
    ]
    header = ["noise", "words missed", "false accepts", "per hour", "latency", "worst"]
    parts = [
        f"The network is computed with {job.arithmetic}. Threshold {chosen:.7g}, for "
        f"at most {wanted:g} false accepts per hour in {hours(heard['valid']):.2f} h "
        f"of validation recordings. {PROTOCOL}",
        report.Table(header, rows),
        "Latency is from the end of the word to the first trigger, median and 95th "
        "percentile; below 0 the word was known before it had ended. Worst is the "
        "speaker whose words are most surely missed.",
        _device(found),
        *_doubt(hours(heard["valid"]), [wanted], "validation"),
    ]
    figures = {
        "threshold": chosen,
        "validation_hours": hours(heard["valid"]),
        "streaming": {shown(snr_db): each for snr_db, each in found.items()},
    }
    heading = "Is the word heard, and nothing else?"
    return figures, report.Section(heading, parts)


def _cells(each):
    low, high = each["missed_interval"]
    least, most = each["false_accepts_per_hour_interval"]
    return [
        f"{each['missed']} of {each['words']}: {each['missed_share']:.1%} "
        f"({low:.1%} to {high:.1%})",
        f"{each['false_accepts']} in {each['hours']:.2f} h",
        f"{each['false_accepts_per_hour']:.2f} ({least:.2f} to {most:.2f})",
    ]


def _late(each):
    late = each["latency_seconds"]
    if not late["words"]:
        return "–"
    return f"{late['median']:+.2f} s, {late['percentile_95']:+.2f} s"


def _worst(each):
    worst = each["worst_group"]
    return f"{worst['name']}: {worst['missed']} of {worst['words']} missed"


def _device(found):
    counts = [
        f"{shown(snr_db)}: {each['on_device']['missed']} missed, "
        f"{each['on_device']['false_accepts']} false"
        for snr_db, each in found.items()
    ]
    return (
        "A device that is deaf for one second after every trigger, as `distill-jax "
        f"detect` is, does this: {'; '.join(counts)}."
    )


def _doubt(length, rates, which):
    """Says which rates recordings of that length cannot show."""
    low = [rate for rate in rates if not detection.resolves(length, rate)]
    if not low:
        return []
    most = detection.poisson(0)[1] / length
    rates_text = ", ".join(f"{rate:g}" for rate in low)
    return [
        f"Too short: {length:.2f} h of {which} recordings hold less than one false "
        f"accept at {rates_text} per hour, so that the threshold allows none there. "
        f"None in that time still agrees with up to {most:.1f} per hour; for "
        f"{low[0]:g} per hour use {math.ceil(1 / low[0])} h or more."
    ]


def trade_off(job, scenes, heard):
    """Misses against false accepts, over every threshold."""
    curves = {snr_db: detection.curve(line) for snr_db, line in heard["test"].items()}
    report.rejections(
        job.folder / "rejections.png",
        {
            shown(snr_db): (
                curve.accepts_n / curve.hours,
                curve.rejected_n,
                curve.hours,
            )
            for snr_db, curve in curves.items()
        },
        "Words missed against false accepts",
        RATES,
    )
    rates = {rate: _at_rate(scenes, heard, rate) for rate in RATES}
    rows = [
        [f"{rate:g}", f"{at['threshold']:.7g}", *map(_short, at["streaming"].values())]
        for rate, at in rates.items()
    ]
    header = ["false accepts per hour", "threshold", *map(shown, curves)]
    parts = [
        report.Image(
            "rejections.png",
            "Every threshold there is in the test recordings. Down and to the left is "
            "better. Within the grey the recordings are too short to say.",
        ),
        "Thresholds from validation for three rates, and what they do on the test: "
        "words missed, and false accepts per hour with their interval.",
        report.Table(header, rows),
        *_doubt(hours(heard["valid"]), RATES, "validation"),
        "Mean share of words missed over 0 to 2 false accepts per hour: "
        + "; ".join(
            f"{shown(snr_db)} {detection.area(curve):.1%}"
            for snr_db, curve in curves.items()
        )
        + ".",
    ]
    figures = {
        "rates": {f"{rate:g}": at for rate, at in rates.items()},
        "curves": {shown(s): _curve_figures(each) for s, each in curves.items()},
    }
    return figures, report.Section("What would another threshold do?", parts)


def _at_rate(scenes, heard, rate):
    chosen = threshold(heard, rate)
    return {
        "threshold": chosen,
        "resolved": detection.resolves(hours(heard["valid"]), rate),
        "streaming": {
            shown(snr_db): outcome(scenes[snr_db], timeline, chosen)
            for snr_db, timeline in heard["test"].items()
        },
    }


def _short(each):
    least, most = each["false_accepts_per_hour_interval"]
    return (
        f"{each['missed_share']:.1%}, {each['false_accepts_per_hour']:.1f} "
        f"({least:.1f} to {most:.1f})"
    )


def _curve_figures(curve):
    at = {f"{rate:g}": detection.rejected_at(curve, rate) for rate in RATES}
    resolved = {f"{rate:g}": detection.resolves(curve.hours, rate) for rate in RATES}
    return curve._asdict() | {
        "area_to_2_per_hour": detection.area(curve),
        "missed_share_at_test_rate": at,
        "resolved": resolved,
    }

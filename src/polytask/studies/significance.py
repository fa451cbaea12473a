"""Whether two ways of training differ: seeds and test rows are both drawn from what could be."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.stats import t

GROUPS = 50
"""Stretches that the rows of a test set are parted into."""
ALPHA = 0.05
"""How often a verdict may be wrong where there is no difference."""
_POWER = 0.8

Verdict = Literal["helped", "hurt", "equivalent", "no evidence"]


@dataclass(frozen=True, slots=True)
class Sample:
    """Scores of models that differ in their seed alone, on one test set.

    whole: on all rows, (seeds,). without: on all rows but those of one group, (seeds, groups).
    """

    whole: np.ndarray
    without: np.ndarray

    @classmethod
    def of(cls, models: Sequence[tuple[float, Sequence[float]]]) -> "Sample":
        """From what `in_parts` gives for each model."""
        return cls(np.array([whole for whole, _ in models]), np.array([w for _, w in models]))


def in_parts(score: Callable[[np.ndarray], float], num_rows: int) -> tuple[float, list[float]]:
    """The score on all rows, and those without one group each; `score` takes places of rows.

    A group is a stretch of rows, so that neighbours, such as sentences of one text, stay together:
    what depends on each other must be left out together for a jackknife to be right.
    """
    places = np.arange(num_rows)
    num_groups = min(GROUPS, num_rows)
    groups = places * num_groups // num_rows
    without = [score(places[groups != group]) for group in range(num_groups)]
    return score(places), without


@dataclass(frozen=True, slots=True)
class Difference:
    """A mean difference, its standard error, and the degrees of freedom that this is known with.

    nan where a side has one seed alone: then nothing is known of how seeds differ.
    """

    mean: float
    error: float
    freedom: float

    def interval(self, confidence: float = 1 - ALPHA) -> tuple[float, float]:
        """The lowest and the highest difference that the scores go with, by Student's t."""
        margin = float(t.ppf((1 + confidence) / 2, self.freedom)) * self.error
        return self.mean - margin, self.mean + margin

    @classmethod
    def of(cls, held: Mapping[str, float | None]) -> "Difference":
        """From plain values by name, None for nan; infinite freedom is None too."""
        error = math.nan if held["error"] is None else held["error"]
        unknown = math.nan if math.isnan(error) else math.inf
        freedom = unknown if held["freedom"] is None else held["freedom"]
        mean = math.nan if held["mean"] is None else held["mean"]
        return cls(mean, error, freedom)

    def __str__(self) -> str:
        lowest, highest = self.interval()
        shown = "" if math.isnan(lowest) else f" ± {(highest - lowest) / 2:.4f}"
        return f"{self.mean:+.4f}{shown}"

    @property
    def p_value(self) -> float:
        """How likely a difference as large is where there is none; 1 if that is not known."""
        if math.isnan(self.error):
            return 1.0
        if self.error == 0:
            return 1.0 if self.mean == 0 else 0.0
        return float(2 * t.sf(abs(self.mean) / self.error, self.freedom))

    def is_within(self, margin: float) -> bool:
        """Whether two one-sided tests at 5 % say that it is smaller than a margin."""
        lowest, highest = self.interval(1 - 2 * ALPHA)
        return -margin < lowest and highest < margin

    def detectable(self, num_tasks: int = 1) -> float:
        """The difference that would be seen in four of five comparisons, the first of so many."""
        alpha = ALPHA / num_tasks
        factors = t.ppf(1 - alpha / 2, self.freedom) + t.ppf(_POWER, self.freedom)
        return float(factors) * self.error


def difference(one: Sample, other: Sample) -> Difference:
    """Of the means of two samples on the same rows, `one` less `other`; seeds are not paired.

    The variance is that between the seeds of each side, and that between rows of the difference of
    the means, which a jackknife that leaves out a group of rows at a time gives for any metric.
    Both hold what belongs to a seed and a row together, which is taken out once. Sources: Welch,
    "The Generalization of 'Student's' Problem" (Biometrika 1947); Satterthwaite, "An Approximate
    Distribution of Estimates of Variance Components" (1946); Kott, "The Delete-a-Group Jackknife"
    (Journal of Official Statistics 2001).
    """
    mean = float(one.whole.mean() - other.whole.mean())
    if min(len(one.whole), len(other.whole)) < 2:
        return Difference(mean, math.nan, math.nan)
    seeds = [float(side.whole.var(ddof=1)) / len(side.whole) for side in (one, other)]
    rows = _between_rows(one.without.mean(0) - other.without.mean(0))
    both = sum(map(_of_seed_and_row, (one, other)))
    total = max(sum(seeds) + rows - both, sum(seeds), rows)
    terms = [
        (variance, len(side.whole) - 1) for variance, side in zip(seeds, (one, other), strict=True)
    ]
    terms.append((rows, one.without.shape[1] - 1))
    spread = sum(variance**2 / freedom for variance, freedom in terms if freedom)
    return Difference(mean, math.sqrt(total), total**2 / spread if spread else math.inf)


def _between_rows(without: np.ndarray) -> float:
    """The variance that the choice of rows gives a score, from scores without a group each."""
    num = without.shape[-1]
    return float(without.var(axis=-1).mean() * (num - 1))


def _of_seed_and_row(side: Sample) -> float:
    """What is in the variance between the seeds of a side and in that between its rows."""
    num = len(side.whole)
    apart, together = _between_rows(side.without), _between_rows(side.without.mean(0))
    return max(apart - together, 0.0) / (num - 1)


def verdicts(differences: Mapping[str, Difference], margin: float) -> dict[str, Verdict]:
    """By task. That any is called helped or hurt where nothing differs has a chance of 5 %.

    A difference that is not chance is named as such even if it is within the margin; what is called
    equivalent is tested for each task by itself. Source: Holm, "A Simple Sequentially Rejective
    Multiple Test Procedure" (1979).
    """
    ordered = sorted(differences, key=lambda name: differences[name].p_value)
    found: dict[str, Verdict] = {}
    is_rejecting = True
    for place, name in enumerate(ordered):
        one = differences[name]
        is_rejecting = is_rejecting and one.p_value <= ALPHA / (len(ordered) - place)
        if is_rejecting:
            found[name] = "helped" if one.mean > 0 else "hurt"
        else:
            found[name] = "equivalent" if one.is_within(margin) else "no evidence"
    return {name: found[name] for name in differences}


def mean_gain(pairs: Sequence[tuple[float, float]]) -> float:
    """The mean over tasks of (together - alone) / |alone|, from means over seeds; nan without."""
    gains = [(together - alone) / abs(alone) for together, alone in pairs if alone]
    return sum(gains) / len(gains) if gains else math.nan

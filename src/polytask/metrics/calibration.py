"""How far stated probabilities are true."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.isotonic import IsotonicRegression

NUM_BINS = 15

Curve = tuple[list[float], list[float]]
"""Probabilities as a model gives them, rising from 0 to 1, and what each is worth."""


@dataclass(frozen=True, slots=True)
class Bin:
    """Answers of like probability: their mean, the share that was right, how many they are."""

    stated: float
    right: float
    count: int


@dataclass(frozen=True, slots=True)
class Reliability:
    """Whether answers are right as often as they say.

    error: expected calibration error, the mean distance of stated and right over bins of equal
    size. brier: mean squared distance of what an answer stated and 1 if it was right, else 0.
    """

    error: float
    brier: float
    count: int
    bins: Sequence[Bin]

    @classmethod
    def of(cls, chances: Sequence[tuple[float, bool]]) -> "Reliability":
        """From what answers stated and whether they were right; nan without answers.

        Equal probabilities never part, so bins may differ in size. Source of the bins: Nguyen and
        O'Connor, "Posterior calibration and exploratory analysis for NLP models" (EMNLP 2015).
        """
        if not chances:
            return cls(math.nan, math.nan, 0, ())
        pairs = np.array(chances, np.float64)  # (answers, 2)
        pairs = pairs[np.argsort(pairs[:, 0], kind="stable")]
        wanted = np.linspace(0, len(pairs), NUM_BINS + 1)[1:-1].round().astype(int)
        cuts = np.unique(np.searchsorted(pairs[:, 0], pairs[wanted.clip(max=len(pairs) - 1), 0]))
        parts = [part for part in np.split(pairs, cuts) if len(part)]
        bins = [
            Bin(float(part[:, 0].mean()), float(part[:, 1].mean()), len(part)) for part in parts
        ]
        error = math.fsum(one.count * abs(one.stated - one.right) for one in bins) / len(pairs)
        brier = float(np.square(pairs[:, 0] - pairs[:, 1]).mean())
        return cls(error, brier, len(pairs), bins)


def isotonic_curve(chances: np.ndarray, fits: np.ndarray) -> Curve:
    """What probabilities are worth, by isotonic regression; chances, fits (0 or 1): (answers,).

    Straight between the centres of its steps, and 0 and 1 at the ends, so no two probabilities
    become one; the share of a step counts one answer of the share of all besides. Source of the
    centres: Oron and Flournoy, "Centered Isotonic Regression" (Statistics in Biopharmaceutical
    Research 9, 2017).
    """
    if not len(chances):
        return [0.0, 1.0], [0.0, 1.0]
    steps = IsotonicRegression(y_min=0, y_max=1).fit_transform(chances, fits)  # (answers,)
    order = np.argsort(chances, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(steps[order]) > 0) + 1)
    share = float(fits.mean())
    places, worths = [0.0], [0.0]
    for part in parts:
        place, worth = chances[part].mean(), (fits[part].sum() + share) / (len(part) + 1)
        if place > places[-1] and worth > worths[-1]:
            places.append(float(place))
            worths.append(float(worth))
    return [*places, 1.0], [*worths, 1.0]


def on_curve(curve: Curve, chance: float) -> float:
    """What a probability is worth."""
    return float(np.interp(chance, *curve))

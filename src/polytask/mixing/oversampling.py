"""Rare labels drawn more often than they occur."""

from collections import Counter
from collections.abc import Hashable, Sequence
from typing import Annotated

import numpy as np
from pydantic import Field

Power = Annotated[float, Field(gt=0, le=1)]


def mixing_section(*, oversample: dict[str, Power] | None = None) -> None:
    """The key that every mixer has: by task, how far the records of rare labels are drawn more."""


def draw_weights(labels: Sequence[Hashable | None], power: float) -> np.ndarray:
    """How often each record is drawn, 1 on average: (records,).

    In proportion to n^-power for a label that n records have: each label is drawn equally often
    with power 1, in proportion to the root of n with 1/2. A record without a label has weight 1.
    Source: Mahajan et al., "Exploring the Limits of Weakly Supervised Pretraining" (ECCV 2018).
    """
    counts = Counter(label for label in labels if label is not None)
    total = sum(num ** (1 - power) for num in counts.values())
    mean = counts.total() / total if total else 1.0
    return np.array([1.0 if one is None else mean * counts[one] ** -power for one in labels])


def draw(weights: np.ndarray, count: int, generator: np.random.Generator) -> np.ndarray:
    """`count` places of records: each as often as its weight says, rounded up or down at random.

    Systematic sampling (Madow, "On the Theory of Systematic Sampling, II", 1949).
    """
    if not count:
        return np.zeros(0, np.int64)
    order = generator.permutation(len(weights))
    ends = np.cumsum(weights[order])
    marks = (generator.random() + np.arange(count)) * (ends[-1] / count)
    found: np.ndarray = order[np.searchsorted(ends, marks, side="right").clip(max=len(order) - 1)]
    return found

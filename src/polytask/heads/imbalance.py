"""Labels of unequal frequency: how much the errors of each count."""

import math
from collections.abc import Mapping, Sequence
from typing import Literal

from polytask.errors import ConfigError, DataError, did_you_mean
from polytask.metrics.table import Table

ClassWeights = Literal["balanced", "effective"] | dict[str, float] | None
"""A rule, or a weight by label; one that is not named has 1."""

_OVERLAP = 0.999
"""Beta of the effective number: the share of its examples in which a new one says nothing new."""


def check_weights(class_weights: ClassWeights) -> None:
    """Raises ConfigError at a weight that is none."""
    for name, weight in class_weights.items() if isinstance(class_weights, dict) else ():
        if not 0 <= weight < math.inf:
            raise ConfigError(f"class_weights: '{name}' is {weight}, expected at least 0")


def weights_of(
    class_weights: ClassWeights, labels: Sequence[str], counts: Mapping[str, int]
) -> list[float]:
    """A weight for each label; none at all if none are asked for.

    `balanced`: inversely proportional to how often a label occurs, so that each label that does
    weighs alike in all. `effective`: inversely proportional to its effective number of examples,
    (1 - b^n) / (1 - b) with b = 0.999, on average 1 (Cui et al., "Class-Balanced Loss Based on
    Effective Number of Samples", CVPR 2019). Raises DataError at a weight for a label that is none.
    """
    if class_weights is None:
        return []
    if isinstance(class_weights, dict):
        for name in class_weights:
            if name not in labels:
                raise DataError(
                    f"class_weights: '{name}' is no label. {did_you_mean(name, labels)}"
                )
        return [class_weights.get(name, 1.0) for name in labels]
    if class_weights == "effective":
        shares = [1 / (1 - _OVERLAP ** max(counts[name], 1)) for name in labels]
        return [share * len(labels) / math.fsum(shares) for share in shares]
    total = sum(counts.values())
    return [total / (len(counts) * max(counts[name], 1)) for name in labels]


def log_priors(counts: Sequence[int]) -> list[float]:
    """Logarithm of the share of each label; one that never occurs is taken to do so once."""
    total = sum(max(count, 1) for count in counts)
    return [math.log(max(count, 1) / total) for count in counts]


def recall_by_frequency(table: Table, counts: Mapping[str, int]) -> dict[str, float]:
    """Mean recall of the third of labels most frequent in train, of the middle and the last third.

    A label without a gold example has no part; nan where none is left.
    """
    known = [row for row in table.rows if row.label in counts]
    rows = sorted(known, key=lambda row: -counts[row.label])
    thirds = {
        "recall_head": rows[: len(rows) // 3],
        "recall_middle": rows[len(rows) // 3 : len(rows) - len(rows) // 3],
        "recall_tail": rows[len(rows) - len(rows) // 3 :],
    }
    found: dict[str, float] = {}
    for name, third in thirds.items():
        recalls = [row.recall for row in third if row.support]
        found[name] = math.fsum(recalls) / len(recalls) if recalls else math.nan
    return found

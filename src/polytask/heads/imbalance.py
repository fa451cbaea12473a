"""Labels of unequal frequency: how much the errors of each count."""

import math
from collections.abc import Mapping, Sequence
from typing import Literal

from polytask.errors import ConfigError, DataError, did_you_mean

ClassWeights = Literal["balanced"] | dict[str, float] | None
"""`balanced`, or a weight by label; one that is not named has 1."""


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
    weighs alike in all. Raises DataError at a weight for a label that is none.
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
    total = sum(counts.values())
    return [total / (len(counts) * max(counts[name], 1)) for name in labels]

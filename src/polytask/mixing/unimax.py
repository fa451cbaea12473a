"""`kind: unimax`: all data sets alike, but none repeated too often."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from polytask.mixing.mixer import PlainMixer, Progress, in_proportion


class UniMax(PlainMixer):
    """As uniform as can be without any example being seen more than `repeats` times an epoch.

    Source: Chung et al., "UniMax: Fairer and More Effective Language Sampling for Large-Scale
    Multilingual Pretraining" (ICLR 2023), whose N is `repeats` times the number of epochs.
    """

    def __init__(self, *, repeats: Annotated[float, Field(ge=1)] = 4.0) -> None:
        self.repeats = repeats

    def shares(self, sizes: Mapping[str, int], at: Progress) -> dict[str, float]:
        """As `unimax` has it, with the examples of an epoch as the budget."""
        return unimax(sizes, budget=sum(sizes.values()), repeats=self.repeats)


def unimax(sizes: Mapping[str, int], *, budget: float, repeats: float) -> dict[str, float]:
    """Shares: from the smallest set on an equal part of what is left, at most `repeats` n_k."""
    given: dict[str, float] = {}
    for place, name in enumerate(sorted(sizes, key=lambda one: sizes[one])):
        left = budget - sum(given.values())
        given[name] = min(left / (len(sizes) - place), repeats * sizes[name])
    return in_proportion({name: given[name] for name in sizes})

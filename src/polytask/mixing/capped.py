"""`kind: capped`: in proportion to sizes, of which large ones count for less."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from polytask.mixing.mixer import PlainMixer, Progress, in_proportion


class Capped(PlainMixer):
    """In proportion to sizes of at most `cap` examples.

    Source: Raffel et al., "Exploring the Limits of Transfer Learning with a Unified Text-to-Text
    Transformer" (JMLR 2020), examples-proportional mixing.
    """

    def __init__(self, *, cap: Annotated[int, Field(ge=1)]) -> None:
        self.cap = cap

    def shares(self, sizes: Mapping[str, int], at: Progress) -> dict[str, float]:
        """p_k in proportion to min(n_k, cap)."""
        return in_proportion({name: min(size, self.cap) for name, size in sizes.items()})

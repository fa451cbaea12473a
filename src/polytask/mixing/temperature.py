"""`kind: temperature`: sizes flattened by a root."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from polytask.mixing.mixer import PlainMixer, Progress, in_proportion


class Temperature(PlainMixer):
    """In proportion to the T-th root of sizes, which `cap` may bound: T of 1 is proportional.

    Sources: Devlin, multilingual BERT (2019); Raffel et al., "Exploring the Limits of Transfer
    Learning with a Unified Text-to-Text Transformer" (JMLR 2020), for the bound.
    """

    def __init__(
        self,
        *,
        temperature: Annotated[float, Field(ge=1)] = 2.0,
        cap: Annotated[int, Field(ge=1)] | None = None,
    ) -> None:
        self.temperature = temperature
        self.cap = cap

    def shares(self, sizes: Mapping[str, int], at: Progress) -> dict[str, float]:
        """p_k in proportion to min(n_k, cap)^(1/T)."""
        bound = self.cap or max(sizes.values())
        return in_proportion(
            {name: min(size, bound) ** (1 / self.temperature) for name, size in sizes.items()}
        )

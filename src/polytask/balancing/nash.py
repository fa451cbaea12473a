"""`kind: nash`: the bargain between tasks in which each gains alike in proportion."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field
from torch import Tensor

from polytask.balancing.gramian import PlainGramianWeighting
from polytask.balancing.solvers import power_balanced


class NashMTL(PlainGramianWeighting):
    """The w > 0 with (Gw)_k = 1 / w_k: the Nash bargaining solution.

    The update is at most `max_length` long. Source: Navon et al., "Multi-Task Learning as a
    Bargaining Game" (ICML 2022).
    """

    def __init__(self, *, max_length: Annotated[float, Field(gt=0)] | None = 1.0) -> None:
        self.max_length = max_length

    def weigh(self, gramian: Tensor, losses: Mapping[str, float]) -> Tensor:
        """Solved by Newton's method, then shortened."""
        weights = power_balanced(gramian, 1.0)
        length = float((weights @ gramian @ weights).clamp(min=0).sqrt())
        if self.max_length is None or length <= self.max_length:
            return weights
        return weights * (self.max_length / length)

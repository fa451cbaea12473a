"""`kind: fairgrad`: alpha-fair gains for all tasks."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field
from torch import Tensor

from polytask.balancing.gramian import PlainGramianWeighting
from polytask.balancing.solvers import power_balanced


class FairGrad(PlainGramianWeighting):
    """The w > 0 with (Gw)_k = w_k^(-1 / alpha).

    `alpha` near 0 is the sum of gradients, 1 the Nash bargain, large gives all tasks the same
    gain. Source: Ban and Ji, "Fair Resource Allocation in Multi-Task Learning" (ICML 2024).
    """

    def __init__(self, *, alpha: Annotated[float, Field(gt=0, le=100)] = 1.0) -> None:
        self.alpha = alpha

    def weigh(self, gramian: Tensor, losses: Mapping[str, float]) -> Tensor:
        """Solved by Newton's method."""
        return power_balanced(gramian, 1 / self.alpha)

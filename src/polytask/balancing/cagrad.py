"""`kind: cagrad`: near the mean gradient, the direction that helps the worst-off task most."""

from collections.abc import Mapping
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from polytask.balancing.gramian import PlainGramianWeighting
from polytask.balancing.solvers import nonnegative


class CAGrad(PlainGramianWeighting):
    """d = g0 + c |g0| g_w / |g_w|, g0 the mean gradient, w the weights that help the worst off.

    With `c` below 1 two tasks may still conflict. Source: Liu et al., "Conflict-Averse Gradient
    Descent for Multi-task Learning" (NeurIPS 2021), without its rescaling.
    """

    def __init__(self, *, c: Annotated[float, Field(ge=0, lt=1)] = 0.4) -> None:
        self.c = c

    def weigh(self, gramian: Tensor, losses: Mapping[str, float]) -> Tensor:
        """1 / K for each, and c |g0| w / |g_w|.

        w is the point of the simplex of least g_w' g0 + c |g0| |g_w|: for a length t of g_w that is
        a quadratic problem, and the t that is the length of its own solution is found by halving.
        """
        even = torch.full((len(losses),), 1 / len(losses), dtype=torch.float64)
        radius = self.c * float((even @ gramian @ even).clamp(min=0).sqrt())
        high = float(gramian.diagonal().max().clamp(min=0).sqrt())
        low = 0.0
        if not radius or not high:
            return even
        for _ in range(36):
            middle = (low + high) / 2
            found = nonnegative(gramian * (radius / middle), gramian @ even, total=1.0)
            length = float((found @ gramian @ found).clamp(min=0).sqrt())
            low, high = (middle, high) if length > middle else (low, middle)
        return even + (radius / length * found if length > 1e-9 * radius else 0 * found)

"""`kind: cagrad`: near the mean gradient, the direction that helps the worst-off task most."""

from collections.abc import Mapping
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from polytask.balancing.gramian import PlainGramianWeighting
from polytask.balancing.solvers import crossing, nonnegative

_LEAST = 1e-9
_SHORTEST = 1e-6


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
        a quadratic problem, and the t that is the length of its own solution is found.
        """
        even = torch.full((len(losses),), 1 / len(losses), dtype=torch.float64)
        radius = self.c * float((even @ gramian @ even).clamp(min=0).sqrt())
        longest = float(gramian.diagonal().max().clamp(min=0).sqrt())
        if not radius or not longest:
            return even

        def solved(length: float) -> tuple[Tensor, float]:
            """The weights for a length of g_w, and the length that they give."""
            found = nonnegative(gramian * (radius / length), gramian @ even, total=1.0)
            return found, float((found @ gramian @ found).clamp(min=0).sqrt())

        at = crossing(lambda length: solved(length)[1] - length, _LEAST * longest, longest)
        found, length = solved(at)
        if length < _SHORTEST * longest:  # no direction helps all: what is left is rounding
            return even
        return even + radius / length * found

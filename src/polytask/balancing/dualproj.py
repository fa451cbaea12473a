"""`kind: dualproj`: the mean gradient turned until it conflicts with none."""

from collections.abc import Mapping

import torch
from torch import Tensor

from polytask.balancing.gramian import PlainGramianWeighting
from polytask.balancing.solvers import nonnegative


class DualProj(PlainGramianWeighting):
    """The projection of the mean gradient onto the cone that conflicts with none.

    Often stops one task altogether. Source: Lopez-Paz and Ranzato, "Gradient Episodic Memory for
    Continual Learning" (NeurIPS 2017).
    """

    def weigh(self, gramian: Tensor, losses: Mapping[str, float]) -> Tensor:
        """The v of least v'Gv with v >= 1 / K."""
        even = torch.full((len(losses),), 1 / len(losses), dtype=torch.float64)
        return even + nonnegative(gramian, gramian @ even)

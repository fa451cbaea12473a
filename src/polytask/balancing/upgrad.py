"""`kind: upgrad`: each gradient turned until it conflicts with none, then their mean."""

from collections.abc import Mapping

import torch
from torch import Tensor

from polytask.balancing.gramian import PlainGramianWeighting
from polytask.balancing.solvers import nonnegative


class UPGrad(PlainGramianWeighting):
    """The mean of the projections of all gradients onto the cone that conflicts with none.

    No loss rises, whatever the number of tasks, and the update is linear in the length of each
    gradient. Source: Quinton and Rey, "Jacobian Descent for Multi-Objective Optimization" (2024).
    """

    def weigh(self, gramian: Tensor, losses: Mapping[str, float]) -> Tensor:
        """The sum over i of the v of least v'Gv with v >= e_i / K."""
        num = len(losses)
        found = torch.zeros(num, dtype=torch.float64)
        for unit in torch.eye(num, dtype=torch.float64) / num:
            found += unit + nonnegative(gramian, gramian @ unit)
        return found

"""`kind: mgda`: the shortest vector between the gradients."""

from collections.abc import Mapping

import torch
from torch import Tensor

from polytask.balancing.gramian import PlainGramianWeighting
from polytask.balancing.solvers import nonnegative


class MGDA(PlainGramianWeighting):
    """The w of sum 1, none below 0, of least w'Gw: all losses fall alike, or none can.

    Follows the shortest gradient. Sources: Désidéri, "Multiple-Gradient Descent Algorithm" (2012);
    Sener and Koltun, "Multi-Task Learning as Multi-Objective Optimization" (NeurIPS 2018).
    """

    def weigh(self, gramian: Tensor, losses: Mapping[str, float]) -> Tensor:
        """A point of the simplex."""
        return nonnegative(gramian, torch.zeros(len(losses), dtype=torch.float64), total=1.0)

"""`kind: pcgrad`: each gradient loses what it has against the others."""

from collections.abc import Mapping

import torch
from torch import Tensor

from polytask.balancing.gramian import PlainGramianWeighting


class PCGrad(PlainGramianWeighting):
    """Of each gradient the parts along others that it conflicts with are removed, one by one.

    The others come in random order, from torch's global generator; the results are summed. With
    three tasks or more some conflicts may stay. Source: Yu et al., "Gradient Surgery for Multi-Task
    Learning" (NeurIPS 2020).
    """

    def weigh(self, gramian: Tensor, losses: Mapping[str, float]) -> Tensor:
        """With a random order for each task."""
        orders = [torch.randperm(len(losses)).tolist() for _ in losses]
        return without_conflicts(gramian, orders)


def without_conflicts(gramian: Tensor, orders: list[list[int]]) -> Tensor:
    """The sum of the rows c_i, which begin as e_i: for j in order, c_j -= (Gc)_j / G_jj if < 0."""
    rows = torch.eye(len(gramian), dtype=torch.float64)
    for i, order in enumerate(orders):
        for j in order:
            along = float(gramian[j] @ rows[i])
            if j != i and along < 0:
                rows[i, j] -= along / gramian[j, j]
    return rows.sum(0)

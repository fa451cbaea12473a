"""`kind: imtl_g`: the update that lies alike along all gradients."""

from collections.abc import Mapping

import torch
from torch import Tensor

from polytask.balancing.gramian import PlainGramianWeighting, lengths
from polytask.balancing.solvers import least_squares


class IMTLG(PlainGramianWeighting):
    """Weights of sum 1, which may be negative, so that d' g_k / |g_k| is the same for all tasks.

    Where gradients cancel that number is 0 and so is the update; the form with a pseudo-inverse of
    G jumps there. Source: Liu et al., "Towards Impartial Multi-task Learning" (ICLR 2021).
    """

    def weigh(self, gramian: Tensor, losses: Mapping[str, float]) -> Tensor:
        """Solves (Gw)_k = c |g_k| and sum of w = 1 for w and c."""
        scale = gramian.diagonal().max().clamp(min=1e-300)
        g = gramian / scale
        num = len(losses)
        system = torch.zeros(num + 1, num + 1, dtype=torch.float64)
        system[:num, :num], system[:num, num], system[num, :num] = g, -lengths(g), 1.0
        side = torch.zeros(num + 1, dtype=torch.float64)
        side[num] = 1.0
        return least_squares(system, side)[:num]

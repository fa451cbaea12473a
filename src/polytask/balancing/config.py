"""`kind: config`: the direction that lies alike along the directions of all gradients."""

from collections.abc import Mapping

import torch
from torch import Tensor

from polytask.balancing.gramian import PlainGramianWeighting, inverse, lengths
from polytask.balancing.solvers import least_squares


class ConFIG(PlainGramianWeighting):
    """d = (sum of g_k' v) v, v the unit vector with the same cosine to every gradient.

    Source: Liu et al., "ConFIG: Towards Conflict-free Training of Physics Informed Neural Networks"
    (ICLR 2025).
    """

    def weigh(self, gramian: Tensor, losses: Mapping[str, float]) -> Tensor:
        """In terms of cosines C: v is along the sum of a_k g_k / |g_k|, a = C+ 1."""
        sizes = lengths(gramian)
        cosines = inverse(sizes)[:, None] * gramian * inverse(sizes)
        parts = least_squares(cosines, torch.ones(len(losses), dtype=torch.float64))
        square = float(parts @ cosines @ parts)
        if square <= 0:
            return torch.zeros(len(losses), dtype=torch.float64)
        along = float((sizes * (cosines @ parts)).sum())
        return along / square * parts * inverse(sizes)

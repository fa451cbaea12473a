"""`kind: aligned_mtl`: gradients made orthogonal and equally long, as near as can be."""

from collections.abc import Mapping

import torch
from torch import Tensor

from polytask.balancing.gramian import PlainGramianWeighting

_RANK = 1e-10


class AlignedMTL(PlainGramianWeighting):
    """w = B 1 / K, B = sqrt(l) V L^(-1/2) V', G = V L V', l its smallest eigenvalue above 0.

    Source: Senushkin et al., "Independent Component Alignment for Multi-Task Learning" (CVPR 2023).
    """

    def weigh(self, gramian: Tensor, losses: Mapping[str, float]) -> Tensor:
        """The mean of the aligned gradients."""
        values, vectors = torch.linalg.eigh(gramian)
        kept = values > _RANK * values.max()
        if not kept.any():
            return torch.zeros(len(losses), dtype=torch.float64)
        roots = torch.where(kept, values[kept].min() / values.clamp(min=1e-300), 0.0).sqrt()
        even = torch.full((len(losses),), 1 / len(losses), dtype=torch.float64)
        found: Tensor = vectors @ (roots * (vectors.T @ even))
        return found

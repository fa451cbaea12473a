"""`kind: db_mtl`: gradients of log losses, all as long as the longest."""

from collections.abc import Mapping
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from polytask.balancing.gramian import PlainGramianWeighting, inverse, lengths


class DBMTL(PlainGramianWeighting):
    """d = sum over tasks of h_k times the largest |h_j| over |h_k|, h_k = g_k / L_k.

    The form without an average over steps (beta 0), which needs scalar products alone. `min_loss`
    is the least a loss is taken for. Source: Lin et al., "Dual-Balancing for Multi-Task Learning"
    (Neural Networks, 2025).
    """

    def __init__(self, *, min_loss: Annotated[float, Field(gt=0)] = 0.05) -> None:
        self.min_loss = min_loss

    def weigh(self, gramian: Tensor, losses: Mapping[str, float]) -> Tensor:
        """The largest |h_j| over |g_k|."""
        kept = torch.tensor([max(one, self.min_loss) for one in losses.values()])
        sizes = lengths(gramian)
        return (sizes / kept.double()).max() * inverse(sizes)

"""`kind: geometric`: the geometric mean of losses, or the sum of their logarithms."""

import math
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from polytask.balancing.balancer import LossWeighting


class Geometric(LossWeighting):
    """L = K (product of L_k)^(1/K), w_k = mean / L_k; or `form: log`: L = sum of ln L_k, 1 / L_k.

    The scale of a loss has no say in the direction of either. `min_loss` is the least a loss is
    taken for. Source: Chennupati et al., "MultiNet++: Multi-Stream Feature Aggregation and
    Geometric Loss Strategy for Multi-Task Learning" (CVPR workshops 2019).
    """

    def __init__(
        self,
        *,
        form: Literal["mean", "log"] = "mean",
        min_loss: Annotated[float, Field(gt=0)] = 0.05,
    ) -> None:
        self.form = form
        self.min_loss = min_loss

    def weigh(self, losses: Mapping[str, float]) -> Mapping[str, float]:
        """In proportion to inverse losses."""
        kept = {task: max(loss, self.min_loss) for task, loss in losses.items()}
        mean = math.exp(math.fsum(map(math.log, kept.values())) / len(kept))
        scale = mean if self.form == "mean" else 1.0
        return {task: scale / loss for task, loss in kept.items()}

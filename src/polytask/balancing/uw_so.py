"""`kind: uw_so`: weights by a softmax of inverse losses."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from polytask.balancing.balancer import LossWeighting
from polytask.balancing.scalars import softmax


class SoftOptimalUncertainty(LossWeighting):
    """w = K softmax((1 / L) / T), K the number of tasks present.

    `min_loss` is the least a loss is taken for: otherwise a task learned by heart takes all.
    Source: Kirchdorfer et al., "Analytical Uncertainty-Based Loss Weighting in Multi-Task Learning"
    (GCPR 2024).
    """

    def __init__(
        self,
        *,
        temperature: Annotated[float, Field(gt=0)] = 1.0,
        min_loss: Annotated[float, Field(gt=0)] = 0.05,
    ) -> None:
        self.temperature = temperature
        self.min_loss = min_loss

    def weigh(self, losses: Mapping[str, float]) -> Mapping[str, float]:
        """Weights of mean 1; the loss itself is not differentiated through them."""
        inverse = {task: 1 / max(loss, self.min_loss) for task, loss in losses.items()}
        shares = softmax({task: one / self.temperature for task, one in inverse.items()})
        return {task: len(losses) * share for task, share in shares.items()}

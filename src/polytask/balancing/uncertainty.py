"""`kind: uncertainty`: each task's noise is learned, and its loss divided by it."""

import math
from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from polytask.balancing.balancer import PriorWeighting
from polytask.balancing.scalars import Scalars


class Uncertainty(PriorWeighting):
    """Learned log variances s_k: L = sum of e^(-s_k) L_k + s_k / 2, or of half the first term.

    The half is that of tasks without a fixed set of classes, as for regression. At the optimum the
    weight is 1 / (2 L_k) in both forms, so a task learned by heart gets the most: `min_loss` is the
    least a loss is taken for. s_k start at 0, have the rate `lr` of their own and no decay. Source:
    Kendall et al., "Multi-Task Learning Using Uncertainty to Weigh Losses" (CVPR 2018).
    """

    def __init__(
        self,
        *,
        lr: Annotated[float, Field(gt=0)] = 0.01,
        min_loss: Annotated[float, Field(gt=0)] = 0.05,
    ) -> None:
        self.log_variances = Scalars(lr)
        self.min_loss = min_loss

    def draw(self) -> Mapping[str, float]:
        """e^(-s_k), or half of it."""
        return {
            task: (1.0 if num else 0.5) * math.exp(-self.log_variances[task])
            for task, num in self.tasks.items()
        }

    def learn(self, losses: Mapping[str, float]) -> None:
        """One step of the log variances."""
        weights = self.draw()
        self.log_variances.step(
            {task: 0.5 - weights[task] * max(loss, self.min_loss) for task, loss in losses.items()}
        )

    def state_dict(self) -> dict[str, object]:
        """The log variances and their moments."""
        return self.log_variances.state_dict()

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Takes them back."""
        self.log_variances.load_state_dict(state)

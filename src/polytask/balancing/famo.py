"""`kind: famo`: weights that learn which task the last step improved least."""

import math
from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from polytask.balancing.balancer import LossWeighting
from polytask.balancing.scalars import Scalars, softmax


class FAMO(LossWeighting):
    """w_k in proportion to z_k / L_k, K in all, z a softmax of numbers trained by Adam.

    After each step the same rows are run once more: z goes down for tasks whose loss fell by a
    larger factor than that of others. Tasks that a step lacks keep their numbers. `min_loss` is the
    least a loss is taken for. Source: Liu et al., "FAMO: Fast Adaptive Multitask Optimization"
    (NeurIPS 2023).
    """

    def __init__(
        self,
        *,
        lr: Annotated[float, Field(gt=0)] = 0.025,
        decay: Annotated[float, Field(ge=0)] = 0.001,
        min_loss: Annotated[float, Field(gt=0)] = 0.05,
    ) -> None:
        self.scores = Scalars(lr)
        self.decay = decay
        self.min_loss = min_loss
        self._before: dict[str, float] = {}

    def weigh(self, losses: Mapping[str, float]) -> Mapping[str, float]:
        """K (z_k / L_k) / sum of z_j / L_j."""
        self._before = {task: max(loss, self.min_loss) for task, loss in losses.items()}
        shares = softmax({task: self.scores[task] for task in losses})
        parts = {task: shares[task] / loss for task, loss in self._before.items()}
        total = math.fsum(parts.values())
        return {task: len(parts) * part / total for task, part in parts.items()}

    @property
    def looks_back(self) -> bool:
        """Yes."""
        return True

    def look_back(self, losses: Mapping[str, float]) -> None:
        """One step of the numbers, down (diag z - z z') d, d_k = ln L_k before less ln L_k now."""
        falls = {
            task: math.log(before) - math.log(max(losses[task], self.min_loss))
            for task, before in self._before.items()
            if task in losses
        }
        self._before = {}
        if not falls:
            return
        shares = softmax({task: self.scores[task] for task in falls})
        mean = math.fsum(shares[task] * fall for task, fall in falls.items())
        self.scores.step(
            {
                task: shares[task] * (fall - mean) + self.decay * self.scores[task]
                for task, fall in falls.items()
            }
        )

    def state_dict(self) -> dict[str, object]:
        """The numbers and their moments."""
        return self.scores.state_dict()

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Takes them back."""
        self.scores.load_state_dict(state)

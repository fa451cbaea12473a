"""`kind: tchebycheff`: most weight to the task that is worst off."""

import math
from collections.abc import Mapping
from statistics import fmean
from typing import Annotated, cast

from pydantic import Field

from polytask.balancing.balancer import LossWeighting
from polytask.balancing.scalars import softmax


class Tchebycheff(LossWeighting):
    """Smooth Tchebycheff scalarisation of losses over what they were at the start.

    For `warmup` steps of a task its weight is 1 / L_k; then, with N_k its mean loss of these steps,
    w_k = K softmax(ln(L_k / N_k) / mu) / L_k. A small mu trains the worst task alone; mu of 1 is
    static weighting by 1 / N_k. `min_loss` is the least a loss is taken for. Source: Lin et al.,
    "Smooth Tchebycheff Scalarization for Multi-Objective Optimization" (ICML 2024).
    """

    def __init__(
        self,
        *,
        mu: Annotated[float, Field(gt=0)] = 0.2,
        warmup: Annotated[int, Field(ge=1)] = 100,
        min_loss: Annotated[float, Field(gt=0)] = 0.05,
    ) -> None:
        self.mu = mu
        self.warmup = warmup
        self.min_loss = min_loss
        self.first: dict[str, list[float]] = {}

    def weigh(self, losses: Mapping[str, float]) -> Mapping[str, float]:
        """By the losses of the tasks that are past their warm-up, inverse for the others."""
        kept = {task: max(loss, self.min_loss) for task, loss in losses.items()}
        known = [task for task in kept if len(self.first.get(task, [])) == self.warmup]
        scores = {task: math.log(kept[task] / fmean(self.first[task])) / self.mu for task in known}
        shares = softmax(scores) if scores else {}
        for task, loss in kept.items():
            if task not in known:
                self.first.setdefault(task, []).append(loss)
        return {
            task: (len(known) * shares[task] if task in shares else 1.0) / loss
            for task, loss in kept.items()
        }

    def state_dict(self) -> dict[str, object]:
        """The losses of the warm-up by task."""
        return {task: list(losses) for task, losses in self.first.items()}

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Takes them back."""
        found = cast(Mapping[str, list[float]], state)
        self.first = {task: list(losses) for task, losses in found.items()}

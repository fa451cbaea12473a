"""`kind: class_count`: losses over the logarithm of the number of classes."""

import math
from collections.abc import Mapping

from polytask.balancing.balancer import PriorWeighting


class ClassCount(PriorWeighting):
    """w_k = 1 / ln C_k, so that guessing evenly among C_k classes is a loss of 1 for every task.

    Tasks whose loss does not choose among classes have weight 1. Source: Aghajanyan et al.,
    "Muppet: Massive Multi-task Representations with Pre-Finetuning" (EMNLP 2021).
    """

    def draw(self) -> Mapping[str, float]:
        """By the numbers of classes."""
        return {
            task: 1 / math.log(num) if num and num > 1 else 1.0 for task, num in self.tasks.items()
        }

    def learn(self, losses: Mapping[str, float]) -> None:
        """Nothing."""

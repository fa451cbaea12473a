"""`kind: random`: weights drawn anew each step."""

from collections.abc import Mapping

import torch

from polytask.balancing.balancer import PriorWeighting
from polytask.balancing.scalars import softmax


class Random(PriorWeighting):
    """w = K softmax(z), z normal: what any method that adapts weights has to beat.

    Drawn from torch's global generator. Source: Lin et al., "Reasonable Effectiveness of Random
    Weighting: A Litmus Test for Multi-Task Learning" (TMLR 2022).
    """

    def draw(self) -> Mapping[str, float]:
        """Weights of mean 1."""
        scores = torch.randn(len(self.tasks), dtype=torch.float64).tolist()
        shares = softmax(dict(zip(self.tasks, scores, strict=True)))
        return {task: len(shares) * share for task, share in shares.items()}

    def learn(self, losses: Mapping[str, float]) -> None:
        """Nothing."""

"""`kind: gradvac`: gradients are turned to the similarity that is usual between two tasks."""

import math
from collections.abc import Mapping
from typing import Annotated, cast

import torch
from pydantic import Field
from torch import Tensor

from polytask.balancing.gramian import GramianWeighting, lengths

_MOST = 1 - 1e-9
"""The largest cosine that a gradient can be turned to."""


class GradVac(GramianWeighting):
    """As PCGrad, but what is less alike than usual is made as alike as usual.

    The usual cosine of a pair of tasks is an average that begins at 0 and follows with `beta`: the
    first step is PCGrad's, and under a lasting conflict each further one does less. Source: Wang et
    al., "Gradient Vaccine" (ICLR 2021).
    """

    def __init__(self, *, beta: Annotated[float, Field(ge=0, le=1)] = 0.5) -> None:
        self.beta = beta
        self.usual: dict[str, dict[str, float]] = {}

    def check(self, tasks: list[str]) -> None:
        """Nothing names a task."""

    def weigh(self, gramian: Tensor, losses: Mapping[str, float]) -> Tensor:
        """The others in random order for each task."""
        return self.turned(
            gramian, list(losses), [torch.randperm(len(losses)).tolist() for _ in losses]
        )

    def turned(self, gramian: Tensor, names: list[str], orders: list[list[int]]) -> Tensor:
        """The sum of rows c_i: for j in order, a g_j is added where the cosine is below usual."""
        sizes = lengths(gramian).tolist()
        rows = torch.eye(len(names), dtype=torch.float64)
        for i, order in enumerate(orders):
            usual = self.usual.setdefault(names[i], {})
            for j in order:
                size = math.sqrt(max(float(rows[i] @ gramian @ rows[i]), 0.0))
                if j == i or not size * sizes[j]:
                    continue
                cosine = min(max(float(gramian[j] @ rows[i]) / (size * sizes[j]), -1.0), 1.0)
                wanted = min(max(usual.get(names[j], 0.0), -_MOST), _MOST)
                if cosine < wanted:
                    turn = wanted * math.sqrt(1 - cosine**2) - cosine * math.sqrt(1 - wanted**2)
                    rows[i, j] += size * turn / (sizes[j] * math.sqrt(1 - wanted**2))
                usual[names[j]] = (1 - self.beta) * wanted + self.beta * cosine
        return rows.sum(0)

    def state_dict(self) -> dict[str, object]:
        """The usual cosine of each pair."""
        return {name: dict(others) for name, others in self.usual.items()}

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Takes it back."""
        found = cast(Mapping[str, Mapping[str, float]], state)
        self.usual = {name: dict(others) for name, others in found.items()}

"""The Gramian of steps before, averaged by the names of tasks."""

from collections.abc import Mapping, Sequence
from typing import cast

import torch
from torch import Tensor

MOMENTUM = 0.9
"""What a new Gramian leaves of the average before; the first of a pair of tasks is taken whole."""


class RunningGramian:
    """Averages of scalar products, for pairs of tasks that were present in one step."""

    def __init__(self) -> None:
        self._products: dict[tuple[str, str], float] = {}
        self.losses: dict[str, float] = {}

    def update(self, gramian: Tensor, losses: Mapping[str, float]) -> None:
        """Takes in the Gramian of a step, (tasks, tasks), and its mean losses in the same order."""
        for i, one in enumerate(losses):
            for j, other in enumerate(losses):
                if one <= other:
                    new = float(gramian[i, j])
                    old = self._products.get((one, other), new)
                    self._products[one, other] = MOMENTUM * old + (1 - MOMENTUM) * new
        self.losses |= losses

    def of(self, tasks: Sequence[str]) -> Tensor:
        """The Gramian of some tasks, positive semidefinite: (tasks, tasks), float64.

        Tasks that never met are at right angles; one never seen is as long as the mean of others.
        """
        known = [self._products[task, task] for task in tasks if (task, task) in self._products]
        usual = sum(known) / len(known) if known else 1.0
        found = torch.zeros(len(tasks), len(tasks), dtype=torch.float64)
        for i, one in enumerate(tasks):
            for j, other in enumerate(tasks):
                pair = (one, other) if one <= other else (other, one)
                found[i, j] = self._products.get(pair, usual if i == j else 0.0)
        values, vectors = torch.linalg.eigh(found)
        whole: Tensor = (vectors * values.clamp(min=0)) @ vectors.T
        return whole

    def state_dict(self) -> dict[str, object]:
        """Products by pair of tasks, and losses by task."""
        products = [[one, other, value] for (one, other), value in self._products.items()]
        return {"products": products, "losses": dict(self.losses)}

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Takes them back."""
        products = cast(list[tuple[str, str, float]], state["products"])
        self._products = {(one, other): value for one, other, value in products}
        self.losses = dict(cast(Mapping[str, float], state["losses"]))

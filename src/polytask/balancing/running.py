"""The Gramian of steps before, averaged by the names of tasks."""

from collections.abc import Mapping, Sequence
from typing import cast

import torch
from torch import Tensor

MOMENTUM = 0.9
"""What a new step leaves of the average before; the first is taken whole."""

_SHORTEST = 1e-4
"""Of the longest gradient: the least length that one is taken for."""
_FLATTEST = 1e-3
"""The least eigenvalue of cosines that do not go together, of averages of unequal age."""


class RunningGramian:
    """Averages of squared lengths by task, and of cosines by pair of tasks that met in a step."""

    def __init__(self) -> None:
        self._squares: dict[str, float] = {}
        self._cosines: dict[tuple[str, str], float] = {}
        self.losses: dict[str, float] = {}

    def knows(self, tasks: Sequence[str]) -> bool:
        """Whether every task was present in a step before."""
        return all(task in self._squares for task in tasks)

    def update(self, gramian: Tensor, losses: Mapping[str, float]) -> None:
        """Takes in the Gramian of a step, (tasks, tasks), and its mean losses in the same order."""
        lengths = gramian.diagonal().clamp(min=0).sqrt()
        for i, one in enumerate(losses):
            self._squares[one] = _averaged(self._squares.get(one), float(gramian[i, i]))
            for j, other in enumerate(losses):
                size = float(lengths[i] * lengths[j])
                if one < other and size:
                    cosine = max(-1.0, min(1.0, float(gramian[i, j]) / size))
                    old = self._cosines.get((one, other))
                    self._cosines[one, other] = _averaged(old, cosine)
        self.losses |= losses

    def of(self, tasks: Sequence[str]) -> Tensor:
        """The Gramian of tasks that were all seen: (tasks, tasks), float64, positive semidefinite.

        Tasks that never met are at right angles.
        """
        cosines = torch.eye(len(tasks), dtype=torch.float64)
        for i, one in enumerate(tasks):
            for j, other in enumerate(tasks):
                if i != j:
                    cosines[i, j] = self._cosines.get((min(one, other), max(one, other)), 0.0)
        squares = torch.tensor([self._squares[task] for task in tasks], dtype=torch.float64)
        lengths = squares.clamp(min=0).sqrt()
        lengths = lengths.clamp(min=_SHORTEST * float(lengths.max()))
        return lengths[:, None] * _possible(cosines) * lengths

    def state_dict(self) -> dict[str, object]:
        """Squared lengths and losses by task, cosines by pair."""
        cosines = [[one, other, value] for (one, other), value in self._cosines.items()]
        return {"squares": dict(self._squares), "cosines": cosines, "losses": dict(self.losses)}

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Takes them back."""
        cosines = cast(list[tuple[str, str, float]], state["cosines"])
        self._cosines = {(one, other): value for one, other, value in cosines}
        self._squares = dict(cast(Mapping[str, float], state["squares"]))
        self.losses = dict(cast(Mapping[str, float], state["losses"]))


def _averaged(old: float | None, new: float) -> float:
    return new if old is None else MOMENTUM * old + (1 - MOMENTUM) * new


def _possible(cosines: Tensor) -> Tensor:
    """Cosines that vectors can have: as given, or the nearest by eigenvalues."""
    values, vectors = torch.linalg.eigh(cosines)
    if values.min() > -1e-9:
        return cosines
    found: Tensor = (vectors * values.clamp(min=_FLATTEST)) @ vectors.T
    scale = found.diagonal().rsqrt()
    return scale[:, None] * found * scale

"""The contract of methods that weigh tasks by their gradients on shared parameters."""

from abc import ABC, abstractmethod
from collections.abc import Mapping

import torch
from torch import Tensor


class GramianWeighting(ABC):
    """Weights by task from the scalar products of the tasks' gradients.

    Only tasks present in a step take part: an absent one is not a gradient of 0. What a method
    remembers it keeps by the names of tasks. The update is the sum over tasks of weight times
    gradient.
    """

    @abstractmethod
    def weigh(self, gramian: Tensor, losses: Mapping[str, float]) -> Tensor:
        """Weights of the tasks: (tasks,), float64.

        gramian: (tasks, tasks), float64, G_ij = g_i' g_j, in the order of `losses`, the mean losses
        of the tasks present.
        """

    @abstractmethod
    def check(self, tasks: list[str]) -> None:
        """Raises ConfigError if an option names a task that does not exist."""

    @abstractmethod
    def state_dict(self) -> dict[str, object]:
        """What outlives a restart, by task name, as plain JSON values."""

    @abstractmethod
    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Takes back what `state_dict` gave."""


class PlainGramianWeighting(GramianWeighting, ABC):
    """A method that remembers nothing and names no task."""

    def check(self, tasks: list[str]) -> None:
        """Nothing."""

    def state_dict(self) -> dict[str, object]:
        """Nothing."""
        return {}

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Nothing."""


def lengths(gramian: Tensor) -> Tensor:
    """Lengths of the gradients: (tasks,)."""
    return gramian.diagonal().clamp(min=0).sqrt()


def inverse(numbers: Tensor) -> Tensor:
    """1 over each number, 0 where it is 0."""
    return torch.where(numbers > 0, 1 / numbers, torch.zeros_like(numbers))

"""The contract of balancers: from the losses of a step to gradients."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping

from torch import Tensor

PassLosses = Mapping[str, Tensor]
"""By task, what one pass adds to the task's mean loss of the step: a scalar with a graph."""


class Balancer(ABC):
    """Turns the losses of a step into gradients on the parameters."""

    @abstractmethod
    def check(self, tasks: list[str]) -> None:
        """Raises ConfigError if an option names a task that does not exist."""

    @abstractmethod
    def backward(self, passes: Iterator[PassLosses]) -> dict[str, float]:
        """Adds the gradients of a step to `.grad` and returns the weight of each task.

        Each item runs the forward of one pass when it is asked for, so that one graph lives at a
        time. A task's losses, each already divided by the number of its targets in the whole step,
        add up over the passes to its mean loss.
        """

    @abstractmethod
    def state_dict(self) -> dict[str, object]:
        """What outlives a restart, by task name, as plain JSON values."""

    @abstractmethod
    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Takes back what `state_dict` gave."""

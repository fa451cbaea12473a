"""`kind: static`: the weighted sum of the tasks' mean losses."""

from collections.abc import Iterator, Mapping
from typing import Annotated

from pydantic import Field

from polytask.balancing.balancer import Balancer, PassLosses
from polytask.errors import ConfigError, did_you_mean


class Static(Balancer):
    """The sum over tasks of weight times mean loss: L = sum_k w_k L_k. A weight not given is 1."""

    def __init__(self, *, weights: dict[str, Annotated[float, Field(ge=0)]] | None = None) -> None:
        self.weights = dict(weights or {})

    def check(self, tasks: list[str]) -> None:
        """Raises ConfigError if a weight is given to a task that does not exist."""
        for name in self.weights:
            if name not in tasks:
                raise ConfigError(f"weights: no task '{name}'. {did_you_mean(name, tasks)}")

    def backward(self, passes: Iterator[PassLosses]) -> dict[str, float]:
        """One backward a pass."""
        used: dict[str, float] = {}
        for losses in passes:
            used |= {task: self.weights.get(task, 1.0) for task in losses}
            terms = [used[task] * loss for task, loss in losses.items()]
            sum(terms[1:], start=terms[0]).backward()
        return used

    def state_dict(self) -> dict[str, object]:
        """Nothing."""
        return {}

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Nothing."""

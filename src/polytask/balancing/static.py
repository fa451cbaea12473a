"""`kind: static`: the weighted sum of the tasks' mean losses."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from polytask.balancing.balancer import PriorWeighting
from polytask.errors import ConfigError, did_you_mean


class Static(PriorWeighting):
    """The sum over tasks of weight times mean loss: L = sum_k w_k L_k. A weight not given is 1."""

    def __init__(self, *, weights: dict[str, Annotated[float, Field(ge=0)]] | None = None) -> None:
        self.weights = dict(weights or {})

    def check(self, tasks: list[str]) -> None:
        """Raises ConfigError if a weight is given to a task that does not exist."""
        for name in self.weights:
            if name not in tasks:
                raise ConfigError(f"weights: no task '{name}'. {did_you_mean(name, tasks)}")

    def draw(self) -> Mapping[str, float]:
        """The weights given, 1 for the others."""
        return {task: self.weights.get(task, 1.0) for task in self.tasks}

    def learn(self, losses: Mapping[str, float]) -> None:
        """Nothing."""

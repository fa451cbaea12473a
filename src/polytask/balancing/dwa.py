"""`kind: dwa`: more weight to losses that fall slowly."""

from collections.abc import Mapping
from statistics import fmean
from typing import Annotated, cast

from pydantic import Field

from polytask.balancing.balancer import PriorWeighting
from polytask.balancing.scalars import softmax


class DynamicWeightAverage(PriorWeighting):
    """w = K softmax(r / T), r_k the mean loss of the last `window` steps over that of those before.

    Steps count for a task if it is present; w is 1 until a task has two windows. Source: Liu et
    al., "End-to-End Multi-Task Learning with Attention" (CVPR 2019), with windows for epochs.
    """

    def __init__(
        self,
        *,
        temperature: Annotated[float, Field(gt=0)] = 2.0,
        window: Annotated[int, Field(ge=1)] = 100,
    ) -> None:
        self.temperature = temperature
        self.window = window
        self.means: dict[str, list[float]] = {}
        self.losses: dict[str, list[float]] = {}

    def draw(self) -> Mapping[str, float]:
        """From the means of the last two windows."""
        ratios = {
            task: means[1] / max(means[0], 1e-12)
            for task, means in self.means.items()
            if len(means) == 2
        }
        scores = {task: ratio / self.temperature for task, ratio in ratios.items()}
        shares = softmax(scores) if scores else {}
        return {task: len(shares) * shares[task] if task in shares else 1.0 for task in self.tasks}

    def learn(self, losses: Mapping[str, float]) -> None:
        """Adds to the windows."""
        for task, loss in losses.items():
            held = self.losses.setdefault(task, [])
            held.append(loss)
            if len(held) == self.window:
                self.means[task] = [*self.means.get(task, []), fmean(held)][-2:]
                held.clear()

    def state_dict(self) -> dict[str, object]:
        """Means of windows, and the losses of those that are not full."""
        return {
            "means": {task: list(means) for task, means in self.means.items()},
            "losses": {task: list(held) for task, held in self.losses.items()},
        }

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Takes back what `state_dict` gave."""
        found = cast(Mapping[str, Mapping[str, list[float]]], state)
        self.means = {task: list(means) for task, means in found["means"].items()}
        self.losses = {task: list(held) for task, held in found["losses"].items()}

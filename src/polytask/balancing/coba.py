"""`kind: coba`: weights by how fast losses fall on rows set apart."""

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, cast

from pydantic import Field

from polytask.balancing.balancer import PriorWeighting
from polytask.balancing.scalars import softmax


class CoBa(PriorWeighting):
    """Weights of mean 1 from the slopes of losses on a split of their own, which is cut from train.

    a_k is the slope, by least squares, of the last `window` losses of a task over its first. Among
    tasks, softmax of K a_k / sum of |a_j| gives more to the slower; over its own last slopes,
    softmax of -n a_k / sum of |a_k| gives less to one that has begun to diverge. The first counts
    by n times the last of softmax over time of -temperature n a_max / sum of |a_max|, 1 at most,
    a_max the largest slope of a step. The softmax of K times their sum is mixed with a tenth of
    even weights. All weights are 1 for `warmup` steps. Source: Gong et al., "CoBa: Convergence
    Balancer for Multitask Finetuning of Large Language Models" (EMNLP 2024).
    """

    def __init__(
        self,
        *,
        share: Annotated[float, Field(gt=0, lt=0.5)] = 0.05,
        warmup: Annotated[int, Field(ge=2)] = 100,
        window: Annotated[int, Field(ge=2)] = 200,
        temperature: Annotated[float, Field(gt=0)] = 5.0,
    ) -> None:
        self.share = share
        self.warmup = warmup
        self.window = window
        self.temperature = temperature
        self.first: dict[str, float] = {}
        self.ratios: dict[str, list[float]] = {}
        self.slopes: dict[str, list[float]] = {}
        self.largest: list[float] = []
        self.num_steps = 0

    @property
    def watch_share(self) -> float:
        """The share of train whose losses it follows."""
        return self.share

    def watch(self, losses: Mapping[str, float]) -> None:
        """Adds the losses of a step to the history, and their slopes."""
        self.num_steps += 1
        for task, loss in losses.items():
            if math.isfinite(loss):
                first = self.first.setdefault(task, max(loss, 1e-12))
                self._add(self.ratios.setdefault(task, []), loss / first)
                if len(self.ratios[task]) > 1:
                    self._add(self.slopes.setdefault(task, []), slope(self.ratios[task]))
        if self.slopes:
            self._add(self.largest, max(held[-1] for held in self.slopes.values()))

    def _add(self, history: list[float], number: float) -> None:
        history.append(number)
        del history[: -self.window]

    def draw(self) -> Mapping[str, float]:
        """Of the tasks with a slope the weights above; of others 1."""
        even = dict.fromkeys(self.tasks, 1.0)
        num = len(self.slopes)
        if self.num_steps < self.warmup or not num:
            return even
        now = {task: held[-1] for task, held in self.slopes.items()}
        total = math.fsum(map(abs, now.values()))
        slower = softmax({task: num * _over(one, total) for task, one in now.items()})
        going = softmax({task: -_last_in_mean(held) for task, held in self.slopes.items()})
        trust = self.trust()
        mixed = softmax(
            {task: num * (trust * slower[task] + (1 - trust) * going[task]) for task in now}
        )
        return even | {task: 0.9 * num * share + 0.1 for task, share in mixed.items()}

    def trust(self) -> float:
        """How far the slopes of the tasks are compared with each other, 0 to 1."""
        mean = math.fsum(map(abs, self.largest)) / len(self.largest)
        scores = [-self.temperature * _over(one, mean) for one in self.largest]
        top = max(scores)
        parts = [math.exp(score - top) for score in scores]
        return min(len(parts) * parts[-1] / math.fsum(parts), 1.0)

    def learn(self, losses: Mapping[str, float]) -> None:
        """Nothing: it learns from the rows set apart."""

    def state_dict(self) -> dict[str, object]:
        """First losses and histories."""
        return {
            "num_steps": self.num_steps,
            "first": dict(self.first),
            "ratios": {task: list(held) for task, held in self.ratios.items()},
            "slopes": {task: list(held) for task, held in self.slopes.items()},
            "largest": list(self.largest),
        }

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Takes them back."""
        self.num_steps = cast(int, state["num_steps"])
        self.first = dict(cast(Mapping[str, float], state["first"]))
        self.largest = list(cast(Sequence[float], state["largest"]))
        ratios, slopes = (
            cast(Mapping[str, Sequence[float]], state[name]) for name in ("ratios", "slopes")
        )
        self.ratios = {task: list(held) for task, held in ratios.items()}
        self.slopes = {task: list(held) for task, held in slopes.items()}


def slope(values: Sequence[float]) -> float:
    """That of the line through equally spaced values, by least squares; of one value 0."""
    middle = (len(values) - 1) / 2
    spread = math.fsum((i - middle) ** 2 for i in range(len(values)))
    along = math.fsum((i - middle) * value for i, value in enumerate(values))
    return _over(along, spread)


def _last_in_mean(history: Sequence[float]) -> float:
    """The last number over the mean size of all."""
    return _over(len(history) * history[-1], math.fsum(map(abs, history)))


def _over(part: float, whole: float) -> float:
    return part / whole if whole else 0.0

"""Numbers by task that are learned beside the model."""

import math
from collections.abc import Mapping
from typing import cast, final

_BETA1, _BETA2, _EPS = 0.9, 0.999, 1e-8


@final
class Scalars:
    """One number for each task, trained by Adam (Kingma and Ba, ICLR 2015); absent ones stay."""

    def __init__(self, lr: float) -> None:
        self.lr = lr
        self._values: dict[str, list[float]] = {}  # number, first and second moment, steps

    def __getitem__(self, task: str) -> float:
        return self._values.get(task, [0.0])[0]

    def put(self, numbers: Mapping[str, float]) -> None:
        """Sets the numbers of some tasks, whose moments stay."""
        for task, number in numbers.items():
            self._values[task] = [number, *self._values.get(task, [0.0, 0.0, 0.0, 0.0])[1:]]

    def step(self, gradients: Mapping[str, float]) -> None:
        """One step down the gradient of each task given."""
        for task, gradient in gradients.items():
            value, first, second, num = self._values.get(task, [0.0, 0.0, 0.0, 0.0])
            num += 1
            first = _BETA1 * first + (1 - _BETA1) * gradient
            second = _BETA2 * second + (1 - _BETA2) * gradient**2
            rate = self.lr * math.sqrt(1 - _BETA2**num) / (1 - _BETA1**num)
            scale = math.sqrt(second) + _EPS * math.sqrt(1 - _BETA2**num)
            self._values[task] = [value - rate * first / scale, first, second, num]

    def state_dict(self) -> dict[str, object]:
        """Numbers and moments by task."""
        return {task: list(values) for task, values in self._values.items()}

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Takes back what `state_dict` gave."""
        found = cast(Mapping[str, list[float]], state)
        self._values = {task: list(values) for task, values in found.items()}


def softmax(scores: Mapping[str, float]) -> dict[str, float]:
    """Weights of all tasks from their scores, which add up to 1."""
    top = max(scores.values())
    parts = {task: math.exp(score - top) for task, score in scores.items()}
    total = sum(parts.values())
    return {task: part / total for task, part in parts.items()}

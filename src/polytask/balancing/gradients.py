"""Gradients of each task on the encoder, weighed by a method and combined."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import final

import torch
from torch import Tensor, nn

from polytask.balancing.balancer import Balancer, PassLosses
from polytask.balancing.gramian import GramianWeighting


@final
class GradientBalancer(Balancer):
    """One backward for each task; the encoder gets the weighted sum of the tasks' gradients.

    Heads get their own gradients, unweighted. Passes hold rows of one feed, so with rows of their
    own the tasks cost together what one joint backward costs; tasks on the same rows cost a
    backward each. A gradient of the encoder is held for each task present until the step is made.
    """

    def __init__(self, method: GramianWeighting) -> None:
        self.method = method
        self._shared: list[nn.Parameter] = []

    def check(self, tasks: list[str]) -> None:
        """Raises ConfigError if an option of the method names a task that does not exist."""
        self.method.check(tasks)

    def attach(self, num_classes: Mapping[str, int | None], shared: Sequence[nn.Parameter]) -> None:
        """Keeps the parameters that are trained."""
        self._shared = [parameter for parameter in shared if parameter.requires_grad]

    @property
    def is_apart(self) -> bool:
        """Yes."""
        return True

    def backward(self, passes: Iterator[PassLosses]) -> dict[str, float]:
        """A backward a task, the graph of a pass being kept until its last task."""
        gradients: dict[str, list[Tensor | None]] = {}
        losses: dict[str, float] = {}
        for of_pass in passes:
            for place, (task, loss) in enumerate(of_pass.items(), 1):
                loss.backward(retain_graph=place < len(of_pass))
                losses[task] = losses.get(task, 0.0) + float(loss.detach())
                gradients[task] = self._taken(gradients.get(task))
        if not losses:
            return {}
        weights = self._weights(list(gradients.values()), losses)
        for place, parameter in enumerate(self._shared):
            parameter.grad = _combined([found[place] for found in gradients.values()], weights)
        return dict(zip(losses, weights, strict=True))

    def _taken(self, before: Sequence[Tensor | None] | None) -> list[Tensor | None]:
        """The gradients on the encoder, away from it, on top of those of passes before."""
        found: list[Tensor | None] = []
        for place, parameter in enumerate(self._shared):
            held = None if before is None else before[place]
            if held is not None and parameter.grad is not None:
                held += parameter.grad
            found.append(parameter.grad if held is None else held)
            parameter.grad = None
        return found

    def _weights(
        self, gradients: Sequence[Sequence[Tensor | None]], losses: Mapping[str, float]
    ) -> list[float]:
        gramian = gramian_of(gradients)
        if not gramian.isfinite().all() or not all(map(math.isfinite, losses.values())):
            return [1.0] * len(losses)  # the step will be refused
        found: list[float] = self.method.weigh(gramian, losses).tolist()
        return found

    @property
    def looks_back(self) -> bool:
        """No."""
        return False

    def look_back(self, losses: Mapping[str, float]) -> None:
        """Nothing."""

    def state_dict(self) -> dict[str, object]:
        """That of the method."""
        return self.method.state_dict()

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Takes it back."""
        self.method.load_state_dict(state)


def gramian_of(gradients: Sequence[Sequence[Tensor | None]]) -> Tensor:
    """Scalar products of gradients given by task and parameter, None being 0: (tasks, tasks)."""
    total = torch.zeros(len(gradients), len(gradients), dtype=torch.float64)
    for of_parameter in zip(*gradients, strict=True):
        there = [i for i, one in enumerate(of_parameter) if one is not None]
        if there:
            rows = torch.stack([one.flatten() for one in of_parameter if one is not None])
            products = (rows @ rows.T).double().cpu()  # (tasks, tasks) of those that have one
            places = torch.tensor(there)
            total[places.unsqueeze(1), places] += products
    return total


def _combined(gradients: Sequence[Tensor | None], weights: Sequence[float]) -> Tensor | None:
    """The weighted sum, in the memory of the first."""
    total: Tensor | None = None
    for one, weight in zip(gradients, weights, strict=True):
        if one is not None:
            total = one.mul_(weight) if total is None else total.add_(one, alpha=weight)
    return total

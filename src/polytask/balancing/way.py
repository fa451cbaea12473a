"""The contract of the ways to the scalar products of the tasks' gradients."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from polytask.balancing.balancer import Passes, PassLosses, Setting, weighted
from polytask.balancing.spaces import Space
from polytask.processes import sum_gradients

Weigh = Callable[[Tensor, Mapping[str, float]], dict[str, float]]
"""From scalar products, (tasks, tasks), and mean losses in the same order to weights by task."""

Gradients = list[Tensor | None]
"""By parameter, None being 0."""


class Way(ABC):
    """Runs the passes of a step and leaves in `.grad` what a method makes of them."""

    def attach(self, space: Space, setting: Setting) -> None:
        """Takes the parameters of the encoder to compare on, and those of the heads."""
        self.space = space
        self.heads = [parameter for parameter in setting.heads if parameter.requires_grad]

    @abstractmethod
    def backward(self, passes: Passes, weigh: Weigh) -> dict[str, float]:
        """The gradients of a step on encoder and heads; the weights by task."""

    def state_dict(self) -> dict[str, object]:
        """Nothing."""
        return {}

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Nothing."""
        del state

    def partial(self, losses: PassLosses, task: str, *, retain: bool = True) -> Gradients:
        """The gradient of a task's loss in the space; heads get theirs.

        Without `retain` the graph of the pass goes with its last task.
        """
        wanted = [*self.space.parameters, *self.heads]
        is_kept = retain or task != list(losses)[-1]
        found = torch.autograd.grad(losses[task], wanted, retain_graph=is_kept, allow_unused=True)
        num = len(self.space.parameters)
        for parameter, gradient in zip(self.heads, found[num:], strict=True):
            if gradient is not None:
                held = parameter.grad
                parameter.grad = gradient.clone() if held is None else held + gradient
        return [None if one is None else one.to_dense() for one in found[:num]]

    def train_encoder(self, losses: PassLosses, weights: Mapping[str, float]) -> None:
        """Adds the weighted sum of gradients on the encoder alone."""
        if self.space.shared:
            torch.autograd.backward(weighted(losses, weights), inputs=self.space.shared)


def note(found: dict[str, float], task: str, loss: Tensor) -> None:
    """Adds what a pass says of a task's loss."""
    found[task] = found.get(task, 0.0) + float(loss.detach())


def of_all(
    gradients: Mapping[str, Gradients], tasks: Sequence[str], parameters: Sequence[Tensor]
) -> dict[str, Gradients]:
    """The sums over all processes by task, each like one of `parameters`."""
    nothing: Gradients = [None] * len(parameters)
    return {task: sum_gradients(gradients.get(task, nothing), parameters) for task in tasks}


def added(held: Gradients | None, more: Gradients) -> Gradients:
    """The sum by parameter."""
    if held is None:
        return more
    return [
        two if one is None else one if two is None else one + two
        for one, two in zip(held, more, strict=True)
    ]

"""What a step on the gradient of one task alone would do to the losses of all."""

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor
from torch.optim import Optimizer

from polytask.mixing.steps import StepPlan
from polytask.model import MultiTaskModel
from polytask.processes import sum_gradients
from polytask.training.optim import clip_gradients
from polytask.training.passes import StepPasses
from polytask.training.random import random_state, set_random_state

Affinity = Mapping[str, Mapping[str, float]]
"""By the task that steps, then by the task whose loss is measured."""


class LookAhead:
    """Steps on each task's gradient in turn, measures all losses, and takes the step back.

    Affinity of i to j is 1 - (loss of j behind a step of the encoder on i) / (loss of j before), on
    the same rows and with the same dropout: above 0, i helps j. The step is the optimizer's own:
    its state, learning rate, weight decay and clipping. Source: Fifty et al., "Efficiently
    Identifying Task Groupings for Multi-Task Learning" (NeurIPS 2021).
    """

    def __init__(
        self,
        make: Callable[[StepPlan], StepPasses],
        optimizer: Optimizer,
        model: MultiTaskModel,
        max_norm: float | None,
    ) -> None:
        self._make = make
        self._optimizer = optimizer
        self._device = model.device
        self._shared = [p for p in model.encoder.parameters() if p.requires_grad]
        self._max_norm = max_norm
        self._all = [p for group in optimizer.param_groups for p in group["params"]]

    def __call__(self, plan: StepPlan) -> Affinity:
        """The affinities of the tasks with targets in a step, in passes of one feed each.

        Weights, gradients, the optimizer and the generators are afterwards as they were.
        """
        random = random_state(self._device)
        passes = self._make(plan)
        held = [parameter.grad for parameter in self._all]
        for parameter in self._all:
            parameter.grad = None
        try:
            gradients = self._gradients(passes)
            before = passes.losses()
            return {task: self._ahead(gradients[task], passes, before) for task in passes.tasks}
        finally:
            for parameter, gradient in zip(self._all, held, strict=True):
                parameter.grad = gradient
            set_random_state(random, self._device)

    def _gradients(self, passes: StepPasses) -> dict[str, list[Tensor | None]]:
        """Of each task on the encoder, over all passes and processes."""
        found: dict[str, list[Tensor | None]] = {
            task: [None] * len(self._shared) for task in passes.tasks
        }
        for losses in passes:
            last = list(losses)[-1]
            for task, loss in losses.items():
                gradient = torch.autograd.grad(
                    loss, self._shared, retain_graph=task != last, allow_unused=True
                )
                found[task] = [
                    new if old is None else old if new is None else old + new
                    for old, new in zip(found[task], gradient, strict=True)
                ]
        return {task: sum_gradients(some, self._shared) for task, some in found.items()}

    @torch.no_grad()
    def _ahead(
        self,
        gradients: Sequence[Tensor | None],
        passes: StepPasses,
        before: Mapping[str, float],
    ) -> dict[str, float]:
        weights = [parameter.detach().clone() for parameter in self._shared]
        states = [
            {name: value.clone() for name, value in self._optimizer.state[one].items()}
            for one in self._shared
        ]
        for parameter, gradient in zip(self._shared, gradients, strict=True):
            parameter.grad = gradient
        clip_gradients([self._shared], self._max_norm)
        self._optimizer.step()
        after = passes.again()
        for parameter, weight, state in zip(self._shared, weights, states, strict=True):
            parameter.copy_(weight)
            parameter.grad = None
            self._optimizer.state[parameter] = state
        return {task: 1 - after[task] / loss if loss else math.nan for task, loss in before.items()}

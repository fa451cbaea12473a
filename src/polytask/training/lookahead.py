"""What a step on the gradient of one task alone would do to the losses of all."""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from polytask.processes import sum_gradients
from polytask.training.optim import clip_gradients
from polytask.training.passes import StepPasses

Affinity = Mapping[str, Mapping[str, float]]
"""By the task that steps, then by the task whose loss is measured."""


class LookAhead:
    """Steps on each task's gradient in turn, measures all losses, and takes the step back.

    Affinity of i to j is 1 - (loss of j behind a step of the encoder on i) / (loss of j before), on
    the same rows and with the same dropout: above 0, i helps j; nan for a loss of 0 or below. The
    step is the optimizer's own: its state, learning rate, weight decay and clipping. Source: Fifty
    et al., "Efficiently Identifying Task Groupings for Multi-Task Learning" (NeurIPS 2021).
    """

    def __init__(
        self, optimizer: Optimizer, shared: Sequence[nn.Parameter], max_norm: float | None
    ) -> None:
        self._optimizer = optimizer
        self._shared = shared
        self._max_norm = max_norm
        self._all = [p for group in optimizer.param_groups for p in group["params"]]

    def __call__(
        self, gradients: Mapping[str, Sequence[Tensor | None]], passes: StepPasses
    ) -> Affinity:
        """The affinities of tasks; gradients: of each on the encoder, over these passes.

        Weights, gradients and the optimizer are afterwards as they were.
        """
        held = [parameter.grad for parameter in self._all]
        for parameter in self._all:
            parameter.grad = None
        before = passes.losses()
        found = {
            task: self._ahead(sum_gradients(some, self._shared), passes, before)
            for task, some in gradients.items()
        }
        for parameter, gradient in zip(self._all, held, strict=True):
            parameter.grad = gradient
        return found

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
        return {
            task: 1 - after[task] / loss if loss > 0 else math.nan for task, loss in before.items()
        }

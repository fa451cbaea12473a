"""`kind: gradnorm`: gradients of alike length, longer for tasks that train slowly."""

from collections.abc import Mapping
from typing import Annotated, cast

import torch
from pydantic import Field
from torch import Tensor

from polytask.balancing.gramian import GramianWeighting, lengths
from polytask.balancing.scalars import Scalars

_LEAST = 0.01


class GradNorm(GramianWeighting):
    """Learned weights of mean 1 that bring w_k |g_k| towards their mean times r_k^alpha.

    r_k is the loss of a task over its first loss, divided by the mean of that over the tasks
    present. The weights go down the sum of |w_k |g_k| - target_k| by Adam at rate `lr`, none below
    0.01 before they are brought back to their mean. Heads get their own gradients. Source: Chen et
    al., "GradNorm: Gradient Normalization for Adaptive Loss Balancing in Deep Multitask Networks"
    (ICML 2018).
    """

    def __init__(
        self,
        *,
        alpha: Annotated[float, Field(ge=0)] = 1.5,
        lr: Annotated[float, Field(gt=0)] = 0.01,
    ) -> None:
        self.alpha = alpha
        self.first: dict[str, float] = {}
        self.added = Scalars(lr)

    def check(self, tasks: list[str]) -> None:
        """Nothing names a task."""

    def weigh(self, gramian: Tensor, losses: Mapping[str, float]) -> Tensor:
        """The weights of this step; those of the next follow from its gradients."""
        for task, loss in losses.items():
            self.first.setdefault(task, max(loss, 1e-12))
        weights = self._normalised(losses)  # (tasks,)
        slopes = self.slopes(lengths(gramian), weights, losses)
        self.added.step(dict(zip(losses, slopes.tolist(), strict=True)))
        after = self._normalised(losses) - 1
        self.added.put(dict(zip(losses, after.tolist(), strict=True)))
        return weights

    def _normalised(self, losses: Mapping[str, float]) -> Tensor:
        """The weights of these tasks, of mean 1: (tasks,)."""
        raw = torch.tensor([1 + self.added[task] for task in losses], dtype=torch.float64)
        raw = raw.clamp(min=_LEAST)
        return raw * len(losses) / raw.sum()

    def slopes(self, sizes: Tensor, weights: Tensor, losses: Mapping[str, float]) -> Tensor:
        """The gradient of the sum of |w_k n_k - target_k| on w, targets held: (tasks,)."""
        falls = torch.tensor([loss / self.first[task] for task, loss in losses.items()]).double()
        rates = falls / falls.mean().clamp(min=1e-12)
        targets = (weights * sizes).mean() * rates**self.alpha
        return torch.sign(weights * sizes - targets) * sizes

    def state_dict(self) -> dict[str, object]:
        """First losses, weights and their moments."""
        return {"first": dict(self.first), "added": self.added.state_dict()}

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Takes them back."""
        self.first = dict(cast(Mapping[str, float], state["first"]))
        self.added.load_state_dict(cast(Mapping[str, object], state["added"]))

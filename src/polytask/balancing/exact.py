"""Scalar products of this step's gradients, held whole or for a part of the encoder."""

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor

from polytask.balancing.balancer import Passes, PassLosses, Setting
from polytask.balancing.spaces import Space
from polytask.balancing.way import Gradients, Way, Weigh, added, note, of_all
from polytask.processes import is_first, sums

_AT_ONCE = 1 << 16
"""Numbers of a gradient that stay in the cache of a processor."""


@final
class Exact(Way):
    """A backward for each task; its gradient on the encoder is held until the step is made.

    With rows of their own the tasks cost together what one joint backward costs. Gradients of
    passes that are computed in 16 bits are held in bf16.
    """

    def attach(self, space: Space, setting: Setting) -> None:
        """Says how gradients are held."""
        super().attach(space, setting)
        self._like = [
            one.new_zeros((), dtype=torch.bfloat16).expand_as(one) if setting.is_mixed else one
            for one in space.shared
        ]

    def backward(self, passes: Passes, weigh: Weigh) -> dict[str, float]:
        """The weighted sum of the gradients held."""
        gradients: dict[str, Gradients] = {}
        losses: dict[str, float] = {}
        for of_pass in passes:
            for place, (task, loss) in enumerate(of_pass.items(), 1):
                loss.backward(retain_graph=place < len(of_pass))
                note(losses, task, loss)
                gradients[task] = added(gradients.get(task), self._taken())
        if not passes.tasks:
            return {}
        gradients = of_all(gradients, passes.tasks, self._like)
        weights = weigh(gramian_of(list(gradients.values())), sums(losses, passes.tasks))
        if not is_first():
            return weights  # what the first process adds is whole
        for place, parameter in enumerate(self.space.shared):
            of_tasks = [found[place] for found in gradients.values()]
            parameter.grad = _combined(of_tasks, list(weights.values()), parameter.dtype)
        return weights

    def _taken(self) -> Gradients:
        """The gradients on the encoder, away from it."""
        found: Gradients = []
        for parameter, like in zip(self.space.shared, self._like, strict=True):
            found.append(None if parameter.grad is None else parameter.grad.to(like.dtype))
            parameter.grad = None
        return found


@final
class Probe(Way):
    """A short backward for each task, into the space, then one whole one for all.

    The graphs of all passes of a step live at once.
    """

    def backward(self, passes: Passes, weigh: Weigh) -> dict[str, float]:
        """The gradient of the losses with the weights of this step."""
        held: list[PassLosses] = []
        gradients: dict[str, Gradients] = {}
        losses: dict[str, float] = {}
        with self.space.adding_up():
            with self.space.open():
                for of_pass in passes:
                    held.append(of_pass)
                    for task in of_pass:
                        note(losses, task, of_pass[task])
                        gradients[task] = added(gradients.get(task), self.partial(of_pass, task))
            if not passes.tasks:
                return {}
            gradients = of_all(gradients, passes.tasks, self.space.parameters)
            weights = weigh(gramian_of(list(gradients.values())), sums(losses, passes.tasks))
            while held:
                self.train_encoder(held.pop(), weights)
        return weights


def gramian_of(gradients: Sequence[Sequence[Tensor | None]]) -> Tensor:
    """Scalar products of gradients given by task and parameter, None being 0: (tasks, tasks).

    A processor takes some numbers of all tasks at a time, so that each gradient is read once.
    """
    total = torch.zeros(len(gradients), len(gradients), dtype=torch.float64)
    for of_parameter in zip(*gradients, strict=True):
        there = [i for i, one in enumerate(of_parameter) if one is not None]
        if not there:
            continue
        flat = [one.reshape(-1) for one in of_parameter if one is not None]
        places = torch.tensor(there)
        total[places.unsqueeze(1), places] += _products(flat)
    return total


def _products(flat: Sequence[Tensor]) -> Tensor:
    if flat[0].device.type != "cpu":
        rows = torch.stack(list(flat)).to(_accurate(flat[0]))
        return (rows @ rows.T).double().cpu()
    found = [[0.0] * len(flat) for _ in flat]
    for held in zip(*(one.split(_AT_ONCE) for one in flat), strict=True):
        pieces = [one.to(_accurate(one)) for one in held]
        for i, one in enumerate(pieces):
            for j, other in enumerate(pieces[: i + 1]):
                found[i][j] += float(torch.dot(one, other))
    lower = torch.tensor(found, dtype=torch.float64)
    return lower + lower.tril(-1).T


def _accurate(tensor: Tensor) -> torch.dtype:
    return torch.promote_types(tensor.dtype, torch.float32)


def _combined(
    gradients: Sequence[Tensor | None], weights: Sequence[float], dtype: torch.dtype
) -> Tensor | None:
    """The weighted sum, in the memory of the first if it is of that type."""
    total: Tensor | None = None
    for one, weight in zip(gradients, weights, strict=True):
        if one is not None:
            total = one.to(dtype).mul_(weight) if total is None else total.add_(one, alpha=weight)
    return total

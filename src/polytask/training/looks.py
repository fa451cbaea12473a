"""Looks at the gradients of all tasks now and then, whatever the balancing."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import torch
from torch import Tensor

from polytask.balancing.sketch import SIZE, Sketch
from polytask.model import MultiTaskModel
from polytask.processes import summed
from polytask.training.observer import Look
from polytask.training.passes import StepPasses

_TINY = 1e-20


@dataclass(frozen=True, slots=True)
class Gradients:
    """What was seen before the weights changed. sketches: of each task's gradient, (numbers,)."""

    sketches: Mapping[str, Tensor]
    losses: Mapping[str, float]
    seconds: float


class Looks:
    """Runs the passes of every so many steps again, with a backward of the encoder for each task.

    Gradients are seen as sketches, so norms and cosines have an error of about 2 %.
    """

    def __init__(self, model: MultiTaskModel, every: int | None) -> None:
        self._shared = [p for p in model.encoder.parameters() if p.requires_grad]
        self._every = every
        self._sketch = Sketch(self._shared)

    def is_due(self, step: int) -> bool:
        """Whether it is time at a step, counted from 0."""
        return bool(self._shared) and self._every is not None and step % self._every == 0

    def gradients(self, passes: StepPasses, step: int) -> Gradients:
        """The gradients of a step on the encoder."""
        started = time.perf_counter()
        self._sketch.redraw(step)
        found: dict[str, Tensor] = {}
        for losses in passes:
            last = list(losses)[-1]
            for task in losses:
                gradient = torch.autograd.grad(
                    losses[task], self._shared, retain_graph=task != last, allow_unused=True
                )
                found[task] = found.get(task, 0) + self._sketch(gradient)
            del losses, gradient
        nothing = torch.zeros(SIZE, dtype=torch.float64)
        sketches = {task: summed(found.get(task, nothing.clone())) for task in passes.tasks}
        return Gradients(sketches, passes.losses(), time.perf_counter() - started)

    def look(
        self, before: Gradients, after: Mapping[str, float], rate: float, seconds: float
    ) -> Look:
        """What the step did; after: the losses of the same rows behind it."""
        norms = {task: float(one.norm()) for task, one in before.sketches.items()}
        cosines = {
            f"{one} {other}": float(before.sketches[one] @ before.sketches[other])
            / max(norms[one] * norms[other], 1e-30)
            for one, other in combinations(before.sketches, 2)
        }
        progress = {
            task: (before.losses[task] - after[task]) / (rate * norm**2)
            if rate * norm**2 > _TINY
            else math.nan
            for task, norm in norms.items()
        }
        return Look(norms, cosines, progress, before.seconds + seconds)

"""Looks at the gradients of all tasks now and then, whatever the balancing."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import combinations

import torch
from torch import Tensor

from polytask.balancing.sketch import SIZE, Sketch
from polytask.config.options import TrainOptions
from polytask.mixing.steps import StepPlan
from polytask.model import MultiTaskModel
from polytask.processes import summed
from polytask.training.lookahead import Affinity
from polytask.training.observer import Look
from polytask.training.passes import StepPasses
from polytask.training.sharding import is_sharded

_TINY = 1e-20


@dataclass(frozen=True, slots=True)
class Gradients:
    """What was seen before the weights changed. sketches: of each task's gradient, (numbers,).

    ahead: what a step on each task alone would do to the losses of all, if that was asked for.
    """

    sketches: Mapping[str, Tensor]
    losses: Mapping[str, float]
    ahead: Affinity
    seconds: float


class Looks:
    """Runs the passes of every so many steps again, with a backward of the encoder for each task.

    Gradients are seen as sketches, so norms and cosines have an error of about 2 %.
    """

    def __init__(
        self,
        model: MultiTaskModel,
        options: TrainOptions,
        ahead: Callable[[StepPlan], Affinity],
    ) -> None:
        self._shared = [p for p in model.encoder.parameters() if p.requires_grad]
        self._every = None if is_sharded(model.encoder) else options.look_every
        self._ahead = ahead if options.look_ahead else None
        self._sketch = Sketch(self._shared)

    def is_due(self, step: int) -> bool:
        """Whether it is time at a step, counted from 0."""
        return bool(self._shared) and self._every is not None and step % self._every == 0

    def gradients(self, passes: StepPasses, step: int, plan: StepPlan) -> Gradients:
        """The gradients of a step on the encoder; plan: what the passes were made of."""
        started = time.perf_counter()
        ahead = self._ahead(plan) if self._ahead else {}
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
        return Gradients(sketches, passes.losses(), ahead, time.perf_counter() - started)

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
        return Look(norms, cosines, progress, before.ahead, before.seconds + seconds)

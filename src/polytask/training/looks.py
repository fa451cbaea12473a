"""Looks at the gradients of all tasks now and then, whatever the balancing."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import torch
from torch import Tensor, nn

from polytask.balancing.sketch import SIZE, Sketch
from polytask.balancing.way import Gradients as Held
from polytask.balancing.way import added
from polytask.config.options import TrainOptions
from polytask.mixing.steps import StepPlan
from polytask.model import MultiTaskModel
from polytask.processes import summed
from polytask.training.lookahead import Affinity, LookAhead
from polytask.training.observer import Look
from polytask.training.passes import StepPasses
from polytask.training.random import random_state, set_random_state
from polytask.training.sharding import is_sharded

_TINY = 1e-20


@dataclass(frozen=True, slots=True)
class Gradients:
    """What was seen before the weights changed. sketches: of each task's gradient, (numbers,).

    ahead: what a step on each task alone would do to the losses of all, if that was asked for.
    """

    sketches: Mapping[str, Tensor]
    ahead: Affinity
    seconds: float


class Looks:
    """Runs the records of every so many steps again, a task at a time.

    Gradients are seen as sketches, so norms and cosines have an error of about 2 %. make: passes
    of one feed each of what a step was made of.
    """

    def __init__(
        self,
        model: MultiTaskModel,
        options: TrainOptions,
        make: Callable[[StepPlan], StepPasses],
        ahead: Callable[[Sequence[nn.Parameter]], LookAhead],
    ) -> None:
        self._shared = [p for p in model.encoder.parameters() if p.requires_grad]
        self._every = None if is_sharded(model.encoder) else options.look_every
        self._make = make
        self._ahead = ahead(self._shared) if options.look_ahead else None
        self._sketch = Sketch(self._shared)

    def is_due(self, step: int) -> bool:
        """Whether it is time at a step, counted from 0."""
        return bool(self._shared) and self._every is not None and step % self._every == 0

    def gradients(self, plan: StepPlan, step: int, device: torch.device) -> Gradients:
        """The gradients of a step on the encoder. Draws nothing from the generators."""
        started, random = time.perf_counter(), random_state(device)
        self._sketch.redraw(step)
        passes = self._make(plan)
        sketches = {task: torch.zeros(SIZE, dtype=torch.float64) for task in passes.tasks}
        held: dict[str, Held] = {task: [None] * len(self._shared) for task in passes.tasks}
        for losses in passes:
            last = list(losses)[-1]
            for task in losses:
                gradient = torch.autograd.grad(
                    losses[task], self._shared, retain_graph=task != last, allow_unused=True
                )
                sketches[task] += self._sketch(gradient)
                if self._ahead:
                    held[task] = added(held[task], list(gradient))
            del losses, gradient
        sketches = {task: summed(one) for task, one in sketches.items()}
        ahead = self._ahead(held, passes) if self._ahead else {}
        set_random_state(random, device)
        return Gradients(sketches, ahead, time.perf_counter() - started)

    def look(
        self,
        before: Gradients,
        losses: Mapping[str, float],
        after: Mapping[str, float],
        *,
        rate: float,
        seconds: float,
    ) -> Look:
        """What the step did; losses, after: those of its rows before and behind it."""
        norms = {task: float(one.norm()) for task, one in before.sketches.items()}
        cosines = {
            f"{one} {other}": float(before.sketches[one] @ before.sketches[other])
            / max(norms[one] * norms[other], 1e-30)
            for one, other in combinations(before.sketches, 2)
        }
        progress = {
            task: (losses[task] - after[task]) / (rate * norm**2)
            if rate * norm**2 > _TINY
            else math.nan
            for task, norm in norms.items()
        }
        return Look(norms, cosines, progress, before.ahead, before.seconds + seconds)

"""Scalar products of sketches: a few thousand numbers a task instead of a gradient."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import cast, final

import torch
from torch import Tensor

from polytask.balancing.balancer import Passes, PassLosses, Setting
from polytask.balancing.running import RunningGramian
from polytask.balancing.sketch import SIZE, Sketch
from polytask.balancing.spaces import Space
from polytask.balancing.way import Way, Weigh, note
from polytask.processes import summed, sums

LEAST = 0.01
"""Of the mean size of weights: the least of a task, so that its gradient can still be seen."""


class _Sketched(Way):
    """Draws signs anew each step."""

    def __init__(self) -> None:
        self.num_steps = 0

    def attach(self, space: Space, setting: Setting) -> None:
        """Makes room for sketches of the space."""
        super().attach(space, setting)
        self.sketch = Sketch(space.parameters)

    def redraw(self) -> None:
        """New signs for a new step."""
        self.num_steps += 1
        self.sketch.redraw(self.num_steps)

    def state_dict(self) -> dict[str, object]:
        """The steps so far, from which signs are drawn."""
        return {"num_steps": self.num_steps}

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Takes them back."""
        self.num_steps = cast(int, state["num_steps"])


@final
class Replayed(_Sketched):
    """Every pass twice: for the sketches of this step, then with its weights."""

    def backward(self, passes: Passes, weigh: Weigh) -> dict[str, float]:
        """The gradient of the losses with the weights of this step."""
        self.redraw()
        sketches: dict[str, Tensor] = {}
        losses: dict[str, float] = {}
        with self.space.open():
            for of_pass in passes:
                for task in tuple(of_pass):
                    note(losses, task, of_pass[task])
                    gradient = self.partial(of_pass, task, retain=False)
                    sketches[task] = sketches.get(task, 0) + self.sketch(gradient)
                del of_pass  # and with it the graph, before the next pass makes another
        if not passes.tasks:
            return {}
        weights = weigh(_gramian(sketches, passes.tasks), sums(losses, passes.tasks))
        with self.space.adding_up():
            for of_pass in passes:
                self.train_encoder(of_pass, weights)
                del of_pass
        return weights


@final
class Stale(_Sketched):
    """Every pass once, with the weights that follow from the steps before.

    What a pass adds to `.grad` is sketched, and an average of the scalar products kept. No weight
    is smaller than a hundredth of their mean size, so that the gradient of a task can still be
    seen. While a task is there that was in no step before, all weights are 1.
    """

    def __init__(self) -> None:
        super().__init__()
        self.running = RunningGramian()
        self._factor = 1.0

    def backward(self, passes: Passes, weigh: Weigh) -> dict[str, float]:
        """The gradient of the losses with the weights at hand."""
        if not passes.tasks:
            return {}
        self.redraw()
        weights = self._weights(passes.tasks, weigh)
        sketches: dict[str, Tensor] = {}
        losses: dict[str, float] = {}
        held = torch.zeros(SIZE, dtype=torch.float64)
        with self.space.open(), self.space.adding_up(), self._unweighted_heads():
            for of_pass in passes:
                for task in of_pass:
                    note(losses, task, of_pass[task])
                held = self._train(of_pass, weights, sketches, held)
                del of_pass
        gramian, losses = _gramian(sketches, passes.tasks), sums(losses, passes.tasks)
        if gramian.isfinite().all() and all(map(math.isfinite, losses.values())):
            self.running.update(gramian, losses)
        return weights

    def _weights(self, tasks: Sequence[str], weigh: Weigh) -> dict[str, float]:
        if not self.running.knows(tasks):
            return dict.fromkeys(tasks, 1.0)
        before = {task: self.running.losses[task] for task in tasks}
        return _seen(weigh(self.running.of(tasks), before))

    def _train(
        self,
        losses: PassLosses,
        weights: Mapping[str, float],
        sketches: dict[str, Tensor],
        held: Tensor,
    ) -> Tensor:
        """Adds one pass to `.grad` and to the sketches; the sketch of `.grad` behind it."""
        if len(losses) > 1 and not self.space.is_all:
            for task in losses:
                gradient = self.partial(losses, task)
                sketches[task] = sketches.get(task, 0) + self.sketch(gradient)
            self.train_encoder(losses, weights)
            return self._sketch_of_grad()
        for place, (task, loss) in enumerate(losses.items(), 1):
            self._factor = 1 / weights[task]
            (weights[task] * loss).backward(retain_graph=place < len(losses))
            self._factor = 1.0
            now = self._sketch_of_grad()
            sketches[task] = sketches.get(task, 0) + (now - held) / weights[task]
            held = now
        return held

    def _sketch_of_grad(self) -> Tensor:
        return self.sketch([parameter.grad for parameter in self.space.parameters])

    @contextmanager
    def _unweighted_heads(self) -> Iterator[None]:
        """Meanwhile the weight of a loss does not reach the gradients of heads."""
        hooks = [p.register_hook(lambda gradient: gradient * self._factor) for p in self.heads]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def state_dict(self) -> dict[str, object]:
        """The steps so far and the averages."""
        return {**super().state_dict(), "running": self.running.state_dict()}

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Takes them back."""
        super().load_state_dict(state)
        self.running.load_state_dict(cast(dict[str, object], state["running"]))


def _gramian(sketches: Mapping[str, Tensor], tasks: Sequence[str]) -> Tensor:
    """Scalar products of the sums over all processes: (tasks, tasks)."""
    nothing = torch.zeros(SIZE, dtype=torch.float64)
    rows = summed(torch.stack([sketches.get(task, nothing) for task in tasks]))
    return rows @ rows.T


def _seen(weights: dict[str, float]) -> dict[str, float]:
    """Weights none of which is too small to see its task; 1 each if they are all 0."""
    least = LEAST * sum(map(abs, weights.values())) / len(weights)
    if not least:
        return dict.fromkeys(weights, 1.0)
    return {
        task: weight if abs(weight) >= least else math.copysign(least, weight)
        for task, weight in weights.items()
    }

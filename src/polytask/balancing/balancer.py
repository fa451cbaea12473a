"""The contract of balancers: from the losses of a step to gradients."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from polytask.encoders import Encoder
from polytask.processes import of_first, sums

PassLosses = Mapping[str, Tensor]
"""By task, what one pass adds to the task's mean loss of the step: a scalar with a graph."""


class Passes(ABC):
    """The passes of a step, one after the other as often as they are asked for."""

    @property
    @abstractmethod
    def tasks(self) -> Sequence[str]:
        """The tasks that have a loss in the step."""

    @abstractmethod
    def __iter__(self) -> Iterator[PassLosses]:
        """The losses of each pass, the same each time: dropout, too, is drawn once a step.

        Each item runs the forward of one pass when it is asked for, so that one graph lives at a
        time. A task's losses, each already divided by the number of its targets in the whole step,
        add up over the passes to its mean loss.
        """


@dataclass(frozen=True, slots=True)
class Setting:
    """What a balancer may know of the model.

    num_classes: of each task the number of classes its loss chooses among, None without. together:
    the tasks that read the same rows, in groups. heads: the parameters of all heads. is_mixed:
    whether passes are computed in 16 bits.
    """

    num_classes: Mapping[str, int | None]
    together: Sequence[Sequence[str]]
    encoder: Encoder
    heads: Sequence[nn.Parameter]
    is_mixed: bool = False


class Balancer(ABC):
    """Turns the losses of a step into gradients on the parameters."""

    @abstractmethod
    def check(self, tasks: list[str]) -> None:
        """Raises ConfigError if an option names a task that does not exist."""

    @abstractmethod
    def attach(self, setting: Setting) -> list[str]:
        """Takes what it trains, and gives back what the journal is to say of it.

        Raises ConfigError if an option does not suit the encoder.
        """

    @property
    def parameters(self) -> Sequence[nn.Parameter]:
        """What it takes gradients of beside the model's own."""
        return []

    @property
    @abstractmethod
    def is_apart(self) -> bool:
        """Whether a pass is to hold rows of one feed alone."""

    @abstractmethod
    def backward(self, passes: Passes) -> dict[str, float]:
        """Adds the gradients of a step to `.grad` and returns the weight of each task.

        Of several processes each adds what comes of its own rows: the sum is the gradient.
        """

    @property
    def watch_share(self) -> float | None:
        """The share of train it wants set apart, to know the losses there; None for nothing."""
        return None

    def watch(self, losses: Mapping[str, float]) -> None:
        """Takes, before each step, mean losses by task of some rows set apart, without dropout."""
        del losses

    @property
    @abstractmethod
    def looks_back(self) -> bool:
        """Whether it wants to know the losses of the same passes after the step."""

    @abstractmethod
    def look_back(self, losses: Mapping[str, float]) -> None:
        """Takes mean losses by task after the step, of the same rows with the same dropout."""

    @abstractmethod
    def state_dict(self) -> dict[str, object]:
        """What outlives a restart, by task name, as plain JSON values."""

    @abstractmethod
    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Takes back what `state_dict` gave."""


class Weighting(Balancer, ABC):
    """A balancer that multiplies each task's mean loss, from the losses alone.

    tasks: those of the run, with the numbers of their classes.
    """

    tasks: Mapping[str, int | None] = {}

    def check(self, tasks: list[str]) -> None:
        """Nothing names a task."""

    def attach(self, setting: Setting) -> list[str]:
        """Keeps the tasks and the encoder."""
        self.tasks = dict(setting.num_classes)
        self.encoder = setting.encoder
        return []

    @property
    def is_apart(self) -> bool:
        """No."""
        return False

    @property
    def looks_back(self) -> bool:
        """No."""
        return False

    def look_back(self, losses: Mapping[str, float]) -> None:
        """Nothing."""

    def state_dict(self) -> dict[str, object]:
        """Nothing."""
        return {}

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Nothing."""


class PriorWeighting(Weighting, ABC):
    """A weighting that does not depend on the losses of the step itself: one graph at a time."""

    @abstractmethod
    def draw(self) -> Mapping[str, float]:
        """The weights of this step, of all tasks of the run."""

    @abstractmethod
    def learn(self, losses: Mapping[str, float]) -> None:
        """Takes in the mean losses of the step, of the tasks present."""

    def backward(self, passes: Passes) -> dict[str, float]:
        """One backward a pass."""
        weights = of_first(self.draw())
        found: dict[str, float] = {}
        with self.encoder.adding_up():
            for losses in passes:
                weighted(losses, weights).backward()
                for task, loss in losses.items():
                    found[task] = found.get(task, 0.0) + float(loss.detach())
        found = sums(found, passes.tasks)
        if all(map(math.isfinite, found.values())):
            self.learn(found)
        return {task: weights[task] for task in found}


class LossWeighting(Weighting, ABC):
    """A weighting by the losses of the step: the graphs of all its passes live at once."""

    @abstractmethod
    def weigh(self, losses: Mapping[str, float]) -> Mapping[str, float]:
        """The weights of the tasks present, from their mean losses."""

    def backward(self, passes: Passes) -> dict[str, float]:
        """One backward a step."""
        total: dict[str, Tensor] = {}
        for losses in passes:
            for task, loss in losses.items():
                total[task] = total[task] + loss if task in total else loss
        here = {task: float(loss.detach()) for task, loss in total.items()}
        found = sums(here, passes.tasks)
        if not all(map(math.isfinite, found.values())):  # the step will be refused
            return dict.fromkeys(found, 1.0)
        if not found:
            return {}
        weights = of_first(dict(self.weigh(found)))
        if total:
            weighted(total, weights).backward()
        return weights


def weighted(losses: PassLosses, weights: Mapping[str, float]) -> Tensor:
    """The weighted sum of the losses of a pass, of which there is at least one."""
    first, *rest = [weights[task] * loss for task, loss in losses.items()]
    return sum(rest, start=first)

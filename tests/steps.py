"""Steps and encoders made by hand, for tests of balancers."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from torch import Tensor, nn

from polytask.balancing import (
    BALANCERS,
    Balancer,
    GramianWeighting,
    Passes,
    PassLosses,
    Setting,
)
from polytask.data.batching import Inputs
from polytask.encoders import Encoder

REQUIRED: Mapping[str, Mapping[str, str]] = {
    "pcd": {"main": "intent"},
    "torchjd": {"weighting": "GradVac"},
}
"""By kind of balancing, the keys that it must be given."""


def balancing(kind: str) -> Balancer | GramianWeighting:
    """A kind with its defaults."""
    return BALANCERS[kind](**REQUIRED.get(kind, {}))


class Step(Passes):
    """Passes that a function makes, as often as asked; `num_runs` counts how often."""

    def __init__(self, make: Callable[[], Iterable[PassLosses]], *tasks: str) -> None:
        self._make = make
        self._tasks = tasks
        self.num_runs = 0

    @property
    def tasks(self) -> Sequence[str]:
        return self._tasks

    def __iter__(self) -> Iterator[PassLosses]:
        self.num_runs += 1
        return iter(self._make())


def one_step(*passes: PassLosses) -> Step:
    """A step that runs once."""
    return Step(lambda: passes, *dict.fromkeys(task for some in passes for task in some))


class Blocks(Encoder):
    """Parameters without a forward, one block each."""

    width = 2

    def __init__(self, *parameters: nn.Parameter) -> None:
        super().__init__()
        self.parts = nn.ParameterList(parameters)

    def forward(self, inputs: Inputs) -> Tensor:
        raise NotImplementedError

    def blocks(self) -> Sequence[Sequence[nn.Parameter]]:
        return [[parameter] for parameter in self.parts]

    def token_embeddings(self) -> nn.Parameter:
        raise NotImplementedError

    def save(self, folder: Path) -> None:
        raise NotImplementedError


def setting(
    num_classes: Mapping[str, int | None],
    *shared: nn.Parameter,
    heads: Sequence[nn.Parameter] = (),
    together: Sequence[Sequence[str]] = (),
    is_mixed: bool = False,
) -> Setting:
    """What a balancer is told of tasks and of an encoder made of some parameters."""
    return Setting(num_classes, together, Blocks(*shared), heads, is_mixed)

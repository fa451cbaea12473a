"""`kind: torchjd`: any weighting of the library TorchJD, its options beside it."""

from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor, nn

from polytask.balancing.gramian import GramianWeighting
from polytask.errors import ConfigError, MissingExtra, did_you_mean

_SUFFIX = "Weighting"

Plain = bool | int | float | str


class TorchJD(GramianWeighting):
    """Weights of a class of `torchjd.aggregation`: `UPGrad` for `UPGradWeighting`.

    Each set of tasks that are present together has a weighting of its own, since those of TorchJD
    know tasks by their order. One that wants whole gradients gets a root of their scalar products,
    which is the same to a method that does not depend on the choice of axes. Source: Quinton and
    Rey, "Jacobian Descent for Multi-Objective Optimization" (2024).

    Raises MissingExtra without the library, ConfigError for what it does not know or refuses.
    """

    def __init__(self, *, weighting: str, options: dict[str, Plain] | None = None) -> None:
        self._class = _found(weighting)
        bases = {base.__name__ for base in self._class.__mro__}
        self._wants_gramian = "_GramianWeighting" in bases
        if not self._wants_gramian and "Stateful" in bases:
            raise ConfigError(
                f"weighting: {weighting} of TorchJD remembers whole gradients, or wants those of "
                "two batches: scalar products do not give them"
            )
        self._options = options or {}
        self._made: dict[str, nn.Module] = {}
        self._new()

    def check(self, tasks: list[str]) -> None:
        """Nothing names a task."""

    def weigh(self, gramian: Tensor, losses: Mapping[str, float]) -> Tensor:
        """The weights of the library, in float64."""
        weighting = self._of("\n".join(losses))
        found = weighting(gramian if self._wants_gramian else _root(gramian))
        return cast(Tensor, found).detach().double()

    def _of(self, tasks: str) -> nn.Module:
        if tasks not in self._made:
            self._made[tasks] = self._new()
        return self._made[tasks]

    def _new(self) -> nn.Module:
        try:
            return self._class(**self._options)
        except (TypeError, ValueError, AttributeError, ImportError) as error:
            raise ConfigError(f"TorchJD refuses {self._class.__name__}: {error}") from error

    def state_dict(self) -> dict[str, object]:
        """What each weighting remembers, by the names of its tasks in lines."""
        return {
            tasks: {
                "numbers": {name: value for name, value in vars(made).items() if _is_plain(value)},
                "tensors": {name: value.tolist() for name, value in made.named_buffers()},
            }
            for tasks, made in self._made.items()
        }

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Takes it back. A first call lets a weighting make room for what it remembers."""
        for tasks, found in cast(Mapping[str, Mapping[str, dict[str, object]]], state).items():
            names = tasks.split("\n")
            with torch.random.fork_rng(devices=[]):
                self.weigh(torch.eye(len(names), dtype=torch.float64), dict.fromkeys(names, 1.0))
            made = self._of(tasks)
            for name, value in found["numbers"].items():
                setattr(made, name, value)
            for name, buffer in made.named_buffers():
                buffer.copy_(torch.tensor(found["tensors"][name], dtype=buffer.dtype))


def _found(name: str) -> type[nn.Module]:
    try:
        from torchjd import aggregation
    except ImportError as error:
        raise MissingExtra("torchjd", "torchjd") from error
    known = [one for one in dir(aggregation) if one.endswith(_SUFFIX) and one != _SUFFIX]
    if f"{name}{_SUFFIX}" not in known:
        hint = did_you_mean(name, [one.removesuffix(_SUFFIX) for one in known])
        raise ConfigError(f"weighting: TorchJD has no '{name}'. {hint}")
    return cast(type[nn.Module], getattr(aggregation, f"{name}{_SUFFIX}"))


def _is_plain(value: object) -> bool:
    return isinstance(value, Plain)


def _root(gramian: Tensor) -> Tensor:
    """A matrix whose rows have these scalar products: (tasks, tasks)."""
    values, vectors = torch.linalg.eigh(gramian)
    root: Tensor = vectors * values.clamp(min=0).sqrt()
    return root

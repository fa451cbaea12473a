"""`kind: pcd`: one main task; the others have a say as far as it does not mind."""

import math
from collections.abc import Mapping
from typing import Annotated, cast

import torch
from pydantic import Field
from torch import Tensor

from polytask.balancing.gramian import GramianWeighting, inverse, lengths
from polytask.balancing.solvers import nonnegative
from polytask.errors import ConfigError, did_you_mean

_STEADY = 0.999
"""How slowly the usual length of a gradient follows."""


class PCD(GramianWeighting):
    """The update nearest to the gradient of `main` that lowers every other loss a little.

    With u_k the gradients over their usual lengths: the d of least |d - u_main| with
    u_k' d >= tau |u_k|^2 for all others, made as long as the gradient of `main`; that gradient
    itself where no such d exists. Without the main task in a step it is the sum. Source: primary
    constrained descent (TMLR 2026).
    """

    def __init__(self, *, main: str, tau: Annotated[float, Field(ge=0)] = 0.02) -> None:
        self.main = main
        self.tau = tau
        self.squares: dict[str, list[float]] = {}

    def check(self, tasks: list[str]) -> None:
        """Raises ConfigError if there is no such task."""
        if self.main not in tasks:
            raise ConfigError(f"main: no task '{self.main}'. {did_you_mean(self.main, tasks)}")

    def weigh(self, gramian: Tensor, losses: Mapping[str, float]) -> Tensor:
        """Solved in the cone of the gradients of the other tasks."""
        names = list(losses)
        usual = torch.tensor(
            [self._usual(name, float(gramian[i, i])) for i, name in enumerate(names)],
            dtype=torch.float64,
        )
        if self.main not in names:
            return torch.ones(len(names), dtype=torch.float64)
        first = names.index(self.main)
        unit = torch.eye(len(names), dtype=torch.float64)[first]
        scaled = inverse(usual)[:, None] * gramian * inverse(usual)
        others = [i for i in range(len(names)) if i != first]
        if not others:
            return unit
        wanted = self.tau * scaled.diagonal()[others]
        missing = wanted - scaled[others, first]
        added = nonnegative(scaled[others][:, others], -missing)
        weights = unit.index_put((torch.tensor(others, dtype=torch.long),), added)
        is_met = (scaled[others] @ weights >= wanted - 1e-6).all()
        weights = (weights if is_met else unit) * inverse(usual)
        length = math.sqrt(max(float(weights @ gramian @ weights), 0.0))
        return weights * (float(lengths(gramian)[first]) / length if length else 0.0)

    def _usual(self, name: str, square: float) -> float:
        """The root of an average of squared lengths, its bias removed."""
        mean, num = self.squares.get(name, [0.0, 0.0])
        mean, num = _STEADY * mean + (1 - _STEADY) * square, num + 1
        self.squares[name] = [mean, num]
        return math.sqrt(mean / (1 - _STEADY**num))

    def state_dict(self) -> dict[str, object]:
        """The averages by task."""
        return {name: list(values) for name, values in self.squares.items()}

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Takes them back."""
        found = cast(Mapping[str, list[float]], state)
        self.squares = {name: list(values) for name, values in found.items()}

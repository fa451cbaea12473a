"""`kind: schedule`: shares that change over time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from polytask.errors import ConfigError, did_you_mean
from polytask.mixing.mixer import Drawn, Mixer, Progress, in_proportion

Share = Annotated[float, Field(ge=0)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """The shares at a point of the run: `at` 0 it begins, at 1 it ends."""

    at: Annotated[float, Field(ge=0, le=1)]
    shares: dict[str, Share]


class Schedule(Mixer):
    """Shares given for some points of the run, in between on straight lines.

    A feed that a point does not name has share 0 there; shares need not add up to 1. Two points at
    one place are a jump: first the large data sets, then all (Choi et al., "Order Matters in the
    Presence of Dataset Imbalance for Multilingual Learning", NeurIPS 2023).
    """

    def __init__(
        self, *, points: list[Point], rounds: Annotated[int, Field(ge=1, le=1000)] = 10
    ) -> None:
        places = [point.at for point in points]
        if not points or places != sorted(places):
            raise ConfigError("`points:` are one or more, in the order of `at:`")
        if any(not any(point.shares.values()) for point in points):
            raise ConfigError("`points:` need a share above 0 each")
        self.points = points
        self.rounds = rounds

    @property
    def num_rounds(self) -> int:
        """As asked for."""
        return self.rounds

    def check(self, feeds: Mapping[str, Sequence[str]]) -> None:
        """Raises ConfigError if a point names what is not there."""
        for name in (name for point in self.points for name in point.shares):
            if name not in feeds:
                raise ConfigError(f"points: no data set '{name}'. {did_you_mean(name, feeds)}")

    def warning(self, sizes: Mapping[str, int]) -> str | None:
        """Nothing."""
        return None

    def shares(self, sizes: Mapping[str, int], at: Progress) -> dict[str, float]:
        """Those on the line between the points around the middle of the round."""
        place = (at.epoch + (at.round + 0.5) / self.rounds) / at.num_epochs
        before = next((p for p in reversed(self.points) if p.at <= place), self.points[0])
        after = next((p for p in self.points if p.at > place), before)
        part = (place - before.at) / (after.at - before.at) if after.at > before.at else 0.0
        part = min(max(part, 0.0), 1.0)
        one, other = (in_proportion(point.shares) for point in (before, after))
        return {
            name: (1 - part) * one.get(name, 0.0) + part * other.get(name, 0.0) for name in sizes
        }

    def learn(self, drawn: Drawn) -> None:
        """Nothing."""

    def judge(self, headlines: Mapping[str, Mapping[str, float]]) -> None:
        """Nothing."""

    def state_dict(self) -> dict[str, object]:
        """Nothing."""
        return {}

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Nothing."""

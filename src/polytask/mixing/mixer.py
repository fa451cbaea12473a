"""The contract of mixers: which data the batches of an epoch are drawn from."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run stands: `epoch` of `num_epochs`, `round` of the rounds of an epoch, from 0.

    The last epoch may be one in part.
    """

    epoch: int
    num_epochs: float
    round: int = 0


@dataclass(frozen=True, slots=True)
class Drawn:
    """What a round brought, by feed: its examples, and the mean loss of the tasks that read it."""

    counts: Mapping[str, int]
    losses: Mapping[str, float]


class Mixer(ABC):
    """The share of each feed in the examples of a round.

    An epoch is as many examples as all train sets together, whatever the mixing. It has one round,
    or several where shares change within it.
    """

    @property
    @abstractmethod
    def num_rounds(self) -> int:
        """Rounds of an epoch, of equal size."""

    @abstractmethod
    def check(self, feeds: Mapping[str, Sequence[str]]) -> None:
        """Raises ConfigError if an option names a feed or task that does not exist.

        `feeds` names the tasks of each feed.
        """

    @abstractmethod
    def warning(self, sizes: Mapping[str, int]) -> str | None:
        """What one should know before training on feeds of these sizes."""

    @abstractmethod
    def shares(self, sizes: Mapping[str, int], at: Progress) -> dict[str, float]:
        """Shares by feed name, which add up to 1, from the sizes of the feeds."""

    @abstractmethod
    def learn(self, drawn: Drawn) -> None:
        """Takes in what a round brought."""

    @abstractmethod
    def judge(self, headlines: Mapping[str, Mapping[str, float]]) -> None:
        """Takes in the headline metric on dev of each task, by feed."""

    @abstractmethod
    def state_dict(self) -> dict[str, object]:
        """What outlives a restart, by feed name, as plain JSON values."""

    @abstractmethod
    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Takes back what `state_dict` gave."""


class PlainMixer(Mixer, ABC):
    """A mixer whose shares follow from sizes and progress alone."""

    @property
    def num_rounds(self) -> int:
        """One."""
        return 1

    def check(self, feeds: Mapping[str, Sequence[str]]) -> None:
        """Nothing names a feed."""

    def warning(self, sizes: Mapping[str, int]) -> str | None:
        """Nothing."""
        return None

    def learn(self, drawn: Drawn) -> None:
        """Nothing."""

    def judge(self, headlines: Mapping[str, Mapping[str, float]]) -> None:
        """Nothing."""

    def state_dict(self) -> dict[str, object]:
        """Nothing."""
        return {}

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Nothing."""


def in_proportion(amounts: Mapping[str, float]) -> dict[str, float]:
    """Shares in proportion to amounts, of which one is above 0."""
    total = sum(amounts.values())
    return {name: amount / total for name, amount in amounts.items()}

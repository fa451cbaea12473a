"""The contract of mixers: which data the batches of an epoch are drawn from."""

from abc import ABC, abstractmethod
from collections.abc import Mapping


class Mixer(ABC):
    """How many examples each feed gives to an epoch."""

    @abstractmethod
    def counts(self, sizes: Mapping[str, int], epoch: int) -> dict[str, int]:
        """Examples to draw by feed name, from the sizes of the feeds; they add up to all sizes.

        An epoch is as many examples as all train sets together, whatever the mixing.
        """

    @abstractmethod
    def state_dict(self) -> dict[str, object]:
        """What outlives a restart, by feed name, as plain JSON values."""

    @abstractmethod
    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Takes back what `state_dict` gave."""

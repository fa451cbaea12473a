"""`kind: proportional`: every example once an epoch."""

from collections.abc import Mapping

from polytask.mixing.mixer import Mixer


class Proportional(Mixer):
    """Draws each feed in proportion to its size: every example exactly once an epoch."""

    def counts(self, sizes: Mapping[str, int], epoch: int) -> dict[str, int]:
        """The sizes themselves."""
        return dict(sizes)

    def state_dict(self) -> dict[str, object]:
        """Nothing."""
        return {}

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Nothing."""

"""`kind: proportional`: every example once an epoch."""

from collections.abc import Mapping

from polytask.mixing.mixer import PlainMixer, Progress, in_proportion


class Proportional(PlainMixer):
    """Each feed in proportion to its size: every example exactly once an epoch."""

    def shares(self, sizes: Mapping[str, int], at: Progress) -> dict[str, float]:
        """p_k = n_k / sum of n."""
        return in_proportion(sizes)

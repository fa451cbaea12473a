"""`kind: proportional`: every example once an epoch."""

from collections.abc import Mapping

from polytask.mixing.mixer import PlainMixer, Progress, in_proportion

_UNEQUAL = 10


class Proportional(PlainMixer):
    """Each feed in proportion to its size: every example exactly once an epoch."""

    def warning(self, sizes: Mapping[str, int]) -> str | None:
        """That a feed is much smaller than another."""
        small, large = (choose(sizes, key=sizes.__getitem__) for choose in (min, max))
        times = sizes[large] / sizes[small]
        if times <= _UNEQUAL:
            return None
        return (
            f"Feed {large} is {times:.0f} times as large as {small}, of which few steps will see "
            "anything. `mixing: {kind: unimax}` draws small ones more often."
        )

    def shares(self, sizes: Mapping[str, int], at: Progress) -> dict[str, float]:
        """p_k = n_k / sum of n."""
        return in_proportion(sizes)

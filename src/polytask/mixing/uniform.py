"""`kind: uniform`: all data sets alike."""

from collections.abc import Mapping

from polytask.mixing.mixer import PlainMixer, Progress


class Uniform(PlainMixer):
    """Each feed equally often, whatever its size."""

    def shares(self, sizes: Mapping[str, int], at: Progress) -> dict[str, float]:
        """p_k = 1 / K."""
        return {name: 1 / len(sizes) for name in sizes}

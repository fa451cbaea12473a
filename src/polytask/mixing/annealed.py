"""`kind: annealed`: from sizes towards all data sets alike."""

import math
from collections.abc import Mapping

from polytask.mixing.mixer import PlainMixer, Progress, in_proportion

_FALL = 0.8
"""By how much the exponent of sizes falls from the first epoch, where it is 1, to the last."""


class Annealed(PlainMixer):
    """In proportion to sizes at first, nearly alike in the last epoch.

    Source: Stickland and Murray, "BERT and PALs: Projected Attention Layers for Efficient
    Adaptation in Multi-Task Learning" (ICML 2019).
    """

    def shares(self, sizes: Mapping[str, int], at: Progress) -> dict[str, float]:
        """p_k in proportion to n_k^a, a = 1 - 0.8 (e - 1) / (E - 1) in epoch e of E."""
        part = at.epoch / max(math.ceil(at.num_epochs) - 1, 1)
        power = 1 - _FALL * min(part, 1.0)
        return in_proportion({name: size**power for name, size in sizes.items()})

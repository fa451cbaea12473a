"""`kind: exp3`: a bandit that draws more of what has a high loss."""

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, cast

import numpy as np
from pydantic import Field

from polytask.mixing.mixer import Drawn, Mixer, Progress, in_proportion

_SCALE = 10.0
"""A loss of so much is a reward of 1."""


class Exp3(Mixer):
    """Exponential weights for exploration and exploitation, the reward of a feed being its loss.

    What is noisy or mislabelled has a high loss too, and is drawn more. `rounds` says how often in
    an epoch shares change. Source: Albalak et al., "Efficient Online Data Mixing For Language Model
    Pre-Training" (2023), after Auer et al. (2002).
    """

    def __init__(self, *, rounds: Annotated[int, Field(ge=1, le=1000)] = 10) -> None:
        self.rounds = rounds
        self.rewards: dict[str, float] = {}
        self.probabilities: dict[str, float] = {}
        self.num_updates = 0
        self.exploration = 0.0

    @property
    def num_rounds(self) -> int:
        """As asked for."""
        return self.rounds

    def check(self, feeds: Mapping[str, Sequence[str]]) -> None:
        """Nothing names a feed."""

    def warning(self, sizes: Mapping[str, int]) -> str | None:
        """Nothing."""
        return None

    def shares(self, sizes: Mapping[str, int], at: Progress) -> dict[str, float]:
        """Uniform at first, then as learned."""
        return dict(self.probabilities) or dict.fromkeys(sizes, 1 / len(sizes))

    def learn(self, drawn: Drawn) -> None:
        """R_k += share_k (L_k / 10) / p_k; p = (1 - K e_t) softmax(e_(t-1) R) + e_t.

        e_t = min(1 / K, sqrt(ln K / (K t))) at update t; share_k: that of the examples of the
        round, 1 where a round draws from one feed alone, as in the source.
        """
        if not any(drawn.counts.values()):
            return
        names, num = list(drawn.counts), len(drawn.counts)
        before = self.probabilities or dict.fromkeys(names, 1 / num)
        for name, share in in_proportion(drawn.counts).items():
            reward = drawn.losses.get(name, 0.0) / _SCALE
            self.rewards[name] = self.rewards.get(name, 0.0) + share * reward / before[name]
        self.num_updates += 1
        epsilon = min(1 / num, math.sqrt(math.log(num) / (num * self.num_updates)))
        scores = self.exploration * np.array([self.rewards[name] for name in names])
        chances = np.exp(scores - scores.max())
        chances /= chances.sum()
        self.probabilities = {
            name: (1 - num * epsilon) * float(chance) + epsilon
            for name, chance in zip(names, chances, strict=True)
        }
        self.exploration = epsilon

    def judge(self, headlines: Mapping[str, Mapping[str, float]]) -> None:
        """Nothing."""

    def state_dict(self) -> dict[str, object]:
        """Rewards and shares by feed, updates so far and their last exploration."""
        return {
            "rewards": dict(self.rewards),
            "probabilities": dict(self.probabilities),
            "num_updates": self.num_updates,
            "exploration": self.exploration,
        }

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Takes back what was learned."""
        self.rewards = dict(cast(Mapping[str, float], state["rewards"]))
        self.probabilities = dict(cast(Mapping[str, float], state["probabilities"]))
        self.num_updates = cast(int, state["num_updates"])
        self.exploration = cast(float, state["exploration"])

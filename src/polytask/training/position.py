"""Where a run stands: all that changes from step to step beside weights."""

import math
from dataclasses import dataclass, field


@dataclass(slots=True)
class Position:
    """Plain values, so that a checkpoint can hold them.

    `index` counts the steps done in `round` of `epoch`; num_steps: those that the run is expected
    to have in all. counts: the examples that the round draws by feed; seen: those of all rounds
    before; losses: by feed their sum and number in this round. best: the best selection.
    """

    epoch: int = 0
    round: int = 0
    index: int = 0
    step: int = 0
    num_steps: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    seen: dict[str, int] = field(default_factory=dict)
    losses: dict[str, tuple[float, int]] = field(default_factory=dict)
    best: float = -math.inf
    best_step: int = 0
    num_worse: int = 0
    num_skipped: int = 0

"""`kind: gap`: more of what the joint model does worse than a model of its own."""

from collections.abc import Mapping, Sequence
from typing import Annotated, cast

from pydantic import Field

from polytask.errors import ConfigError, did_you_mean
from polytask.mixing.mixer import Drawn, Mixer, Progress, in_proportion


class Gap(Mixer):
    """In proportion to how far each task is behind its single-task model on dev.

    `single` gives the headline metric of the single-task models, 0 to 1, by task. A feed has the
    largest gap of its tasks; the share `floor` goes to all in proportion to their sizes, and so
    does everything before the first scores and where no task is behind. Source: Gottumukkala et
    al., "Dynamic Sampling Strategies for Multi-Task Reading Comprehension" (ACL 2020).
    """

    def __init__(
        self,
        *,
        single: dict[str, float],
        floor: Annotated[float, Field(ge=0, le=1)] = 0.2,
    ) -> None:
        if not single:
            raise ConfigError("`single:` gives the score of one task or more")
        self.single = single
        self.floor = floor
        self.gaps: dict[str, float] = {}

    @property
    def num_rounds(self) -> int:
        """One: dev is scored after each epoch."""
        return 1

    def check(self, feeds: Mapping[str, Sequence[str]]) -> None:
        """Raises ConfigError if a score is that of a task that does not exist."""
        tasks = [task for names in feeds.values() for task in names]
        for name in self.single:
            if name not in tasks:
                raise ConfigError(f"single: no task '{name}'. {did_you_mean(name, tasks)}")

    def warning(self, sizes: Mapping[str, int]) -> str | None:
        """Nothing."""
        return None

    def shares(self, sizes: Mapping[str, int], at: Progress) -> dict[str, float]:
        """(1 - floor) gap_k / sum of gaps + floor n_k / sum of n."""
        plain = in_proportion(sizes)
        if not any(self.gaps.values()):
            return plain
        gaps = in_proportion({name: self.gaps.get(name, 0.0) for name in sizes})
        return {name: (1 - self.floor) * gaps[name] + self.floor * plain[name] for name in sizes}

    def learn(self, drawn: Drawn) -> None:
        """Nothing."""

    def judge(self, headlines: Mapping[str, Mapping[str, float]]) -> None:
        """Takes the gap of each feed: of its tasks the largest, 0 if none is behind."""
        for feed, scores in headlines.items():
            gaps = [self.single[task] - s for task, s in scores.items() if task in self.single]
            self.gaps[feed] = max([gap for gap in gaps if gap > 0], default=0.0)

    def state_dict(self) -> dict[str, object]:
        """The gaps."""
        return dict(self.gaps)

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Takes back the gaps."""
        self.gaps = dict(cast(Mapping[str, float], state))

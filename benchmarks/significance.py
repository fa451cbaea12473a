"""How often the verdict of a comparison is wrong, and how small a difference it sees.

Pairs of sides with nothing between them: rows have a difficulty that both sides share and one of
their own to each side, seeds shift a whole model. The spread between seeds is a fifth of the
standard error that rows give a score, equal to it, or five times as large. Once more, rows come
five to a text, and those of one text are alike. Printed beside: a plain hierarchical bootstrap,
which draws seeds of each side and rows again. Then the power: how often a true difference is seen.

    python benchmarks/significance.py
"""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from _common import Target, print_closing_line

from polytask.studies.significance import ALPHA, Sample, difference, in_parts

SPREADS: Mapping[str, float] = {"small": 0.2, "equal": 1.0, "large": 5.0}
SEEDS = (3, 5, 10)
ROWS = 700
CENTRE, SHARED, OWN = 2.2, 1.6, 0.6
"""Log odds of a right answer: their mean, and how they differ by row, and by row and side."""
RESAMPLES = 400
LARGEST = 0.065
GAINS = (0.005, 0.01, 0.02, 0.03, 0.05)


@dataclass(frozen=True, slots=True)
class World:
    """What pairs are drawn from; spread: of seeds, in log odds; rows_a_text: that are alike."""

    seeds: int
    spread: float
    rows_a_text: int = 1

    def pair(self, draw: np.random.Generator, shift: float) -> list[np.ndarray]:
        """Right answers of both sides: (seeds, rows) each; the first side is better by `shift`."""
        shared = CENTRE + SHARED * self._by_row(draw)
        sides = []
        for better in (shift, 0.0):
            own = OWN * self._by_row(draw)
            seeds = self.spread * draw.standard_normal((self.seeds, 1))
            odds = shared + own + seeds + better
            sides.append((draw.random(odds.shape) < 1 / (1 + np.exp(-odds))).astype(float))
        return sides

    def _by_row(self, draw: np.random.Generator) -> np.ndarray:
        return draw.standard_normal(ROWS // self.rows_a_text).repeat(self.rows_a_text)


def slope() -> float:
    """How much accuracy rises with the log odds of all rows."""
    draw = np.random.default_rng(0)
    odds = CENTRE + np.hypot(SHARED, OWN) * draw.standard_normal(200_000)
    right = 1 / (1 + np.exp(-odds))
    return float((right * (1 - right)).mean())


def spread_of(times: float) -> float:
    """The spread of seeds in log odds that is so many times the standard error of rows."""
    draw = np.random.default_rng(0)
    odds = CENTRE + np.hypot(SHARED, OWN) * draw.standard_normal(200_000)
    right = float((1 / (1 + np.exp(-odds))).mean())
    return float(times * np.sqrt(right * (1 - right) / ROWS) / slope())


def sampled(right: np.ndarray) -> Sample:
    """What the product would see of the accuracy of some models."""
    return Sample.of([in_parts(lambda rows: float(of[rows].mean()), ROWS) for of in right])  # noqa: B023


def is_seen_by_bootstrap(one: np.ndarray, other: np.ndarray, draw: np.random.Generator) -> bool:
    """Whether 0 lies outside of 95 % of the differences of seeds and rows drawn again."""
    rows = draw.multinomial(ROWS, np.full(ROWS, 1 / ROWS), size=RESAMPLES) / ROWS
    found = np.zeros(RESAMPLES)
    for right, sign in ((one, 1), (other, -1)):
        num = len(right)
        seeds = draw.multinomial(num, np.full(num, 1 / num), size=RESAMPLES) / num
        found += sign * ((rows @ right.T) * seeds).sum(1)
    lowest, highest = np.quantile(found, [ALPHA / 2, 1 - ALPHA / 2])
    return not lowest <= 0 <= highest


def rates(world: World, pairs: int, shift: float, *, rival: bool) -> tuple[float, float]:
    """How often a difference is seen, and how often the bootstrap sees one."""
    draw = np.random.default_rng(7)
    seen = rival_seen = 0
    for _ in range(pairs):
        one, other = world.pair(draw, shift)
        seen += difference(sampled(one), sampled(other)).p_value <= ALPHA
        rival_seen += rival and is_seen_by_bootstrap(one, other, draw)
    return seen / pairs, rival_seen / pairs


def main() -> None:
    """Prints both tables and the closing line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=1000)
    options = parser.parse_args()
    figures: dict[str, float] = {}
    print("| seeds | spread of seeds | wrong verdicts | of a hierarchical bootstrap |")
    print("| ---: | --- | ---: | ---: |")
    for seeds in SEEDS:
        for name, times in SPREADS.items():
            world = World(seeds, spread_of(times))
            ours, rival = rates(world, options.pairs, 0.0, rival=True)
            print(f"| {seeds} | {name} | {ours:.1%} | {rival:.1%} |", flush=True)
            figures[f"wrong.{seeds}.{name}"] = ours
            figures[f"bootstrap.{seeds}.{name}"] = rival
    ours, rival = rates(World(5, spread_of(1.0), 5), options.pairs, 0.0, rival=True)
    print(f"| 5 | equal, five rows a text | {ours:.1%} | {rival:.1%} |", flush=True)
    figures |= {"wrong.5.texts": ours, "bootstrap.5.texts": rival}
    print("\n| seeds | spread | " + " | ".join(f"{gain:.1%}" for gain in GAINS) + " |")
    print("| ---: | --- |" + " ---: |" * len(GAINS))
    for seeds in SEEDS:
        for name, times in SPREADS.items():
            world = World(seeds, spread_of(times))
            powers = [
                rates(world, options.pairs // 4, gain / slope(), rival=False)[0] for gain in GAINS
            ]
            shown = " | ".join(f"{power:.0%}" for power in powers)
            print(f"| {seeds} | {name} | {shown} |", flush=True)
            figures |= {
                f"power.{seeds}.{name}.{gain}": power
                for gain, power in zip(GAINS, powers, strict=True)
            }
    wrong = [name for name in figures if name.startswith("wrong.")]
    print_closing_line(figures, {name: Target("<=", LARGEST) for name in wrong})


if __name__ == "__main__":
    main()

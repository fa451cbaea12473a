"""What comes of comparing tasks together and alone: figures, verdicts, tables."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from rich import box
from rich.markup import escape
from rich.table import Table

from polytask.studies.costs import Cost
from polytask.studies.significance import Difference, Verdict, mean_gain, verdicts
from polytask.training.journal import finite

HEADS = ("task", "metric", "floor", "alone", "together", "difference (95 %)", "verdict")
COST_HEADS = ("", "parameters", "megabytes", "ms for a text of each set", "seconds of training")
EFFORT_HEADS = ("model", "epochs", "steps", "examples", "tokens", "seconds of training")


@dataclass(frozen=True, slots=True)
class Effort:
    """What one model took, the mean over seeds: steps, examples and tokens of texts, seconds."""

    steps: float
    examples: float
    tokens: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Row:
    """One task. chosen: the epochs of the models of its own; effort: that of one of them.

    floors: the scores of simple models, by name.
    """

    metric: str
    floors: Mapping[str, float]
    alone: float
    together: float
    difference: Difference
    chosen: str
    effort: Effort


@dataclass(frozen=True, slots=True)
class Comparison:
    """The tasks of an experiment, in its order; effort: that of the joint model.

    costs: of all tasks, by whether they are in one model (`together`) or in models of their own.
    margin: the difference below which two scores are as good as equal, in units of the metric.
    """

    rows: Mapping[str, Row]
    effort: Effort
    costs: Mapping[str, Cost]
    seeds: int
    margin: float

    @property
    def verdicts(self) -> Mapping[str, Verdict]:
        """By task, with Holm's correction for their number."""
        return verdicts({name: row.difference for name, row in self.rows.items()}, self.margin)

    @property
    def mean_gain(self) -> float:
        """The mean over tasks of (together - alone) / alone; above 0 sharing helps."""
        return mean_gain([(row.together, row.alone) for row in self.rows.values()])

    def summary(self) -> list[str]:
        """What was found, in sentences."""
        found = self.verdicts
        counts = [
            f"{word} {sum(one == word for one in found.values())}"
            for word in ("helped", "hurt", "equivalent", "no evidence")
        ]
        worst = min(self.rows, key=lambda name: self.rows[name].difference.mean)
        lowest = self.rows[worst].difference.mean
        lines = [
            f"Of {len(found)} tasks: {', '.join(counts)} (equivalent: within {self.margin:g}).",
            f"Mean relative gain of sharing {self.mean_gain:+.2%}; worst task {worst} "
            f"({lowest:+.4f}).",
        ]
        for name, row in self.rows.items():
            lines += [
                f"{name}: {floor} reaches {score:.4f} without training an encoder."
                for floor, score in row.floors.items()
                if score >= min(row.together, row.alone)
            ]
        if self.seeds == 1:
            return [*lines, "One seed shows nothing of how seeds differ, so there is no verdict."]
        unseen = [
            f"{name} {row.difference.detectable:.4f}"
            for name, row in self.rows.items()
            if found[name] == "no evidence"
        ]
        if unseen:
            lines.append(
                f"With {self.seeds} seeds and these test sets, differences smaller than these "
                f"would mostly not be seen: {', '.join(unseen)}."
            )
        return lines

    def table(self) -> Table:
        """A row for each task, for a terminal."""
        return _table(f"Together and alone, {self.seeds} seeds, test", HEADS, self._rows(), 2)

    def effort_table(self) -> Table:
        """What each model took, for a terminal."""
        return _table("What one model took", EFFORT_HEADS, self._effort_rows(), 2)

    def cost_table(self) -> Table:
        """One model for all tasks beside a model for each, for a terminal."""
        return _table("What all tasks cost", COST_HEADS, self._cost_rows(), 1)

    def markdown(self) -> str:
        """All of it, for a file."""
        parts = [
            _markdown(HEADS, self._rows(), 2),
            "\n".join(self.summary()),
            _markdown(EFFORT_HEADS, self._effort_rows(), 2),
            _markdown(COST_HEADS, self._cost_rows(), 1),
        ]
        return "\n\n".join(parts) + "\n"

    def as_json(self) -> str:
        """The same numbers for programs."""
        found = self.verdicts
        tasks = {
            name: asdict(row)
            | {
                "difference": row.difference.mean,
                "interval": row.difference.interval(),
                "p_value": row.difference.p_value,
                "detectable": row.difference.detectable,
                "verdict": found[name],
            }
            for name, row in self.rows.items()
        }
        whole = {
            "seeds": self.seeds,
            "margin": self.margin,
            "mean_gain": self.mean_gain,
            "together": asdict(self.effort),
            "costs": {side: asdict(cost) for side, cost in self.costs.items()},
            "tasks": tasks,
        }
        return json.dumps(finite(whole), indent=2, ensure_ascii=False)

    def _rows(self) -> list[list[str]]:
        found = self.verdicts
        rows = []
        for name, row in self.rows.items():
            lowest, highest = row.difference.interval()
            known = not math.isnan(lowest)
            margin = f" ± {(highest - lowest) / 2:.4f}" if known else ""
            word = f"within {self.margin:g}" if found[name] == "equivalent" else found[name]
            floor = f"{max(row.floors.values()):.4f}" if row.floors else ""
            scores = [floor, f"{row.alone:.4f}", f"{row.together:.4f}"]
            less = f"{row.difference.mean:+.4f}{margin}"
            rows.append([name, row.metric, *scores, less, word if known else ""])
        return rows

    def _effort_rows(self) -> list[list[str]]:
        sides = [("together", "", self.effort)]
        sides += [(f"{name} alone", row.chosen, row.effort) for name, row in self.rows.items()]
        return [
            [name, epochs, *(f"{number:,.0f}" for number in asdict(effort).values())]
            for name, epochs, effort in sides
        ]

    def _cost_rows(self) -> list[list[str]]:
        alone = sum(row.effort.seconds for row in self.rows.values())
        seconds = {"together": self.effort.seconds, "alone": alone}
        names = {"together": "one model", "alone": f"{len(self.rows)} models"}
        return [
            [
                names[side],
                f"{cost.parameters:,}",
                f"{cost.megabytes:.1f}",
                f"{cost.milliseconds:.1f}",
                f"{seconds[side]:,.0f}",
            ]
            for side, cost in self.costs.items()
        ]


def _table(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]], words: int) -> Table:
    table = Table(title=title, box=box.SIMPLE, title_justify="left")
    for place, name in enumerate(heads):
        table.add_column(name, justify="left" if place < words else "right", no_wrap=not place)
    for row in rows:
        table.add_row(*map(escape, row))
    return table


def _markdown(heads: Sequence[str], rows: Sequence[Sequence[str]], words: int) -> str:
    rule = ["---"] * words + ["---:"] * (len(heads) - words)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (heads, rule, *rows))

"""What comes of comparing tasks together and alone: figures, verdicts, tables."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field

from rich import box
from rich.console import Console, JustifyMethod
from rich.markup import escape
from rich.table import Table

from polytask.studies.costs import Cost
from polytask.studies.significance import Difference, Verdict, mean_gain, verdicts
from polytask.training.journal import finite

HEADS = ("task", "metric", "floor", "alone", "together", "difference (95 %)", "verdict")
COST_HEADS = ("", "parameters", "MB", "ms a text", "training s")
EFFORT_HEADS = ("model", "epochs", "steps", "examples", "tokens", "training s")


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
class Way:
    """Another way of sharing: the trial that dev chose, scores, differences from alone by task."""

    chosen: str
    scores: Mapping[str, float]
    differences: Mapping[str, Difference]


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
    ways: Mapping[str, Way] = field(default_factory=dict)

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
            f"{name} {row.difference.detectable(len(found)):.4f}"
            for name, row in self.rows.items()
            if found[name] == "no evidence"
        ]
        if unseen:
            lines.append(
                f"With {self.seeds} seeds and these test sets, differences of this size would be "
                f"seen four times in five, smaller ones less often: {', '.join(unseen)}."
            )
        return lines

    def show(self, console: Console) -> None:
        """Tables and sentences, for a terminal."""
        for title, heads, rows, num_words in self._tables():
            table = Table(title=title, box=box.SIMPLE, title_justify="left", pad_edge=False)
            for place, name in enumerate(heads):
                is_word = place < num_words
                justify: JustifyMethod = "left" if is_word else "right"
                table.add_column(name, justify=justify, no_wrap=not is_word, overflow="fold")
            for row in rows:
                table.add_row(*map(escape, row))
            console.print(table)
        for sentence in self.summary():
            console.print(sentence, soft_wrap=True, markup=False, highlight=False)

    def markdown(self) -> str:
        """The same for a file."""
        parts = ["\n\n".join(self.summary())]
        for title, heads, rows, num_words in self._tables():
            rule = ["---"] * num_words + ["---:"] * (len(heads) - num_words)
            lines = [f"| {' | '.join(cells)} |" for cells in (heads, rule, *rows)]
            parts.append(f"## {title}\n\n" + "\n".join(lines))
        return "\n\n".join(parts) + "\n"

    def _tables(self) -> Iterator[tuple[str, Sequence[str], Sequence[Sequence[str]], int]]:
        """Title, heads, rows, and how many columns are words."""
        yield f"Together and alone, {self.seeds} seeds, test", HEADS, self._rows(), 2
        if self.ways:
            heads = ("way", "mean gain", "helped", "hurt", *self.rows)
            yield "Ways of sharing, against alone", heads, self._ways_rows(), 1
        yield "What one model took", EFFORT_HEADS, self._effort_rows(), 2
        yield "What all tasks cost", COST_HEADS, self._cost_rows(), 1

    def as_json(self) -> str:
        """The same numbers for programs."""
        found = self.verdicts
        tasks = {
            name: asdict(row)
            | {
                "difference": row.difference.mean,
                "interval": row.difference.interval(),
                "p_value": row.difference.p_value,
                "detectable": row.difference.detectable(len(found)),
                "verdict": found[name],
            }
            for name, row in self.rows.items()
        }
        whole = {
            "seeds": self.seeds,
            "margin": self.margin,
            "mean_gain": self.mean_gain,
            "together": asdict(self.effort),
            "ways": {name: asdict(way) for name, way in self.ways.items()},
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

    def _ways_rows(self) -> list[list[str]]:
        together = Way(
            "",
            {name: row.together for name, row in self.rows.items()},
            {name: row.difference for name, row in self.rows.items()},
        )
        rows = []
        for name, way in {"together": together, **self.ways}.items():
            found = list(verdicts(way.differences, self.margin).values())
            pairs = [(way.scores[task], row.alone) for task, row in self.rows.items()]
            shown = f"{name} ({way.chosen})" if way.chosen and way.chosen not in name else name
            counts = [str(found.count(word)) for word in ("helped", "hurt")]
            scores = [f"{way.scores[task]:.4f}" for task in self.rows]
            rows.append([shown, f"{mean_gain(pairs):+.2%}", *counts, *scores])
        return rows

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

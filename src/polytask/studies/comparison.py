"""What comes of comparing tasks together and alone: figures, verdicts, tables."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from rich.console import Console

from polytask.studies.costs import Cost
from polytask.studies.language import ENGLISH, Language
from polytask.studies.listed import Listed
from polytask.studies.origin import UNKNOWN, Origin
from polytask.studies.significance import Difference, Verdict, mean_gain, verdicts
from polytask.training.journal import finite

FILE = "compare.json"
"""Of a comparison, in its folder."""


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

    floors: the scores of simple models, by name. runs: the folders of the models of its own that
    were compared, below that of the comparison. feed: its data, as the journal of the joint model
    names it.
    """

    metric: str
    floors: Mapping[str, float]
    alone: float
    together: float
    difference: Difference
    chosen: str
    effort: Effort
    runs: Sequence[str] = ()
    feed: str = ""


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
    runs: the folders of the joint models, below that of the comparison.
    """

    rows: Mapping[str, Row]
    effort: Effort
    costs: Mapping[str, Cost]
    seeds: int
    margin: float
    ways: Mapping[str, Way] = field(default_factory=dict)
    runs: Sequence[str] = ()
    origin: Origin = UNKNOWN

    @property
    def verdicts(self) -> Mapping[str, Verdict]:
        """By task, with Holm's correction for their number."""
        return verdicts({name: row.difference for name, row in self.rows.items()}, self.margin)

    @property
    def mean_gain(self) -> float:
        """The mean over tasks of (together - alone) / alone; above 0 sharing helps."""
        return mean_gain([(row.together, row.alone) for row in self.rows.values()])

    def summary(self, say: Language = ENGLISH) -> list[str]:
        """What was found, in sentences."""
        lines = [*self._counted(say), *self._costs_told(say), *self._floors_told(say)]
        if self.seeds == 1:
            one = say("One seed shows nothing of how seeds differ, so there is no verdict.")
            return [*lines, one]
        found = self.verdicts
        unseen = [
            f"{name} {row.difference.detectable(len(found)):.4f}"
            for name, row in self.rows.items()
            if found[name] == "no evidence"
        ]
        if unseen:
            told = say(
                "With {seeds} seeds and these test sets, differences of this size would be "
                "seen four times in five, smaller ones less often: {differences}.",
                seeds=self.seeds,
                differences=", ".join(unseen),
            )
            lines.append(told)
        return lines

    def show(self, console: Console) -> None:
        """Tables and sentences, for a terminal."""
        for listed in self.tables(ENGLISH):
            console.print(listed.table())
        for sentence in self.summary():
            console.print(sentence, soft_wrap=True, markup=False, highlight=False)

    def tables(self, say: Language) -> list[Listed]:
        """Scores, other ways of sharing if any, effort, costs."""
        title = say("Together and alone, {seeds} seeds, test", seeds=self.seeds)
        heads = say.each("task", "metric", "floor", "alone", "together", "difference (95 %)")
        found = [Listed(title, [*heads, say("verdict")], self._rows(say), 2)]
        if self.ways:
            heads = [*say.each("way", "mean gain", "helped", "hurt"), *self.rows]
            found.append(Listed(say("Ways of sharing, against alone"), heads, self._ways_rows(say)))
        effort = say.each("model", "epochs", "steps", "examples", "tokens", "training s")
        cost = ["", *say.each("parameters", "MB", "ms a text", "training s")]
        return [
            *found,
            Listed(say("What one model took"), effort, self._effort_rows(say), 2),
            Listed(say("What all tasks cost"), cost, self._cost_rows(say)),
        ]

    def as_json(self) -> str:
        """The same numbers for programs."""
        found = self.verdicts
        tasks = {
            name: asdict(row)
            | {
                "difference": row.difference.mean,
                "error": row.difference.error,
                "freedom": row.difference.freedom,
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
            "runs": self.runs,
            "origin": asdict(self.origin),
            "together": asdict(self.effort),
            "ways": {name: asdict(way) for name, way in self.ways.items()},
            "costs": {side: asdict(cost) for side, cost in self.costs.items()},
            "tasks": tasks,
        }
        return json.dumps(finite(whole), indent=2, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> "Comparison":
        """What `as_json` gave. Raises ValueError, KeyError or TypeError for anything else."""
        held = json.loads(text)
        ways = {
            name: Way(
                way["chosen"],
                way["scores"],
                {task: Difference.of(one) for task, one in way["differences"].items()},
            )
            for name, way in held["ways"].items()
        }
        return cls(
            {name: _row(one) for name, one in held["tasks"].items()},
            Effort(**held["together"]),
            {side: Cost(**one) for side, one in held["costs"].items()},
            held["seeds"],
            held["margin"],
            ways,
            held["runs"],
            Origin(**held["origin"]),
        )

    def _counted(self, say: Language) -> list[str]:
        found = list(self.verdicts.values())
        worst = min(self.rows, key=lambda name: self.rows[name].difference.mean)
        return [
            say(
                "Of {num} tasks: helped {helped}, hurt {hurt}, equivalent {equivalent}, no "
                "evidence {unknown} (equivalent: within {margin:g}).",
                num=len(found),
                helped=found.count("helped"),
                hurt=found.count("hurt"),
                equivalent=found.count("equivalent"),
                unknown=found.count("no evidence"),
                margin=self.margin,
            ),
            say(
                "Mean relative gain of sharing {gain}; worst task {worst} ({lowest:+.4f}).",
                gain="n/a" if math.isnan(self.mean_gain) else f"{self.mean_gain:+.2%}",
                worst=worst,
                lowest=self.rows[worst].difference.mean,
            ),
        ]

    def _costs_told(self, say: Language) -> list[str]:
        one, own = self.costs["together"], self.costs["alone"]
        return [
            say(
                "One model has {parameters:.0%} of the parameters of {num} and answers in "
                "{time:.0%} of their time.",
                parameters=one.parameters / own.parameters,
                num=len(self.rows),
                time=one.milliseconds / own.milliseconds,
            )
        ]

    def _floors_told(self, say: Language) -> list[str]:
        return [
            say(
                "{task}: {floor} reaches {score:.4f} without training an encoder.",
                task=name,
                floor=floor,
                score=score,
            )
            for name, row in self.rows.items()
            for floor, score in row.floors.items()
            if score >= min(row.together, row.alone)
        ]

    def _rows(self, say: Language) -> list[list[str]]:
        found = self.verdicts
        words = {
            "helped": say("helped"),
            "hurt": say("hurt"),
            "equivalent": say("within {margin:g}", margin=self.margin),
            "no evidence": say("no evidence"),
        }
        rows = []
        for name, row in self.rows.items():
            floor = f"{max(row.floors.values()):.4f}" if row.floors else ""
            scores = [floor, f"{row.alone:.4f}", f"{row.together:.4f}", str(row.difference)]
            verdict = "" if math.isnan(row.difference.error) else words[found[name]]
            rows.append([name, row.metric, *scores, verdict])
        return rows

    def _effort_rows(self, say: Language) -> list[list[str]]:
        sides = [("", "", self.effort)]
        sides += [(name, row.chosen, row.effort) for name, row in self.rows.items()]
        return [
            [
                say("{task} alone", task=name) if name else say("together"),
                epochs,
                *(f"{number:,.0f}" for number in asdict(effort).values()),
            ]
            for name, epochs, effort in sides
        ]

    def _ways_rows(self, say: Language) -> list[list[str]]:
        together = Way(
            "",
            {name: row.together for name, row in self.rows.items()},
            {name: row.difference for name, row in self.rows.items()},
        )
        rows = []
        for name, way in {say("together"): together, **self.ways}.items():
            found = list(verdicts(way.differences, self.margin).values())
            pairs = [(way.scores[task], row.alone) for task, row in self.rows.items()]
            shown = f"{name} ({way.chosen})" if way.chosen and way.chosen not in name else name
            counts = [str(found.count(word)) for word in ("helped", "hurt")]
            scores = [f"{way.scores[task]:.4f}" for task in self.rows]
            rows.append([shown, f"{mean_gain(pairs):+.2%}", *counts, *scores])
        return rows

    def _cost_rows(self, say: Language) -> list[list[str]]:
        alone = sum(row.effort.seconds for row in self.rows.values())
        seconds = {"together": self.effort.seconds, "alone": alone}
        names = {"together": say("one model"), "alone": say("{num} models", num=len(self.rows))}
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


def _row(held: Mapping[str, Any]) -> Row:
    plain = {
        key: held[key]
        for key in ("metric", "floors", "alone", "together", "chosen", "runs", "feed")
    }
    difference = Difference.of({**held, "mean": held["difference"]})
    return Row(**plain, difference=difference, effort=Effort(**held["effort"]))

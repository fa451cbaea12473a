"""Which tasks help each other, seen while they are trained together."""

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from pathlib import Path
from statistics import fmean

from rich.console import Console

from polytask.build import read_experiment
from polytask.errors import ConfigError, RunError
from polytask.studies.language import ENGLISH, Language
from polytask.studies.linearised import Pairs, linearised
from polytask.studies.listed import Listed
from polytask.studies.origin import UNKNOWN, Origin, origin
from polytask.studies.runs import Planned, train_once
from polytask.studies.sweep import Estimate, estimated
from polytask.training.checkpoint import write_synced, writing
from polytask.training.folder import RunFolder
from polytask.training.journal import Event, finite, read_journal

FILE = "affinity.json"
"""Of an affinity, in its folder."""

_STRETCHES = 10
"""Neighbouring looks are alike, so intervals come from the means of so many stretches of them."""


@dataclass(frozen=True, slots=True)
class Affinity:
    """How tasks act on each other: means over a run, with intervals of 95 %.

    cosines: of gradients on the encoder, the same for both orders. ahead: by how much of itself the
    loss of the second falls in a step on the first alone, the first being the second too. linear:
    the same when the first is fitted beside it at the end. share: of the time of training that the
    looks took.
    """

    tasks: Sequence[str]
    cosines: Pairs
    ahead: Pairs
    linear: Pairs
    num_looks: int
    share: float
    origin: Origin = UNKNOWN

    def tables(self, say: Language = ENGLISH) -> list[Listed]:
        """Rows and columns are tasks."""

        def row(one: str, pairs: Pairs) -> list[str]:
            return [one, *(_cell(pairs.get((one, other))) for other in self.tasks)]

        return [
            Listed(title, ["", *self.tasks], [row(one, pairs) for one in self.tasks])
            for title, pairs in self.named(say)
        ]

    def as_json(self) -> str:
        """All figures."""
        named = {"cosines": self.cosines, "ahead": self.ahead, "linear": self.linear}
        plain = {
            name: [
                {"from": one, "to": other, "mean": found.mean, "margin": found.margin}
                for (one, other), found in pairs.items()
            ]
            for name, pairs in named.items()
        }
        whole = {"tasks": self.tasks, "looks": self.num_looks, "share": self.share, **plain}
        whole["origin"] = asdict(self.origin)
        return json.dumps(finite(whole), ensure_ascii=False, indent=2)

    @classmethod
    def from_json(cls, text: str) -> "Affinity":
        """What `as_json` gave. Raises ValueError, KeyError or TypeError for anything else."""
        held = json.loads(text)
        cosines, ahead, linear = (
            {(one["from"], one["to"]): Estimate.of(one) for one in held[name]}
            for name in ("cosines", "ahead", "linear")
        )
        origin = Origin(**held["origin"])
        return cls(held["tasks"], cosines, ahead, linear, held["looks"], held["share"], origin)

    def named(self, say: Language) -> list[tuple[str, Pairs]]:
        """By title; but for cosines in per cent."""
        ahead, linear = (
            {pair: Estimate(100 * one.mean, 100 * one.margin) for pair, one in pairs.items()}
            for pairs in (self.ahead, self.linear)
        )
        return [
            (say("Cosines of gradients"), self.cosines),
            (
                say("Per cent of its loss that a task (column) loses by a step on another (row)"),
                ahead,
            ),
            (
                say("Per cent of its loss that a task (column) loses if another (row) is fitted"),
                linear,
            ),
        ]


def run_affinity(
    path: Path, out: Path, *, every: int, overrides: Sequence[str], console: Console
) -> Affinity:
    """Trains an experiment once, looking at its tasks every so many steps; goes on if begun.

    Raises PolytaskError, for an experiment of one task and for a run too short for two looks too.
    """
    options = [*overrides, f"train.look_every={every}", "train.look_ahead=true"]
    if len(read_experiment(path, options).tasks) < 2:
        raise ConfigError("tasks: there is one alone, so nothing acts on another")
    train_once(Planned(path.stem, path, out / "run", options), console)
    made = origin("affinity", path, {"every": every, "out": out}, overrides)
    found = replace(affinity_of(RunFolder(out / "run")), origin=made)
    with writing(out):
        write_synced(out / FILE, found.as_json())
    return found


def affinity_of(run: RunFolder) -> Affinity:
    """Of a run with `look_ahead`: read off its journal, and fitted near its best model.

    Raises RunError.
    """
    events = read_journal(run)
    looks = [event["look"] for event in events if "look" in event and "ahead" in event["look"]]
    if len(looks) < 2:
        raise RunError(f"{run.path}: the journal holds {len(looks)} looks ahead, but 2 are needed")
    tasks = sorted({task for look in looks for task in look["norms"]})
    ahead: dict[tuple[str, str], list[float]] = {}
    for look in looks:
        for one, steps in look["ahead"].items():
            for other, step in steps.items():
                if step is not None:
                    ahead.setdefault((one, other), []).append(step)
    seconds = math.fsum(event["seconds"] for event in events if event["event"] == "step")
    looking = math.fsum(event.get("look_seconds", 0.0) for event in events)
    return Affinity(
        tasks,
        {pair: _over_stretches(values) for pair, values in cosines_of(looks).items()},
        {pair: _over_stretches(values) for pair, values in ahead.items()},
        linearised(run),
        len(looks),
        looking / (seconds + looking),
    )


def cosines_of(looks: Iterable[Event]) -> dict[tuple[str, str], list[float]]:
    """By pair of tasks, in both orders, what the looks of a journal saw."""
    found: dict[tuple[str, str], list[float]] = {}
    for look in looks:
        for one, other in combinations(look["norms"], 2):
            for pair in ((one, other), (other, one)):
                value = look["cosines"].get(" ".join(pair))
                if value is not None:
                    found.setdefault((one, other), []).append(value)
                    found.setdefault((other, one), []).append(value)
    return found


def _over_stretches(values: Sequence[float]) -> Estimate:
    size = max(-(-len(values) // _STRETCHES), 1)
    stretches = [values[start : start + size] for start in range(0, len(values), size)]
    return Estimate(fmean(values), estimated([fmean(some) for some in stretches]).margin)


def _cell(found: Estimate | None) -> str:
    return "" if found is None else found.shown("+.3f")

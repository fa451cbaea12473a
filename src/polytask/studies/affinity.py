"""Which tasks help each other, seen while they are trained together."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from polytask.build import read_experiment
from polytask.errors import ConfigError, RunError
from polytask.studies.runs import Planned, train_once
from polytask.studies.sweep import Estimate, estimated
from polytask.training.checkpoint import write_synced, writing
from polytask.training.folder import RunFolder
from polytask.training.journal import finite, read_journal

_STRETCHES = 10
"""Neighbouring looks are alike, so intervals come from the means of so many stretches of them."""

Pairs = Mapping[tuple[str, str], Estimate]
"""By pair of tasks; of look-ahead first the one that steps."""


@dataclass(frozen=True, slots=True)
class Affinity:
    """How tasks act on each other: means over a run, with intervals of 95 %.

    cosines: of gradients on the encoder, the same for both orders. ahead: by how much of itself the
    loss of the second falls in a step on the first alone, the first being the second too. share:
    of the time of training that the looks took.
    """

    tasks: Sequence[str]
    cosines: Pairs
    ahead: Pairs
    num_looks: int
    share: float

    def tables(self) -> list[Table]:
        """For a terminal."""
        return [_table(title, self.tasks, pairs) for title, pairs in self._named()]

    def markdown(self) -> str:
        """The same for a file."""
        parts = [f"{self.num_looks} looks took {self.share:.1%} of the time of training."]
        for title, pairs in self._named():
            rows = [["", *self.tasks], ["---", *["---:"] * len(self.tasks)]]
            rows += [[one, *_cells(one, self.tasks, pairs)] for one in self.tasks]
            lines = "\n".join(f"| {' | '.join(cells)} |" for cells in rows)
            parts.append(f"## {title}\n\n{lines}")
        return "\n\n".join(parts) + "\n"

    def as_json(self) -> str:
        """All figures."""
        named = {"cosines": self.cosines, "ahead": self.ahead}
        plain = {
            name: [
                {"from": one, "to": other, "mean": found.mean, "margin": found.margin}
                for (one, other), found in pairs.items()
            ]
            for name, pairs in named.items()
        }
        whole = {"tasks": self.tasks, "looks": self.num_looks, "share": self.share, **plain}
        return json.dumps(finite(whole), ensure_ascii=False, indent=2)

    def _named(self) -> list[tuple[str, Pairs]]:
        ahead = {
            pair: Estimate(100 * one.mean, 100 * one.margin) for pair, one in self.ahead.items()
        }
        return [
            ("Cosines of gradients", self.cosines),
            ("Per cent of its loss that a task (column) loses by a step on another (row)", ahead),
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
    found = affinity_of(RunFolder(out / "run"))
    with writing(out):
        write_synced(out / "affinity.json", found.as_json())
        write_synced(out / "affinity.md", found.markdown())
    return found


def affinity_of(run: RunFolder) -> Affinity:
    """Read off the journal of a run with `look_ahead`. Raises RunError."""
    events = read_journal(run)
    looks = [event["look"] for event in events if "look" in event and "ahead" in event["look"]]
    if len(looks) < 2:
        raise RunError(f"{run.path}: the journal holds {len(looks)} looks ahead, but 2 are needed")
    tasks = sorted({task for look in looks for task in look["norms"]})
    cosines: dict[tuple[str, str], list[float]] = {}
    ahead: dict[tuple[str, str], list[float]] = {}
    for look in looks:
        names = list(look["norms"])
        for one in names:
            for other in names:
                value = look["cosines"].get(f"{one} {other}")
                if value is not None:
                    cosines.setdefault((one, other), []).append(value)
                    cosines.setdefault((other, one), []).append(value)
                step = look["ahead"].get(one, {}).get(other)
                if step is not None:
                    ahead.setdefault((one, other), []).append(step)
    seconds = math.fsum(event["seconds"] for event in events if event["event"] == "step")
    looking = math.fsum(event.get("look_seconds", 0.0) for event in events)
    return Affinity(
        tasks,
        {pair: _over_stretches(values) for pair, values in cosines.items()},
        {pair: _over_stretches(values) for pair, values in ahead.items()},
        len(looks),
        looking / (seconds + looking),
    )


def _over_stretches(values: Sequence[float]) -> Estimate:
    size = max(-(-len(values) // _STRETCHES), 1)
    stretches = [values[start : start + size] for start in range(0, len(values), size)]
    return Estimate(fmean(values), estimated([fmean(some) for some in stretches]).margin)


def _table(title: str, tasks: Sequence[str], pairs: Pairs) -> Table:
    table = Table(title=escape(title), box=box.SIMPLE, title_justify="left")
    table.add_column("")
    for task in tasks:
        table.add_column(escape(task), justify="right")
    for one in tasks:
        table.add_row(escape(one), *_cells(one, tasks, pairs))
    return table


def _cells(one: str, tasks: Sequence[str], pairs: Pairs) -> list[str]:
    found = [pairs.get((one, other)) for other in tasks]
    return ["" if cell is None else f"{cell.mean:+.3f} ± {cell.margin:.3f}" for cell in found]

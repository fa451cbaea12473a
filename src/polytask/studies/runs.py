"""The runs of a study: what is finished is used again, what was interrupted goes on."""

import io
import os
import shutil
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import cast

import torch
from rich.console import Console
from rich.markup import escape

from polytask.build import EXPERIMENT_FILE, Experiment, data_lines, load_data, read_experiment
from polytask.data.tables import default_cache
from polytask.errors import Interrupted, RunError
from polytask.training.checkpoint import writing
from polytask.training.folder import RunFolder
from polytask.training.precision import settle_device
from polytask.training.results import read_metrics
from polytask.training.run import train_run


@dataclass(frozen=True, slots=True)
class Planned:
    """An experiment file, changed by overrides, to be trained into a folder; name: for people."""

    name: str
    path: Path
    folder: Path
    overrides: Sequence[str]

    @property
    def run(self) -> RunFolder:
        """Where it lies."""
        return RunFolder(self.folder)


def train_once(planned: Planned, console: Console) -> None:
    """Trains, or goes on, unless a finished run of this experiment on this data is there.

    A run whose train or dev data has changed since is made anew. The checkpoints of a finished one,
    six times as large as its model, go. Raises RunError if the folder holds a run of another
    experiment, TrainingError if the run diverges, Interrupted after Ctrl-C.
    """
    experiment = read_experiment(planned.path, planned.overrides)
    settle_device(experiment)
    status = planned.run.status(experiment.plain)
    if status is None and planned.folder.exists() and any(planned.folder.iterdir()):
        raise RunError(f"{planned.folder}: holds a run of another experiment. Use another --out.")
    has_changed = status is not None and not _is_of_this_data(planned.run, experiment)
    if has_changed:
        console.print(f"{planned.folder}: the data has changed since: trained anew", markup=False)
    if has_changed or status != "finished":
        train_run(
            planned.path,
            planned.folder,
            overrides=planned.overrides,
            overwrite=has_changed,
            console=console,
        )
    with writing(planned.folder):
        if planned.run.checkpoints.exists():
            shutil.rmtree(planned.run.checkpoints)


def train_all(planned: Sequence[Planned], *, jobs: int, console: Console) -> None:
    """Trains each once, `jobs` at a time, each with its share of the processors.

    What `train_once` raises ends it when the runs that were begun have ended; none is begun then.
    """
    if jobs == 1:
        for number, one in enumerate(planned, 1):
            console.rule(escape(f"{number} of {len(planned)}: {one.name}"))
            train_once(one, console)
        return
    threads = max((os.cpu_count() or 1) // jobs, 1)
    waiting, number = list(planned), 0
    running: dict[Future[None], Planned] = {}
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        try:
            while waiting or running:
                while waiting and len(running) < jobs:
                    one = waiting.pop(0)
                    running[pool.submit(_train_in_silence, one, threads)] = one
                for done in wait(running, return_when=FIRST_COMPLETED).done:
                    number += 1
                    name = running.pop(done).name
                    done.result()
                    console.print(escape(f"{number} of {len(planned)}: {name}"))
        except KeyboardInterrupt:
            raise Interrupted("Stopped.") from None


def _train_in_silence(planned: Planned, threads: int) -> None:
    torch.set_num_threads(threads)
    train_once(planned, Console(file=io.StringIO()))


def _is_of_this_data(run: RunFolder, experiment: Experiment) -> bool:
    file = run.path / EXPERIMENT_FILE
    before = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    now = data_lines(load_data(experiment, cache=default_cache()))
    return _trained_on(before) == _trained_on(now)


def _trained_on(lines: Sequence[str]) -> list[str]:
    return [line for line in lines if line.startswith("# data ") and ", test: " not in line]


def dev_headlines(run: RunFolder) -> dict[str, float]:
    """The first metric of each task with labels in dev; one without a value counts as 0."""
    found = cast(Mapping[str, Mapping[str, object]], read_metrics(run)["dev"])
    return {name: _headline(entry) for name, entry in found.items() if entry["records"]}


def _headline(entry: Mapping[str, object]) -> float:
    value = next(iter(cast(Mapping[str, float | None], entry["metrics"]).values()))
    return 0.0 if value is None else value

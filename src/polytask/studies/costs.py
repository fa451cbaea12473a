"""What models cost: to keep, to ask, to train."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from statistics import median

from safetensors import safe_open

from polytask.build import Experiment, load_data, open_model, task_records
from polytask.data.feed import LiveRows
from polytask.data.tables import default_cache
from polytask.evaluation.predict import predict
from polytask.model import MultiTaskModel
from polytask.training.precision import choose_device

_ROWS = 128
_ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one model, or of several added up.

    milliseconds: to answer for one text of each data set all tasks that read it, texts in batches.
    """

    parameters: int
    megabytes: float
    milliseconds: float


def costs(sides: Mapping[str, Sequence[Path]], tasks: Sequence[str]) -> dict[str, Cost]:
    """By side, of the models in these folders, asked for these tasks.

    Times are medians of rounds, the sides in turn.
    """
    askers = {side: [_asker(one, tasks) for one in folders] for side, folders in sides.items()}
    seconds: dict[str, list[float]] = {side: [] for side in sides}
    for _ in range(1 + _ROUNDS):
        for side, some in askers.items():
            seconds[side].append(sum(ask() for ask in some))
    return {
        side: Cost(
            sum(map(_num_parameters, folders)),
            sum(map(_num_bytes, folders)) / 1e6,
            1e3 * median(seconds[side][1:]),  # the first round warms up
        )
        for side, folders in sides.items()
    }


def _asker(folder: Path, asked: Sequence[str]) -> Callable[[], float]:
    """What asks a model for tasks; gives the seconds for one text of each data set they read."""
    model, experiment = open_model(folder)
    model.to(choose_device(experiment.train.device))
    feeds = _feeds(model, experiment)

    def ask() -> float:
        total = 0.0
        for name, every in experiment.tasks_by_feed().items():
            tasks = [task for task in every if task.name in asked]
            if not tasks:
                continue
            started = time.perf_counter()
            predict(model, feeds[name], tasks)
            total += (time.perf_counter() - started) / len(feeds[name].lengths)
        return total

    return ask


def _feeds(model: MultiTaskModel, experiment: Experiment) -> dict[str, LiveRows]:
    data = load_data(experiment, cache=default_cache())
    feeds = {}
    for name, tasks in experiment.tasks_by_feed().items():
        records = data[tasks[0].data].test or data[tasks[0].data].dev
        some = list(islice(task_records(tasks[0], records), _ROWS))
        feeds[name] = LiveRows(
            name,
            some,
            tasks[0].head.view,
            tokeniser=model.encoder.tokeniser,
            cleaning=experiment.data[tasks[0].data].clean,
        )
    return feeds


def _num_parameters(folder: Path) -> int:
    num = 0
    for file in folder.glob("*.safetensors"):
        with safe_open(file, "pt") as weights:
            num += sum(math.prod(weights.get_slice(name).get_shape()) for name in weights.keys())  # noqa: SIM118
    return num


def _num_bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())

"""A trained model that answers: texts in, plain dicts out."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeVar, overload

import numpy as np
import torch

from polytask.build import Experiment, open_model
from polytask.data.cleaning import Cleaning
from polytask.data.columns import TEXT, Need
from polytask.data.feed import LiveRows
from polytask.data.views import View, text_view
from polytask.errors import ConfigError, DataError, RunError, did_you_mean
from polytask.evaluation.predict import embed, predict
from polytask.heads import Prediction
from polytask.model import MultiTaskModel
from polytask.ship.items import Item, kind_of, parsed, record_of
from polytask.tasks import Task
from polytask.training.precision import choose_device

Answer = dict[str, Prediction]
"""Predictions by task."""

Device = Literal["auto", "cpu", "cuda"]
"""Where a model computes; `auto` takes a GPU if there is one."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class _Reading:
    view: View
    cleaning: Cleaning | None
    tasks: list[Task]


@dataclass(frozen=True, slots=True)
class _Group:
    records: list[dict[str, object]]
    source: LiveRows
    tasks: list[Task]

    def reads(self, records: Sequence[Mapping[str, object]], source: LiveRows) -> bool:
        if any(task.head.view.is_masked for task in self.tasks):
            return False
        return self.source.covers(source) and all(
            mine.get(column, value) == value
            for mine, other in zip(self.records, records, strict=True)
            for column, value in other.items()
        )


class Predictor:
    """All tasks of a run behind one call.

    `model("book a table in Oslo")` answers every task that reads one text, from one pass of the
    encoder; `model(("a", "b"))` those that read a pair; a list gives a list, in order.
    """

    def __init__(self, model: MultiTaskModel, experiment: Experiment) -> None:
        self.model = model
        self._experiment = experiment
        self._tasks = {task.name: task for task in experiment.tasks}

    @property
    def tasks(self) -> list[str]:
        """The names of the tasks."""
        return list(self._tasks)

    def to(self, device: str | torch.device) -> "Predictor":
        """Moves the model, for example to `cuda`."""
        self.model.to(device)
        return self

    @overload  # a text is a sequence of texts too; the first overload is meant
    def __call__(  # type: ignore[overload-overlap]
        self, items: Item, *, tasks: Sequence[str] | None = None
    ) -> Answer: ...
    @overload
    def __call__(
        self,
        items: Iterable[Item],
        *,
        tasks: Sequence[str] | None = None,
        places: Sequence[str] | None = None,
    ) -> list[Answer]: ...
    def __call__(
        self,
        items: Item | Iterable[Item],
        *,
        tasks: Sequence[str] | None = None,
        places: Sequence[str] | None = None,
    ) -> Answer | list[Answer]:
        """Predictions by task: `{"intent": {"label": "PlayMusic", "probability": 0.98}, …}`.

        Without `tasks` each item is answered by every task that can read it. Raises DataError for
        an item that none, or a task asked for, can read; `places` are its names for the items.
        """
        if isinstance(items, str | tuple | Mapping):
            return self._answer([items], tasks, ["item 1"])[0]
        listed = list(items)
        return self._answer(listed, tasks, places or [f"item {n + 1}" for n in range(len(listed))])

    def embed(self, texts: Iterable[str], *, task: str | None = None) -> np.ndarray:
        """Vectors of texts, of length 1: (texts, width), what `kind: match` compares.

        `task` names one as whose texts these are cleaned, and cut or read in windows if they are
        long. Raises DataError for what is no text or not the name of a task.
        """
        if task is not None and task not in self._tasks:
            raise DataError(f"no task '{task}'. {did_you_mean(task, self._tasks)}")
        need = Need(TEXT, required=True)
        records = [{"text": parsed(need, one, f"item {n}")} for n, one in enumerate(texts, 1)]
        if not records:
            return np.zeros((0, self.model.encoder.width), np.float32)
        view, cleaning = text_view("text", None), None
        if task is not None:
            like = self._tasks[task]
            view = replace(view, long=like.head.view.long, stride=like.head.view.stride)
            cleaning = self._experiment.data[like.data].clean
        rows = LiveRows(
            "items",
            records,
            view,
            tokeniser=self.model.encoder.tokeniser,
            cleaning=cleaning,
        )
        return embed(self.model.encoder, rows)

    def _answer(
        self, items: Sequence[Item], names: Sequence[str] | None, wheres: Sequence[str]
    ) -> list[Answer]:
        for name in names or ():
            if name not in self._tasks:
                raise DataError(f"no task '{name}'. {did_you_mean(name, self._tasks)}")
        answers: list[Answer] = [{} for _ in items]
        readers: dict[tuple[str, ...], list[int]] = {}
        for place, item in enumerate(items):
            able = tuple(
                name
                for name in (names or self._tasks)
                if record_of(item, self._tasks[name], wheres[place], is_asked=names is not None)
            )
            if not able:
                raise DataError(f"{wheres[place]}: no task reads {kind_of(item)}")
            readers.setdefault(able, []).append(place)
        for able, places in readers.items():
            self._fill(answers, items, able, places)
        return answers

    def _fill(
        self,
        answers: list[Answer],
        items: Sequence[Item],
        names: Sequence[str],
        places: Sequence[int],
    ) -> None:
        found: dict[str, list[Prediction]] = {}
        for group in self._groups([items[i] for i in places], [self._tasks[n] for n in names]):
            found |= predict(self.model, group.source, group.tasks)
        for name in names:
            for place, prediction in zip(places, found[name], strict=True):
                answers[place][name] = prediction

    def _groups(self, items: Sequence[Item], tasks: Sequence[Task]) -> list[_Group]:
        """Tasks whose views give the same tokens share a pass; views with words come first."""
        groups: list[_Group] = []
        for reading in self._readings(tasks):
            records = [record_of(item, reading.tasks[0], "", is_asked=True) for item in items]
            source = LiveRows(
                "items",
                records,
                reading.view,
                tokeniser=self.model.encoder.tokeniser,
                cleaning=reading.cleaning,
            )
            is_masked = reading.view.is_masked
            same = next((g for g in groups if not is_masked and g.reads(records, source)), None)
            if same is None:
                groups.append(_Group(records, source, reading.tasks))
                continue
            same.tasks.extend(reading.tasks)
            for mine, other in zip(same.records, records, strict=True):
                mine |= other  # in place: heads decode from the records of the source
        return groups

    def _readings(self, tasks: Sequence[Task]) -> list[_Reading]:
        readings: list[_Reading] = []
        for task in sorted(tasks, key=lambda one: not one.head.view.has_words):
            view, cleaning = task.head.view, self._experiment.data[task.data].clean
            same = next((r for r in readings if (r.view, r.cleaning) == (view, cleaning)), None)
            if same is None:
                readings.append(_Reading(view, cleaning, [task]))
            else:
                same.tasks.append(task)
        return readings


def load(folder: str | Path, device: Device = "auto") -> Predictor:
    """The predictor of a run folder, or of the model folder inside one, on a device.

    Raises RunError for a folder, ConfigError for a device that cannot be used.
    """
    path = Path(folder).expanduser()
    inner = path / "model"
    if not path.is_dir():
        raise RunError(f"{path}: no such folder")
    if (path / "run.json").is_file() and not inner.is_dir():
        raise RunError(f"{path}: this run has no model yet. Go on with: polytask train")
    try:
        chosen = choose_device(device)
    except ConfigError as error:
        raise ConfigError(str(error).removeprefix("train.")) from error
    return Predictor(*open_model(inner if inner.is_dir() else path)).to(chosen)


def in_chunks(items: Iterable[_T], size: int) -> Iterator[list[_T]]:
    """Lists of at most `size` items."""
    chunk: list[_T] = []
    for item in items:
        chunk.append(item)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk

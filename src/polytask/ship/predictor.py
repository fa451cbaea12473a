"""A trained model that answers: texts in, plain dicts out."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import torch

from polytask.build import Experiment, open_model
from polytask.data.feed import LiveRows
from polytask.data.records import Record
from polytask.errors import DataError, RunError, did_you_mean
from polytask.evaluation.predict import predict
from polytask.heads import Prediction
from polytask.model import MultiTaskModel
from polytask.tasks import Task

Item = str | tuple[str, str] | Mapping[str, object]
"""A text, a pair of texts, or a record: `{"words": [...]}` or the columns of the data."""

Answer = dict[str, Prediction]
"""Predictions by task."""


@dataclass(frozen=True, slots=True)
class _Group:
    source: LiveRows
    tasks: list[Task]


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
        self, items: Sequence[Item], *, tasks: Sequence[str] | None = None
    ) -> list[Answer]: ...
    def __call__(
        self, items: Item | Sequence[Item], *, tasks: Sequence[str] | None = None
    ) -> Answer | list[Answer]:
        """Predictions by task: `{"intent": {"label": "PlayMusic", "probability": 0.98}, …}`.

        Without `tasks` each item is answered by every task that can read it. Raises DataError for
        an item that none, or a task asked for, can read.
        """
        if isinstance(items, str | tuple | Mapping):
            return self._answer([items], tasks)[0]
        return self._answer(items, tasks)

    def _answer(self, items: Sequence[Item], names: Sequence[str] | None) -> list[Answer]:
        for name in names or ():
            if name not in self._tasks:
                raise DataError(f"no task '{name}'. {did_you_mean(name, self._tasks)}")
        answers: list[Answer] = [{} for _ in items]
        readers: dict[tuple[str, ...], list[int]] = {}
        for place, item in enumerate(items):
            able = tuple(
                name
                for name in (names or self._tasks)
                if _record(item, self._tasks[name], place, is_asked=names is not None) is not None
            )
            if not able:
                raise DataError(f"item {place + 1}: no task reads {_kind(item)}")
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
        records: list[dict[str, object]] = [{} for _ in items]
        for task in tasks:
            for place, item in enumerate(items):
                records[place] |= _record(item, task, place, is_asked=True) or {}
        groups: list[_Group] = []
        for task in sorted(tasks, key=lambda one: not _reads_words(one)):
            source = LiveRows(
                "items",
                records,
                task.head.view,
                tokeniser=self.model.encoder.tokeniser,
                cleaning=self._experiment.data[task.data].clean,
            )
            same = next((g for g in groups if g.source.covers(source)), None)
            if same is None:
                groups.append(_Group(source, [task]))
            else:
                same.tasks.append(task)
        return groups


def load(folder: str | Path) -> Predictor:
    """The predictor of a run folder, or of the model folder inside one. Raises RunError."""
    path = Path(folder).expanduser()
    inner = path / "model"
    if not path.is_dir():
        raise RunError(f"{path}: no such folder")
    if (path / "run.json").is_file() and not inner.is_dir():
        raise RunError(f"{path}: this run has no model yet. Go on with: polytask train")
    return Predictor(*open_model(inner if inner.is_dir() else path))


def in_chunks(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Lists of at most `size` items."""
    chunk: list[Item] = []
    for item in items:
        chunk.append(item)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _reads_words(task: Task) -> bool:
    return any(need.type.name == "words" for need in task.head.view.needs.values())


def _record(item: Item, task: Task, place: int, *, is_asked: bool) -> Record | None:
    """The item under the column names of a task; None if the task cannot read it."""
    columns = list(task.head.view.needs)
    values = _values(item, columns)
    if len(values) != len(columns):
        if is_asked:
            wanted = "one text" if len(columns) == 1 else "a pair of texts"
            raise DataError(f"item {place + 1}: task {task.name} reads {wanted}, not {_kind(item)}")
        return None
    for value in values:
        words = [value] if isinstance(value, str) else value
        if not isinstance(words, list | tuple) or not all(isinstance(w, str) for w in words):
            raise DataError(
                f"item {place + 1}: expected text or a list of words, got {value!r:.60}"
            )
        if not any(word.strip() for word in words):
            raise DataError(f"item {place + 1}: the text is empty")
        if isinstance(value, list | tuple) and not _reads_words(task):
            if is_asked:
                raise DataError(
                    f"item {place + 1}: task {task.name} reads text, not a list of words"
                )
            return None
    return dict(zip(columns, values, strict=True))


def _values(item: Item, columns: Sequence[str]) -> list[object]:
    if isinstance(item, str):
        return [item]
    if isinstance(item, tuple):
        return list(item)
    if all(column in item for column in columns):
        return [item[column] for column in columns]
    for key in ("words", "text"):
        if key in item:
            value = item[key]
            return list(value) if isinstance(value, tuple) else [value]
    return []


def _kind(item: Item) -> str:
    if isinstance(item, str):
        return "one text"
    if isinstance(item, tuple):
        return "a pair of texts" if len(item) == 2 else f"{len(item)} texts"
    return f"a record with {', '.join(map(str, item)) or 'no keys'}"

"""What is asked of a model: texts, pairs and records, as the columns that a task reads."""

from collections.abc import Mapping, Sequence

from polytask.data.columns import TEXT, WORDS, Need, describe
from polytask.errors import DataError
from polytask.tasks import Task

Item = str | tuple[str, str] | Mapping[str, object]
"""A text, a pair of texts, or a record: `{"words": [...]}` or the columns of the data."""


def record_of(item: Item, task: Task, where: str, *, is_asked: bool) -> dict[str, object]:
    """The item under the column names of a task; empty if the task cannot read it.

    Raises DataError for an item that is broken, or that a task asked for cannot read.
    """
    needs = {name: need for name, need in task.head.view.needs.items() if need.required}
    values = _values(item, list(needs), where)
    given = dict(zip(needs, values, strict=False))
    if len(values) != len(needs):
        fault = f"reads {_wanted(needs)}, not {kind_of(item)}"
    else:
        fault = next(filter(None, (_misfit(needs[name], given[name]) for name in needs)), "")
    if fault and is_asked:
        raise DataError(f"{where}: task {task.name} {fault}")
    if fault:
        return {}
    record = {name: parsed(needs[name], given[name], where) for name in needs}
    if problem := task.head.problem(record):
        raise DataError(f"{where}: task {task.name}: {problem}")
    return record


def _wanted(needs: Mapping[str, Need]) -> str:
    if all(need.type in (TEXT, WORDS) for need in needs.values()) and len(needs) <= 2:
        return "one text" if len(needs) == 1 else "a pair of texts"
    return f"a record with {', '.join(needs)}"


def _misfit(need: Need, value: object) -> str:
    """Why a value of this kind cannot stand in a column; empty if it can, be it sound or not."""
    is_list = isinstance(value, list | tuple)
    if need.type is TEXT and is_list:
        return "reads text, not a list of words"
    if need.type not in (TEXT, WORDS) and isinstance(value, str):
        return f"reads {need.type.name}, not a text"
    return ""


def parsed(need: Need, value: object, where: str) -> object:
    """A value as its column holds it. Raises DataError."""
    raw = list(value) if isinstance(value, tuple) else value
    is_text = need.type in (TEXT, WORDS)
    if is_text and not isinstance(raw, str | list):
        raise DataError(f"{where}: expected text or a list of words, got {describe(raw)}")
    kind = TEXT if isinstance(raw, str) else need.type
    try:
        return kind.parse(raw)
    except ValueError as fault:
        nouns = {TEXT.name: "the text", WORDS.name: "the list of words:"}
        noun = nouns.get(kind.name, f"the {kind.name}:")
        raise DataError(f"{where}: {noun} {fault}") from None


def _values(item: Item, columns: Sequence[str], where: str) -> list[object]:
    if isinstance(item, str):
        return [item]
    if isinstance(item, tuple):
        return list(item)
    if not isinstance(item, Mapping):
        raise DataError(
            f"{where}: expected a text, a pair of texts or a record, got {describe(item)}"
        )
    if all(column in item for column in columns):
        return [item[column] for column in columns]
    for key in ("words", "text"):
        if key in item:
            value = item[key]
            return list(value) if isinstance(value, tuple) else [value]
    return []


def kind_of(item: Item) -> str:
    """What an item is, in plain words."""
    if isinstance(item, str):
        return "one text"
    if isinstance(item, tuple):
        return "a pair of texts" if len(item) == 2 else f"{len(item)} texts"
    return f"a record with {', '.join(map(str, item)) or 'no keys'}"

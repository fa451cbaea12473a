"""Where a task goes wrong: what it takes for what, in which texts, how surely; wrong labels."""

import json
import math
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import cast

import numpy as np

from polytask.build import task_records
from polytask.data.feed import Feed
from polytask.data.records import Record, Records
from polytask.data.words import split_words
from polytask.errors import MissingExtra
from polytask.evaluation.calibration import probable
from polytask.evaluation.predict import decoded
from polytask.evaluation.score import TaskResult
from polytask.heads import Gold, LabelledHead, Prediction
from polytask.model import MultiTaskModel
from polytask.tasks import Task

MOST = 50
"""How many mistakes are listed."""
_PAIRS = 20
_BARS = 20
_NUMBERS = ("none", "one", "several")
_LEAST = 1e-6


@dataclass(frozen=True, slots=True)
class Group:
    """Records with something in common, and the headline of the task on them."""

    name: str
    count: int
    score: float


@dataclass(frozen=True, slots=True)
class Mistake:
    """A record: its file and line, its text, gold label and answer as JSON.

    sureness: what its most certain wrong answer stated; loss: the sum over its answers of
    -log(what it stated), if wrong of -log(1 - what it stated).
    """

    where: str
    text: str
    gold: str
    answer: str
    sureness: float
    loss: float


@dataclass(frozen=True, slots=True)
class Mistakes:
    """What is wrong with the answers of one task on one split.

    confusions: gold, answer, how often, the most frequent first. groups: by what they are told
    apart. histogram: of answers by what they stated, in 20 steps, how many were right and wrong.
    label_errors: gold labels that are probably wrong, None if nobody looked.
    """

    metric: str
    count: int
    confusions: Sequence[tuple[str, str, int]]
    groups: Mapping[str, Sequence[Group]]
    surest: Sequence[Mistake] = ()
    worst: Sequence[Mistake] = ()
    histogram: Sequence[tuple[int, int]] = ()
    label_errors: Sequence[Mistake] | None = None

    def to_json(self) -> dict[str, object]:
        """Plain values."""
        return asdict(self)


def find_mistakes(
    task: Task, result: TaskResult, train: Records, model: MultiTaskModel
) -> Mistakes:
    """Looks at all answers of a task on a split; `train` is its training data.

    Label errors are found by confident learning (Northcutt, Jiang and Chuang, JAIR 2021) with
    cleanlab, where it is installed, for kinds that give one of some labels. The split must not be
    one that the model was trained on.
    """
    records = list(task_records(task, result.feed.records))
    golds = [task.head.gold(record) for record in records]
    kept = [place for place, gold in enumerate(golds) if gold is not None]
    told = {place: _mistake(task, result, place, (records[place], golds[place])) for place in kept}
    wrong = [one for one in told.values() if one is not None and not math.isnan(one.sureness)]
    lossy = [one for one in told.values() if one is not None and one.loss > 0]
    errors = _label_errors(task, result.feed, golds, model)
    return Mistakes(
        metric=task.head.headline,
        count=len(kept),
        confusions=_confusions(result),
        groups=_groups(task, result, list(zip(records, golds, strict=True)), train),
        surest=sorted(wrong, key=lambda one: -one.sureness)[:MOST],
        worst=sorted(lossy, key=lambda one: -one.loss)[:MOST],
        histogram=_histogram(task, golds, result.predictions),
        label_errors=None
        if errors is None
        else [one for place in errors[:MOST] if (one := told[place]) is not None],
    )


def _mistake(
    task: Task, result: TaskResult, place: int, pair: tuple[Record, Gold]
) -> Mistake | None:
    head, (record, gold) = probable(task), pair
    if head is None:
        return None
    prediction = result.predictions[place]
    chances = head.chances(gold, prediction)
    wrong = [chance for chance, is_right in chances if not is_right]
    losses = [-math.log(max(p if is_right else 1 - p, _LEAST)) for p, is_right in chances]
    return Mistake(
        where=result.feed.records.where(place).rpartition("/")[2],
        text=_text(task, record),
        gold=_shown(gold),
        answer=_shown(prediction),
        sureness=max(wrong, default=math.nan),
        loss=round(math.fsum(losses), 6),
    )


def _text(task: Task, record: Record) -> str:
    parts = [part for row in task.head.view.rows(record, None) for part in row]
    return " | ".join(one if isinstance(one, str) else " ".join(one) for one in parts)


def _shown(value: object) -> str:
    if isinstance(value, Mapping) and "label" in value:
        return str(value["label"])
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _confusions(result: TaskResult) -> list[tuple[str, str, int]]:
    labels = [*result.scores.labels, "(none)"]
    pairs = [
        (labels[row], labels[column], num)
        for row, counts in enumerate(result.scores.confusion)
        for column, num in enumerate(counts)
        if row != column and num
    ]
    return sorted(pairs, key=lambda pair: -pair[2])[:_PAIRS]


def _groups(
    task: Task, result: TaskResult, pairs: Sequence[tuple[Record, Gold | None]], train: Records
) -> dict[str, list[Group]]:
    known = {word for record in task_records(task, train) for word in _words(task, record)}
    kept = [place for place, (_, gold) in enumerate(pairs) if gold is not None]
    words = {place: _words(task, pairs[place][0]) for place in kept}
    lengths = np.array([len(words[place]) for place in kept])
    quarters = np.quantile(lengths, [0.25, 0.5, 0.75], method="lower") if kept else np.zeros(0)
    edges = sorted(set(quarters.astype(int).tolist()))
    found: dict[str, dict[str, list[int]]] = {"words in the text": {}, "words not in train": {}}
    for place in kept:
        found["words in the text"].setdefault(_span(len(words[place]), edges), []).append(place)
        num_new = sum(word not in known for word in words[place])
        name = _NUMBERS[min(num_new, 2)]
        found["words not in train"].setdefault(name, []).append(place)
    if kept and all(isinstance(pairs[place][1], str) for place in kept):
        counts = Counter(task.head.gold(record) for record in task_records(task, train))
        steps = [0, 10, 100, 1000]
        found["examples of the label in train"] = {}
        for place in sorted(kept, key=lambda one: counts[pairs[one][1]]):
            name = _span(counts[pairs[place][1]], steps)
            found["examples of the label in train"].setdefault(name, []).append(place)
    return {
        by: [
            _group(name, task, result, [(place, pairs[place][1]) for place in places])
            for name, places in sorted(groups.items(), key=lambda one: _order(one[0]))
        ]
        for by, groups in found.items()
    }


def _group(name: str, task: Task, result: TaskResult, golds: Sequence[tuple[int, Gold]]) -> Group:
    found = [result.predictions[place] for place, _ in golds]
    scores = task.head.score([gold for _, gold in golds], found)
    return Group(name, scores.count, scores.headline[1])


def _words(task: Task, record: Record) -> list[str]:
    text = _text(task, record)
    return [text[start:end].lower() for start, end in split_words(text)]


def _span(number: int, edges: Sequence[int]) -> str:
    """The stretch between two edges that a number lies in, as text: "11 to 20"."""
    below = [int(edge) for edge in edges if edge < number]
    above = [int(edge) for edge in edges if edge >= number]
    low = below[-1] + 1 if below else 0
    if not above:
        return f"{low} and more"
    return str(low) if above[0] == low else f"{low} to {above[0]}"


def _order(name: str) -> int:
    first = name.split(maxsplit=1)[0]
    return int(first) if first.isdecimal() else _NUMBERS.index(name)


def _histogram(
    task: Task, golds: Sequence[Gold | None], predictions: Sequence[Prediction]
) -> list[tuple[int, int]]:
    head = probable(task)
    if head is None:
        return []
    bars = [[0, 0] for _ in range(_BARS)]
    for gold, prediction in zip(golds, predictions, strict=True):
        for chance, is_right in head.chances(gold, prediction) if gold is not None else ():
            bars[min(int(chance * _BARS), _BARS - 1)][not is_right] += 1
    return [(right, wrong) for right, wrong in bars]


def _label_errors(
    task: Task, feed: Feed, golds: Sequence[Gold | None], model: MultiTaskModel
) -> list[int] | None:
    """Places of gold labels that are probably wrong, the likeliest first."""
    head = task.head
    if not isinstance(head, LabelledHead):
        return None
    try:
        from cleanlab.filter import find_label_issues
    except ImportError:
        return None
    made = decoded(
        model,
        feed,
        [task],
        {
            "likelihoods": (
                task,
                lambda logits, _records, _inputs: head.likelihoods(logits).tolist(),
            )
        },
    )["likelihoods"]
    kept = [place for place, gold in enumerate(golds) if gold in head.label_names]
    present = sorted({cast(str, golds[place]) for place in kept})
    if len(present) < 2:
        return []
    columns = [list(head.label_names).index(label) for label in present]
    chances = np.array([made[place] for place in kept])[:, columns] + _LEAST
    labels = np.array([present.index(cast(str, golds[place])) for place in kept])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = find_label_issues(
            labels,
            chances / chances.sum(axis=1, keepdims=True),
            return_indices_ranked_by="self_confidence",
            n_jobs=1,
        )
    return [kept[place] for place in found]


def missing_extra() -> MissingExtra | None:
    """Why label errors are not looked for, if so."""
    try:
        import cleanlab  # noqa: F401
    except ImportError:
        return MissingExtra("cleanlab", "labels")
    return None

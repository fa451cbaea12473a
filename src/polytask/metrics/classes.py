"""How well predicted labels meet gold labels. A prediction of None is a wrong answer."""

import math
from collections.abc import Sequence

import numpy as np
from sklearn.metrics import cohen_kappa_score, matthews_corrcoef, precision_recall_fscore_support

from polytask.errors import DataError, did_you_mean
from polytask.metrics.table import Row, Table

_Places = np.ndarray[tuple[int], np.dtype[np.int64]]
_Scores = np.ndarray[tuple[int], np.dtype[np.float64]]


def accuracy(gold: Sequence[str], predicted: Sequence[str | None]) -> float:
    """Share of right answers; nan without any answer."""
    num_right = sum(one == other for one, other in zip(gold, predicted, strict=True))
    return num_right / len(gold) if gold else math.nan


def macro_f1(gold: Sequence[str], predicted: Sequence[str | None]) -> float:
    """Mean F1 of the classes that occur, in gold or among predictions; nan without any answer.

    A class that occurs in neither says nothing of the predictions and does not count, as in
    scikit-learn where no labels are given.
    """
    return class_table(gold, predicted, _occurring(gold, predicted)).averages[0].f1


def matthews(gold: Sequence[str], predicted: Sequence[str | None]) -> float:
    """Matthews correlation for any number of classes, -1 to 1; nan without any answer.

    0 where gold or predictions are all one class, as in scikit-learn. None is a class of its own.
    """
    truth, answers = _places(gold, predicted, _occurring(gold, predicted))
    if len({*gold, *predicted}) < 2:
        return 0.0 if gold else math.nan
    return float(matthews_corrcoef(truth, answers))


def quadratic_kappa(gold: Sequence[str], predicted: Sequence[str], levels: Sequence[str]) -> float:
    """Cohen's kappa with squared distances of levels as weights: 1 is perfect, 0 is chance.

    nan without any answer, or where gold and predictions are all one and the same level. Source:
    Cohen, "Weighted kappa" (Psychological Bulletin 70, 1968).
    """
    if len({*gold, *predicted}) < 2:
        return math.nan
    truth, answers = _places(gold, predicted, levels)
    places = range(len(levels))
    return float(cohen_kappa_score(truth, answers, labels=places, weights="quadratic"))


def confusion(
    gold: Sequence[str], predicted: Sequence[str | None], labels: Sequence[str]
) -> list[list[int]]:
    """How often each gold label (row) was taken for each label (column), in the order of `labels`.

    A last column counts predictions of None, if there are any. Raises DataError at a label that
    is not one of `labels`.
    """
    counts = np.zeros((len(labels), len(labels) + 1), np.int64)
    np.add.at(counts, _places(gold, predicted, labels), 1)
    rows: list[list[int]] = counts.tolist()
    return rows if counts[:, -1].any() else [row[:-1] for row in rows]


def class_table(
    gold: Sequence[str], predicted: Sequence[str | None], labels: Sequence[str]
) -> Table:
    """Precision, recall, F1 and support of each label, their macro and their weighted average.

    A label that occurs neither in gold nor among predictions has no scores (nan) and no part in
    the averages; otherwise 0 / 0 is 0. The weighted average weighs labels by support. Raises
    DataError at a label that is not one of `labels`.
    """
    truth, answers = _places(gold, predicted, labels)
    support = np.bincount(truth, minlength=len(labels))  # (labels,)
    scores = np.full((len(labels), 3), math.nan)  # precision, recall, F1: (labels, 3)
    averages = np.full((2, 3), math.nan)  # macro, weighted: (2, 3)
    if len(truth):
        occurs = np.union1d(truth, answers[answers < len(labels)])  # (labels that occur,)
        found = precision_recall_fscore_support(truth, answers, labels=occurs, zero_division=0.0)
        scores[occurs] = np.stack(found[:3], axis=1)
        averages[0] = scores[occurs].mean(axis=0)
        averages[1] = np.average(scores[occurs], axis=0, weights=support[occurs])
    return Table(
        rows=tuple(map(Row.of, labels, scores, support)),
        averages=(
            Row.of("macro", averages[0], len(truth)),
            Row.of("weighted", averages[1], len(truth)),
        ),
    )


def _occurring(gold: Sequence[str], predicted: Sequence[str | None]) -> list[str]:
    return sorted({*gold, *(label for label in predicted if label is not None)})


def _places(
    gold: Sequence[str], predicted: Sequence[str | None], labels: Sequence[str]
) -> tuple[_Places, _Places]:
    """Each label as its place among `labels`, None as the place after the last."""
    if len(gold) != len(predicted):
        raise ValueError(f"{len(gold)} gold labels but {len(predicted)} predicted")
    place: dict[str | None, int] = {label: i for i, label in enumerate(labels)}
    for label in (*gold, *predicted):
        if label is not None and label not in place:
            hint = did_you_mean(label, labels)
            raise DataError(f"label '{label}' is not one of the labels. {hint}")
    truth = np.array([place[label] for label in gold], np.int64)
    answers = np.array([place.get(label, len(labels)) for label in predicted], np.int64)
    return truth, answers

"""How well sets of labels meet gold sets: each label is a question of its own."""

import math
from collections.abc import Sequence

import numpy as np
from sklearn.metrics import average_precision_score, f1_score, precision_recall_fscore_support

from polytask.metrics.table import Row, Table

_Fits = np.ndarray[tuple[int, int], np.dtype[np.int64]]
_Numbers = np.ndarray[tuple[int, int], np.dtype[np.float64]]


def indicators(sets: Sequence[Sequence[str]], labels: Sequence[str]) -> _Fits:
    """1 where a set holds a label: (sets, labels). Raises KeyError at an unknown label."""
    place = {label: i for i, label in enumerate(labels)}
    fits = np.zeros((len(sets), len(labels)), np.int64)
    for row, some in enumerate(sets):
        for label in some:
            fits[row, place[label]] = 1
    return fits


def label_metrics(gold: _Fits, predicted: _Fits, probabilities: _Numbers) -> dict[str, float]:
    """Macro, micro and samples F1, mean average precision, share of exact sets; all (sets, labels).

    A label that occurs neither in gold nor among predictions has no part in macro F1, one that does
    not occur in gold none in mAP (average precision as scikit-learn defines it, without
    interpolation). Samples F1 is the mean over rows; where gold and predicted sets are both empty
    it is 1. nan where nothing is left to average.
    """
    if not len(gold):
        return dict.fromkeys(("macro_f1", "micro_f1", "samples_f1", "map", "exact"), math.nan)
    gold, predicted = _widened(gold), _widened(predicted)
    occurs = (gold + predicted).any(axis=0)  # (labels,)
    in_gold = gold.any(axis=0)  # (labels,)
    each = f1_score(gold, predicted, average=None, zero_division=0.0)  # (labels,)
    precisions = [
        average_precision_score(gold[:, label], probabilities[:, label])
        for label in np.flatnonzero(in_gold)
    ]
    return {
        "macro_f1": _mean(each[occurs]),
        "micro_f1": float(f1_score(gold, predicted, average="micro")) if occurs.any() else math.nan,
        "samples_f1": _samples_f1(gold, predicted),
        "map": _mean(np.array(precisions)),
        "exact": float((gold == predicted).all(axis=1).mean()),
    }


def label_table(gold: _Fits, predicted: _Fits, labels: Sequence[str]) -> Table:
    """Precision, recall, F1 and support of each label, their macro and their micro average.

    A label that occurs neither in gold nor among predictions has no scores (nan).
    """
    occurs = (gold + predicted).any(axis=0)  # (labels,)
    support = gold.sum(axis=0)  # (labels,)
    scores = np.full((len(labels), 3), math.nan)  # precision, recall, F1: (labels, 3)
    averages = np.full((2, 3), math.nan)  # macro, micro: (2, 3)
    if occurs.any():
        sides = _widened(gold), _widened(predicted)
        found = precision_recall_fscore_support(*sides, average=None, zero_division=0.0)
        scores[occurs] = np.stack(found[:3], axis=1)[:-1][occurs]
        averages[0] = scores[occurs].mean(axis=0)
        averages[1] = precision_recall_fscore_support(*sides, average="micro", zero_division=0.0)[
            :3
        ]
    return Table(
        rows=tuple(map(Row.of, labels, scores, support)),
        averages=(
            Row.of("macro", averages[0], support.sum()),
            Row.of("micro", averages[1], support.sum()),
        ),
    )


def best_threshold(fits: np.ndarray, probabilities: np.ndarray) -> float:
    """The threshold of the best F1, in the middle between two probabilities; both (examples,).

    Of equally good ones the highest; 0.5 if no example fits.
    """
    order = np.argsort(-probabilities, kind="stable")  # (examples,)
    sorted_p, right = probabilities[order], np.cumsum(fits[order])  # (examples,)
    if not len(right) or not right[-1]:
        return 0.5
    f1 = 2 * right / (np.arange(1, len(order) + 1) + right[-1])  # (examples,)
    below = np.append(sorted_p[1:], 0.0)  # (examples,)
    f1[sorted_p == below] = -1.0  # equal probabilities cannot be told apart
    best = int(np.argmax(f1))
    return float((sorted_p[best] + below[best]) / 2)


def _widened(fits: _Fits) -> _Fits:
    """With one more label, that never fits: scikit-learn takes a single one for two classes."""
    return np.pad(fits, ((0, 0), (0, 1)))


def _samples_f1(gold: _Fits, predicted: _Fits) -> float:
    shared, sizes = (gold * predicted).sum(axis=1), (gold + predicted).sum(axis=1)  # (sets,)
    return float(np.where(sizes > 0, 2 * shared / np.maximum(sizes, 1), 1.0).mean())


def _mean(numbers: np.ndarray) -> float:
    return float(numbers.mean()) if len(numbers) else math.nan

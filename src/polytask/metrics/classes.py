"""Scores of single labels, through scikit-learn. A prediction of None is a wrong answer."""

from collections.abc import Sequence

from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from polytask.metrics.table import Row, Table

_NONE = "\0"


def accuracy(gold: Sequence[str], predicted: Sequence[str | None]) -> float:
    """Share of right answers; nan without any."""
    if not gold:
        return float("nan")
    return sum(one == other for one, other in zip(gold, predicted, strict=True)) / len(gold)


def class_table(
    gold: Sequence[str], predicted: Sequence[str | None], labels: Sequence[str]
) -> Table:
    """Every label's precision, recall and F1, with `macro` and `weighted` averages.

    Labels that are neither gold nor predicted have no row, and no part in the macro average: that
    is scikit-learn's rule. A ratio of nothing to nothing is 0.
    """
    occurring = {*gold, *predicted}
    kept = [label for label in labels if label in occurring]
    if not gold:
        return Table((), ())
    answers = _answers(predicted)
    columns = precision_recall_fscore_support(gold, answers, labels=kept, zero_division=0.0)
    rows = tuple(
        Row(label, float(p), float(r), float(f), int(n))
        for label, p, r, f, n in zip(kept, *columns, strict=True)
    )
    averages = tuple(_average(name, gold, answers, kept) for name in ("macro", "weighted"))
    return Table(rows, averages)


def confusion(
    gold: Sequence[str], predicted: Sequence[str | None], labels: Sequence[str]
) -> list[list[int]]:
    """Counts by gold label (row) and predicted label (column).

    A last column counts predictions of None where there are any.
    """
    if not gold:
        return [[0] * len(labels) for _ in labels]
    has_none = None in predicted
    names = [*labels, _NONE] if has_none else list(labels)
    counts: list[list[int]] = confusion_matrix(gold, _answers(predicted), labels=names).tolist()
    return counts[: len(labels)]


def _answers(predicted: Sequence[str | None]) -> list[str]:
    return [_NONE if answer is None else answer for answer in predicted]


def _average(name: str, gold: Sequence[str], answers: Sequence[str], labels: Sequence[str]) -> Row:
    precision, recall, f1, _ = precision_recall_fscore_support(
        gold, answers, labels=labels, average=name, zero_division=0.0
    )
    return Row(name, float(precision), float(recall), float(f1), len(gold))

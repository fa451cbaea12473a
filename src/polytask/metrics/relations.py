"""How well predicted relations meet gold ones; a label may say which way a relation goes."""

import math
import re
from collections import Counter
from collections.abc import Sequence

from polytask.metrics.classes import accuracy

_DIRECTION = re.compile(r"\([^()]*,[^()]*\)$")


def relation_metrics(
    gold: Sequence[str], predicted: Sequence[str | None], none: str | None = None
) -> dict[str, float]:
    """Macro F1 of types, micro F1 of labels, accuracy; nan without anything to score.

    The type of `Cause-Effect(e2,e1)` is `Cause-Effect`. For macro F1 an answer is right if its
    whole label is, but counts for its type: the rules of the official scorer of SemEval-2010 task 8
    (Hendrickx et al., SemEval 2010). `none`, the label of no relation, has no F1 of its own; a type
    that occurs neither in gold nor among answers has no part.
    """
    right, found, there = Counter[str](), Counter[str](), Counter[str]()
    for label, answer in zip(gold, predicted, strict=True):
        right[_type(label)] += label == answer
        there[_type(label)] += 1
        if answer is not None:
            found[_type(answer)] += 1
    types = sorted({*found, *there} - {none})
    scores = [2 * right[name] / (found[name] + there[name]) for name in types]
    num_right, num_all = (
        sum(counts[name] for name in types for counts in some)
        for some in ((right,), (found, there))
    )
    return {
        "macro_f1": math.fsum(scores) / len(scores) if scores else math.nan,
        "micro_f1": 2 * num_right / num_all if num_all else math.nan,
        "accuracy": accuracy(gold, predicted),
    }


def _type(label: str) -> str:
    return _DIRECTION.sub("", label)

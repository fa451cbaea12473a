"""How good a model is, in one number: by this the best one is kept."""

import math
from collections.abc import Mapping, Sequence

from polytask.heads import Scores
from polytask.tasks import Task


def selected(scores: Mapping[str, Scores], tasks: Sequence[Task], select: str) -> float:
    """The `mean` or `worst` headline of the tasks that count, or that of the one named.

    A task without a label in dev has no say; a headline without a value, such as the correlation of
    constant answers, counts as 0.
    """
    if select not in ("mean", "worst"):
        return _number(scores[select].headline[1])
    main = [task.name for task in tasks if not task.is_auxiliary]
    values = [_number(scores[name].headline[1]) for name in main if scores[name].count]
    return min(values) if select == "worst" else math.fsum(values) / len(values)


def _number(headline: float) -> float:
    return 0.0 if math.isnan(headline) else headline

"""Which answers to give, so that at most a declared share of those given is wrong."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from scipy.stats import beta
from torch import Tensor

from polytask.data.batching import Inputs
from polytask.data.records import Record
from polytask.heads import Decode, Gold, Prediction, ProbableHead
from polytask.tasks import Task

CONFIDENCE = 0.95
"""How surely the declared share is not exceeded, on texts like those of dev."""
_STEPS = 20
_STARTS = (2, 6, 10, 14)
_NONE = 2.0
"""A threshold that no probability reaches."""


@dataclass(frozen=True, slots=True)
class Given:
    """Of the texts with a gold label the share that is answered; of these the share wrong."""

    answered: float
    wrong: float


def decoder(task: Task) -> Decode:
    """The `decode` of a task; with `risk:` predictions also say whether they are sure."""
    head = task.head
    if task.risk is None or not isinstance(head, ProbableHead):
        return head.decode

    def decode(logits: Tensor, records: Sequence[Record], inputs: Inputs) -> list[Prediction]:
        found = head.decode(logits, records, inputs)
        threshold = head.sure_from
        for prediction in found if threshold is not None else ():
            prediction["is_sure"] = _sureness(prediction) >= cast(float, threshold)
        return found

    return decode


def fit_risk(
    head: ProbableHead, golds: Sequence[Gold | None], found: Sequence[Prediction], risk: float
) -> str:
    """Sets the probability from which answers are sure, from those of dev; says what it is.

    Thresholds are tried from the highest down, at every twentieth of the answers, beginning anew
    after a tenth, three, five and seven tenths of them, as long as the upper bound of the share of
    wrong answers above is within `risk`; the least that passes is taken. All bounds together have a
    confidence of 95 %. Sources: Clopper and Pearson (Biometrika 1934) for the bound; Angelopoulos
    et al., "Learn then Test" (2021), for tests in a fixed order from several starts. An answer to a
    text that no label fits is wrong.
    """
    pairs = _pairs(head, golds, found)
    order = np.sort(pairs[:, 0])[::-1]  # (answers,), the surest first
    threshold, told = _NONE, "none is sure enough"
    for start in _STARTS if len(order) else ():
        for step in range(start, _STEPS + 1):
            least = float(order[max(len(order) * step // _STEPS, 1) - 1])
            above = pairs[pairs[:, 0] >= least]
            if _bound(int((above[:, 1] == 0).sum()), len(above)) > risk:
                break
            if least < threshold:
                threshold = least
                told = f"sure from {least:.4f}, {len(above) / len(golds):.1%} of dev"
    head.sure_since.fill_(threshold)
    return f"at most {risk:.1%} wrong among sure answers: {told}"


def _bound(num_wrong: int, num: int) -> float:
    """What the true share of wrong answers is not above, at the confidence of one start."""
    if num_wrong == num:
        return 1.0
    return float(beta.ppf(1 - (1 - CONFIDENCE) / len(_STARTS), num_wrong + 1, num - num_wrong))


def given(
    head: ProbableHead, golds: Sequence[Gold | None], found: Sequence[Prediction]
) -> Given | None:
    """How many answers are sure, and how many of these wrong; None if nobody asked."""
    pairs = [
        (bool(prediction["is_sure"]), _is_right(head, gold, prediction))
        for gold, prediction in zip(golds, found, strict=True)
        if gold is not None and "is_sure" in prediction
    ]
    if not pairs:
        return None
    sure = [is_right for is_sure, is_right in pairs if is_sure]
    return Given(len(sure) / len(pairs), sure.count(False) / len(sure) if sure else 0.0)


def _pairs(
    head: ProbableHead, golds: Sequence[Gold | None], found: Sequence[Prediction]
) -> np.ndarray:
    """How sure answers are, and 1 for those right, else 0: (answers, 2)."""
    pairs = [
        (_sureness(prediction), _is_right(head, gold, prediction))
        for gold, prediction in zip(golds, found, strict=True)
        if gold is not None
    ]
    kept = [pair for pair in pairs if pair[0] >= 0]
    return np.array(kept, np.float64).reshape(-1, 2)


def _sureness(prediction: Prediction) -> float:
    """Its probability; -1 for no answer, and for a text that is out of scope."""
    if prediction.get("is_out_of_scope") or prediction["probability"] is None:
        return -1.0
    return cast(float, prediction["probability"])


def _is_right(head: ProbableHead, gold: Gold, prediction: Prediction) -> bool:
    return any(is_right for _, is_right in head.chances(gold, prediction))

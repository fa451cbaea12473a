"""Heads that say how likely their answers are, which dev makes true once training is over."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import cast

import numpy as np
import torch
from torch import Tensor

from polytask.data.batching import Inputs
from polytask.data.records import Record
from polytask.heads.head import Gold, Head, Prediction

GRID = np.exp2(np.arange(-12, 13) / 4)
"""Temperatures that are tried, 1/8 to 8; the best lies between neighbours: (temperatures,)."""

_NOT_FITTED = -1.0

Chance = tuple[float, bool]
"""The probability that an answer stated for itself, and whether it was right."""

Decode = Callable[[Tensor, Sequence[Record], Inputs], list[Prediction]]
"""`Head.decode`."""


class ProbableHead(Head, ABC):
    """A head whose predictions hold probabilities.

    is_raw: whether it states them as training left them, not as dev made them true.
    answers_once: whether each prediction is one answer, with its `probability`.
    """

    is_raw = False
    answers_once = False
    sure_since: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("sure_since", torch.tensor(_NOT_FITTED, dtype=torch.float64))

    @property
    def sure_from(self) -> float | None:
        """The probability from which its answers are sure enough for `risk:`, None until fitted."""
        found = self.sure_since.item()
        return None if found == _NOT_FITTED else found

    @property
    def is_probable(self) -> bool:
        """Whether its predictions hold probabilities as it is configured."""
        return True

    @abstractmethod
    def evidence(self, logits: Tensor, targets: Mapping[str, Tensor]) -> np.ndarray:
        """What a batch of dev, that has `count` above 0, tells of its probabilities."""

    @abstractmethod
    def calibrate(self, evidence: Sequence[np.ndarray]) -> str:
        """Fits its probabilities to the evidence of dev; says in a few words what it found."""

    @abstractmethod
    def chances(self, gold: Gold, prediction: Prediction) -> list[Chance]:
        """Of each answer in a prediction what it stated, and whether it was right."""


class TemperedHead(ProbableHead, ABC):
    """A head whose logits are divided by a temperature where it states probabilities.

    Dev chooses the temperature of the least negative log likelihood, with a standard normal prior
    on its logarithm, so that little data moves it little. No answer changes. Source: Guo et al.,
    "On Calibration of Modern Neural Networks" (ICML 2017), without the prior.
    """

    fitted_temperature: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("fitted_temperature", torch.ones(()))

    @property
    def temperature(self) -> float:
        """What logits are divided by."""
        return 1.0 if self.is_raw else self.fitted_temperature.item()

    @abstractmethod
    def surprise(self, logits: Tensor, targets: Mapping[str, Tensor], temperature: float) -> Tensor:
        """Negative log likelihood of the gold labels, a scalar: the sum over targets."""

    def evidence(self, logits: Tensor, targets: Mapping[str, Tensor]) -> np.ndarray:
        """The surprise at each temperature of `GRID`: (temperatures,)."""
        return np.array([self.surprise(logits, targets, one).item() for one in GRID], np.float64)

    def calibrate(self, evidence: Sequence[np.ndarray]) -> str:
        """Sets the temperature."""
        logs = np.log(GRID)
        totals = np.sum(evidence, axis=0) + logs**2 / 2  # (temperatures,)
        found = _lowest(logs, totals) if evidence and np.isfinite(totals).all() else 0.0
        self.fitted_temperature.fill_(float(np.exp(found)))
        return f"temperature {self.temperature:.2f}"


class LabelledHead(TemperedHead, ABC):
    """A head that gives each record one of some labels."""

    @property
    @abstractmethod
    def label_names(self) -> Sequence[str]:
        """The labels."""

    @abstractmethod
    def likelihoods(self, logits: Tensor) -> Tensor:
        """Probabilities of the labels: (records, labels)."""


def one_chance(gold: Gold, prediction: Prediction) -> list[Chance]:
    """That of a prediction with a `label` and its `probability`."""
    return [(cast(float, prediction["probability"]), prediction["label"] == gold)]


def word_chances(gold: object, answers: object, probabilities: object) -> list[Chance]:
    """Those of words; one that was cut off, whose answer is None, stated nothing."""
    golds, found = cast(Sequence[object], gold), cast(Sequence[object], answers)
    return [
        (chance, answer == truth)
        for truth, answer, chance in zip(
            golds, found, cast(Sequence[float], probabilities), strict=True
        )
        if answer is not None
    ]


def raw(head: ProbableHead) -> Decode:
    """Decodes with probabilities as training left them."""

    def decode(logits: Tensor, records: Sequence[Record], inputs: Inputs) -> list[Prediction]:
        head.is_raw = True
        try:
            return head.decode(logits, records, inputs)
        finally:
            head.is_raw = False

    return decode


def _lowest(places: np.ndarray, values: np.ndarray) -> float:
    """Where the parabola through the lowest of equally spaced points and its neighbours is flat."""
    at = int(values.argmin())
    if at in (0, len(values) - 1):
        return float(places[at])
    before, here, after = values[at - 1 : at + 2]
    step = places[at + 1] - places[at]
    return float(places[at] + step * (before - after) / (before - 2 * here + after) / 2)

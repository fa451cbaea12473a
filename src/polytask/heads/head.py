"""The contract of heads: the last part of one task, and all that knows what the task means."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from polytask.data.batching import Inputs
from polytask.data.columns import Need
from polytask.data.records import Record
from polytask.data.views import View
from polytask.metrics.table import Table

IGNORE = -100
"""Target of a place without a gold label."""

NEVER = -1e4
"""Score of what cannot be, such as a place where no word stands: finite, in bf16 too."""

Unknown = Literal["refused", "wrong"]
"""What a label of dev or test is that train does not have: a fault, or never answered right."""

Prediction = dict[str, object]
"""What a task says of a record: plain values, ready for JSON."""

Gold = object
"""What `Head.gold` gives and `Head.score` takes: the gold labels of one record."""


@dataclass(frozen=True, slots=True)
class Scores:
    """How well predictions meet gold labels.

    metrics: by name, the headline first, nan where there is too little data. table: one row a
    class. labels and confusion: gold by row, predicted by column.
    """

    metrics: Mapping[str, float]
    count: int
    table: Table | None = None
    labels: Sequence[str] = ()
    confusion: Sequence[Sequence[int]] = ()

    @property
    def headline(self) -> tuple[str, float]:
        """Name and value of the first metric: higher is better, 1 is perfect."""
        return next(iter(self.metrics.items()))


@dataclass(frozen=True, slots=True)
class Plain:
    """A task as a model without an encoder can learn it.

    shape: one label a record, a 0 or 1 for each of some labels, numbers, or one label a word.
    value: what such a model learns from the gold labels of a record. answer: from what it says, of
    the same form (for `labels` probabilities), to a prediction that the head can score.
    """

    shape: Literal["label", "labels", "numbers", "words"]
    value: Callable[[Gold], Any]
    answer: Callable[[Any], Prediction]


class Head(nn.Module, ABC):
    """The last part of one task: from hidden states to predictions, from gold labels to a loss.

    Only the head knows what its task means. Training, evaluation, prediction, serving and export
    speak these verbs and never ask which head they hold. A head is made from its YAML section,
    learns its labels with `fit` (or takes them back with `restore`), then gets its weights with
    `attach`.

    is_self_supervised: whether it learns from texts alone, and so is an auxiliary unless told.
    """

    view: View
    is_self_supervised = False

    @property
    @abstractmethod
    def needs(self) -> Mapping[str, Need]:
        """The label columns it reads."""

    @property
    @abstractmethod
    def headline(self) -> str:
        """Name of the first metric of `score`."""

    @property
    def num_classes(self) -> int | None:
        """Among how many classes its loss chooses each time; None if it does not choose."""
        return None

    @property
    def plain(self) -> Plain | None:
        """How a simple model can do the task; None if it cannot."""
        return None

    @abstractmethod
    def fit(self, records: Iterable[Record]) -> list[str]:
        """Learns labels and scales from the training records; gives warnings as plain sentences.

        Raises DataError if the records cannot train this head.
        """

    @abstractmethod
    def facts(self) -> dict[str, object]:
        """What `fit` learned, as plain JSON values."""

    @abstractmethod
    def restore(self, facts: Mapping[str, object]) -> None:
        """Takes back what `facts` gave."""

    @abstractmethod
    def attach(self, width: int) -> None:
        """Makes the weights for hidden states of this width."""

    @abstractmethod
    def problem(self, record: Record) -> str | None:
        """What is wrong with the labels of a record, or None. A missing label is no problem."""

    @abstractmethod
    def repairs(self, record: Record) -> int:
        """How many labels of a record were mended because the user asked for that."""

    @abstractmethod
    def gold(self, record: Record) -> Gold | None:
        """The gold labels of a record, or None if it has none."""

    @abstractmethod
    def targets(self, records: Sequence[Record], inputs: Inputs) -> dict[str, Tensor]:
        """Gold labels as named tensors, `IGNORE` or nan where a record has none."""

    @abstractmethod
    def count(self, targets: Mapping[str, Tensor]) -> int:
        """How many targets count: what `loss` is to be divided by for a mean."""

    @abstractmethod
    def forward(self, hidden: Tensor, inputs: Inputs) -> Tensor:
        """Logits from hidden states of shape (rows, tokens, width)."""

    @abstractmethod
    def loss(self, logits: Tensor, targets: Mapping[str, Tensor]) -> Tensor:
        """Summed loss, a scalar.

        Divided by the `count` of a whole step it adds up to an exact mean over passes and ranks.
        """

    @abstractmethod
    def decode(self, logits: Tensor, records: Sequence[Record], inputs: Inputs) -> list[Prediction]:
        """One prediction per record, in the order of the batch."""

    @abstractmethod
    def tune(
        self, gold: Sequence[Gold | None], predicted: Sequence[Prediction]
    ) -> Sequence[Prediction]:
        """Fits to dev what training does not, such as thresholds: a part of `facts` from then on.

        Gives the predictions as the tuned head makes them. `gold` is None where a record has none.
        """

    @abstractmethod
    def score(self, gold: Sequence[Gold], predicted: Sequence[Prediction]) -> Scores:
        """Metrics over records that have gold labels."""

    @abstractmethod
    def label_counts(self, records: Iterable[Record]) -> tuple[dict[str, int], int, float]:
        """Counts of labels, records without any, the headline of the best constant answer."""


class TokenHead(Head, ABC):
    """A head that answers with tokens, and shares their embeddings with the encoder."""

    @abstractmethod
    def tie(self, embeddings: nn.Parameter) -> None:
        """Takes the embeddings of all tokens: (tokens, width of embeddings)."""


class PlainHead(Head, ABC):
    """A head that takes labels as they are given, and fits nothing to dev."""

    def repairs(self, record: Record) -> int:
        """None: nothing is mended."""
        return 0

    def tune(
        self, gold: Sequence[Gold | None], predicted: Sequence[Prediction]
    ) -> Sequence[Prediction]:
        """The predictions as they are."""
        return predicted


def pool_mean(hidden: Tensor, mask: Tensor) -> Tensor:
    """Mean of the hidden states of real tokens: (rows, tokens, width) to (rows, width)."""
    weights = mask.unsqueeze(-1).to(hidden.dtype)  # (rows, tokens, 1)
    return (hidden * weights).sum(1) / weights.sum(1).clamp(min=1)


def word_states(hidden: Tensor, inputs: Inputs) -> Tensor:
    """Hidden state of the first token of each word: (rows, tokens, width) to (rows, words, width).

    Where no word stands it is that of the first token of the row.
    """
    places = inputs.word_starts.clamp(min=0)  # (rows, words)
    rows = torch.arange(len(places), device=places.device).unsqueeze(-1)  # (rows, 1)
    return hidden[rows, places]


def pair_features(pooled: Tensor) -> Tensor:
    """[u, v, |u - v|, u * v] of alternating towers: (2 x records, width) to (records, 4 x width).

    Conneau et al. (EMNLP 2017) without and with u, v alike.
    """
    left, right = pooled[0::2], pooled[1::2]  # (records, width)
    return torch.cat([left, right, (left - right).abs(), left * right], dim=-1)

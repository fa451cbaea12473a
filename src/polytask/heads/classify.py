"""`kind: classify`: one of several labels for a text or a pair."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Literal, cast

from pydantic import Field
from torch import Tensor, nn

from polytask.data.batching import Inputs
from polytask.data.columns import LABEL, Need
from polytask.data.records import Record
from polytask.data.views import text_view
from polytask.heads.head import (
    Gold,
    Plain,
    PlainHead,
    Prediction,
    Scores,
    Unknown,
    pair_features,
    pool_mean,
)
from polytask.heads.imbalance import ClassWeights, recall_by_frequency
from polytask.heads.one_label import OneLabel
from polytask.heads.probable import Chance, TemperedHead, one_chance
from polytask.heads.reading import ReadableHead, signals_of_records
from polytask.metrics.classes import accuracy, class_table, confusion, macro_f1, matthews

_MANY = 20
"""With more labels than this, recall is told apart by how frequent they are in train."""


class Classify(PlainHead, ReadableHead, TemperedHead):
    """One of several labels for a text or a pair of texts (sentiment, topic, intent, inference)."""

    def __init__(
        self,
        *,
        label: str = "label",
        text: str | list[str] | None = None,
        words: str | list[str] | None = None,
        pair: Literal["cross", "towers"] = "cross",
        labels: list[str] | None = None,
        unknown: Unknown = "refused",
        class_weights: ClassWeights = None,
        focal: Annotated[float, Field(ge=0)] = 0.0,
        logit_adjustment: Annotated[float, Field(ge=0)] = 0.0,
        adjust: Literal["training", "answers"] = "training",
        label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0,
        dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1,
    ) -> None:
        super().__init__()
        self.view = text_view(text, words, pair)
        self.one = OneLabel(
            label,
            labels=labels,
            unknown=unknown,
            class_weights=class_weights,
            focal=focal,
            logit_adjustment=logit_adjustment,
            adjust=adjust,
            label_smoothing=label_smoothing,
        )
        self.has_towers = pair == "towers"
        self.dropout = nn.Dropout(dropout)

    @property
    def needs(self) -> Mapping[str, Need]:
        """The label column."""
        return {self.one.column: Need(LABEL, required=False)}

    @property
    def headline(self) -> str:
        """Accuracy."""
        return "accuracy"

    @property
    def num_classes(self) -> int:
        """The labels."""
        return len(self.one.labels)

    @property
    def plain(self) -> Plain:
        """One label a record."""
        return Plain("label", lambda gold: gold, lambda label: {"label": label})

    def fit(self, records: Iterable[Record]) -> list[str]:
        """Learns the labels, in alphabetical order unless they are given, and their weights."""
        return self.one.fit(records)

    def facts(self) -> dict[str, object]:
        """Labels, how often each occurs in train, and their weights where there are any."""
        return self.one.facts()

    def restore(self, facts: Mapping[str, object]) -> None:
        """Takes back labels, counts and weights."""
        self.one.restore(facts)

    def attach(self, width: int) -> None:
        """One linear layer."""
        self.one.attach()
        self.project = nn.Linear(width * (4 if self.has_towers else 1), len(self.one.labels))

    def problem(self, record: Record) -> str | None:
        """A label that was not in the training data."""
        return self.one.problem(record)

    def gold(self, record: Record) -> str | None:
        """The label."""
        return self.one.gold(record)

    def targets(self, records: Sequence[Record], inputs: Inputs) -> dict[str, Tensor]:
        """labels: (records,)."""
        return self.one.targets(records)

    def count(self, targets: Mapping[str, Tensor]) -> int:
        """Records with a label."""
        return self.one.count(targets)

    def forward(self, hidden: Tensor, inputs: Inputs) -> Tensor:
        """Logits of shape (records, labels)."""
        pooled = pool_mean(hidden, inputs.mask)  # (rows, width)
        features = pair_features(pooled) if self.has_towers else pooled
        logits: Tensor = self.project(self.dropout(features))  # (records, labels)
        return logits

    @property
    def signal_names(self) -> Sequence[str]:
        """The labels."""
        return self.one.labels

    def signals(self, logits: Tensor, inputs: Inputs) -> Tensor:
        """Probabilities of the labels, at every token."""
        return signals_of_records(logits.float().softmax(-1), inputs)

    def loss(self, logits: Tensor, targets: Mapping[str, Tensor]) -> Tensor:
        """Cross-entropy, with what unequal frequencies ask for."""
        return self.one.loss(logits, targets)

    def surprise(self, logits: Tensor, targets: Mapping[str, Tensor], temperature: float) -> Tensor:
        """That of the labels."""
        return self.one.surprise(self.one.scores(logits) / temperature, targets)

    def decode(self, logits: Tensor, records: Sequence[Record], inputs: Inputs) -> list[Prediction]:
        """`{"label": text, "probability": number}`."""
        return self.one.decode(self.one.scores(logits) / self.temperature)

    def chances(self, gold: Gold, prediction: Prediction) -> list[Chance]:
        """That of the label."""
        return one_chance(gold, prediction)

    def score(self, gold: Sequence[Gold], predicted: Sequence[Prediction]) -> Scores:
        """Accuracy, macro F1, Matthews correlation, the table of classes, the confusion matrix.

        With many labels also the mean recall of the third most frequent in train, the middle, and
        the rarest.
        """
        truth = cast(Sequence[str], gold)
        answers = [cast(str, prediction["label"]) for prediction in predicted]
        labels = self.one.labels_and(truth)
        table = class_table(truth, answers, labels)
        metrics = {
            "accuracy": accuracy(truth, answers),
            "macro_f1": macro_f1(truth, answers),
            "matthews": matthews(truth, answers),
        }
        if len(self.one.labels) > _MANY:
            metrics |= recall_by_frequency(table, self.one.counts)
        return Scores(
            metrics=metrics,
            count=len(truth),
            table=table,
            labels=labels,
            confusion=confusion(truth, answers, labels),
        )

    def label_counts(self, records: Iterable[Record]) -> tuple[dict[str, int], int, float]:
        """Counts of labels, records without one, share of the most frequent."""
        return self.one.label_counts(records)

"""`kind: classify`: one of several labels for a text or a pair."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Literal, cast

import torch
from pydantic import Field
from torch import Tensor, nn

from polytask.data.batching import Inputs
from polytask.data.columns import LABEL, Need
from polytask.data.records import Record
from polytask.data.views import text_view
from polytask.heads.head import (
    IGNORE,
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
from polytask.heads.probable import Chance, LabelledHead, one_chance
from polytask.heads.reading import ReadableHead, signals_of_records
from polytask.heads.scope import Scope, ScopedHead, Seen, scope_metrics
from polytask.metrics.classes import accuracy, class_table, confusion, macro_f1, matthews

_FALSE_REJECTS = 0.05
_MANY = 20
"""With more labels than this, recall is told apart by how frequent they are in train."""


class Classify(PlainHead, ReadableHead, LabelledHead, ScopedHead):
    """One of several labels for a text or a pair of texts (sentiment, topic, intent, inference)."""

    answers_once = True

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
        out_of_scope: str | None = None,
        false_rejects: Annotated[float, Field(gt=0, lt=1)] | None = None,
        dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1,
    ) -> None:
        super().__init__()
        self.view = text_view(text, words, pair)
        self.one = OneLabel(
            label,
            labels=labels,
            unknown=unknown,
            outside=out_of_scope,
            class_weights=class_weights,
            focal=focal,
            logit_adjustment=logit_adjustment,
            adjust=adjust,
            label_smoothing=label_smoothing,
        )
        self.has_towers = pair == "towers"
        self.dropout = nn.Dropout(dropout)
        is_scoped = out_of_scope is not None or false_rejects is not None
        self._scope = Scope(false_rejects or _FALSE_REJECTS) if is_scoped else None

    @property
    def scope(self) -> Scope | None:
        """With `out_of_scope:` or `false_rejects:`."""
        return self._scope

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
        """One label a record, none for those out of scope."""
        outside = self.one.outside
        return Plain(
            "label",
            lambda gold: None if gold == outside else gold,
            lambda label: {"label": label},
        )

    def fit(self, records: Iterable[Record]) -> list[str]:
        """Learns the labels, in alphabetical order unless they are given, and their weights."""
        return self.one.fit(records)

    def facts(self) -> dict[str, object]:
        """Labels, how often each occurs in train, their weights, and what is out of scope."""
        scope = {} if self._scope is None else {"scope": self._scope.facts()}
        return {**self.one.facts(), **scope}

    def restore(self, facts: Mapping[str, object]) -> None:
        """Takes back what `facts` gave."""
        self.one.restore(facts)
        if self._scope is not None and "scope" in facts:
            self._scope.restore(cast(Mapping[str, object], facts["scope"]))

    def attach(self, width: int) -> None:
        """One linear layer."""
        self.one.attach()
        if self._scope is not None:
            self._scope.attach()
        self.project = nn.Linear(width * (4 if self.has_towers else 1), len(self.one.labels))

    def problem(self, record: Record) -> str | None:
        """A label that was not in the training data."""
        return self.one.problem(record)

    def gold(self, record: Record) -> str | None:
        """The label."""
        return self.one.gold(record)

    def targets(self, records: Sequence[Record], inputs: Inputs) -> dict[str, Tensor]:
        """labels: (records,); is_outside: (records,), of those out of scope."""
        is_outside = torch.tensor([self.gold(record) == self.one.outside for record in records])
        has_label = torch.tensor([self.gold(record) is not None for record in records])
        return {**self.one.targets(records), "is_outside": is_outside & has_label}

    def count(self, targets: Mapping[str, Tensor]) -> int:
        """Records with a label."""
        return self.one.count(targets)

    def forward(self, hidden: Tensor, inputs: Inputs) -> Tensor:
        """Logits of shape (records, labels); to tell what is out of scope, behind them states."""
        pooled = pool_mean(hidden, inputs.mask)  # (rows, width)
        features = pair_features(pooled) if self.has_towers else pooled
        logits: Tensor = self.project(self.dropout(features))  # (records, labels)
        is_asked = self._scope is not None and not self.training
        return torch.cat([logits, features], dim=1) if is_asked else logits

    @property
    def signal_names(self) -> Sequence[str]:
        """The labels."""
        return self.one.labels

    def signals(self, logits: Tensor, inputs: Inputs) -> Tensor:
        """Probabilities of the labels, at every token."""
        return signals_of_records(self._parted(logits)[0].softmax(-1), inputs)

    def loss(self, logits: Tensor, targets: Mapping[str, Tensor]) -> Tensor:
        """Cross-entropy, with what unequal frequencies ask for."""
        return self.one.loss(self._parted(logits)[0], targets)

    def surprise(self, logits: Tensor, targets: Mapping[str, Tensor], temperature: float) -> Tensor:
        """That of the labels."""
        scores = self.one.scores(self._parted(logits)[0])  # (records, labels)
        return self.one.surprise(scores / temperature, targets)

    def seen(self, logits: Tensor, targets: Mapping[str, Tensor]) -> Seen:
        """Those with a label of train, and those out of scope."""
        labels = targets["labels"].masked_fill(targets["is_outside"], -1)  # (records,)
        seen = Seen(*(one.cpu() for one in (*self._parted(logits), labels)))
        return seen.some(seen.labels != IGNORE)

    def decode(self, logits: Tensor, records: Sequence[Record], inputs: Inputs) -> list[Prediction]:
        """`{"label": text, "probability": number}`.

        Where asked for also `is_out_of_scope`, and by what `strangeness` that is decided.
        """
        scores, states = self._parted(logits)
        found = self.one.decode(self.one.scores(scores) / self.temperature)
        if self._scope is None or self._scope.kind is None:
            return found
        strangeness = self._scope.scores(scores, states).tolist()
        for prediction, one in zip(found, strangeness, strict=True):
            is_outside = one > self._scope.threshold
            prediction |= {"is_out_of_scope": is_outside, "strangeness": float(f"{one:.6g}")}
        return found

    def _parted(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """Logits and the states behind them, if there are any."""
        num = len(self.one.labels)
        return logits[:, :num].float(), logits[:, num:].float()

    @property
    def label_names(self) -> Sequence[str]:
        """The labels."""
        return self.one.labels

    def likelihoods(self, logits: Tensor) -> Tensor:
        """Those by which it decides."""
        return (self.one.scores(self._parted(logits)[0]) / self.temperature).softmax(-1)

    def chances(self, gold: Gold, prediction: Prediction) -> list[Chance]:
        """That of the label; none for a text out of scope, which no label fits."""
        return [] if gold == self.one.outside else one_chance(gold, prediction)

    def score(self, gold: Sequence[Gold], predicted: Sequence[Prediction]) -> Scores:
        """Accuracy, macro F1, Matthews correlation, the table of classes, the confusion matrix.

        With many labels also the mean recall of the third most frequent in train, the middle, and
        the rarest. Of texts out of scope it tells apart how many are found.
        """
        outside = [label == self.one.outside for label in gold]
        inside = [place for place, is_outside in enumerate(outside) if not is_outside]
        truth = [cast(str, gold[place]) for place in inside]
        answers = [cast(str, predicted[place]["label"]) for place in inside]
        labels = self.one.labels_and(truth)
        table = class_table(truth, answers, labels)
        metrics = {
            "accuracy": accuracy(truth, answers),
            "macro_f1": macro_f1(truth, answers),
            "matthews": matthews(truth, answers),
        }
        if len(self.one.labels) > _MANY:
            metrics |= recall_by_frequency(table, self.one.counts)
        metrics |= scope_metrics(outside, predicted)
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

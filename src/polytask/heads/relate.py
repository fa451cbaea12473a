"""`kind: relate`: how two marked spans of a text relate, and which way."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, cast

from pydantic import Field
from torch import Tensor, nn

from polytask.data.batching import NO_WORD, Inputs
from polytask.data.columns import LABEL, Need
from polytask.data.part_views import OPENING, MarkedView
from polytask.data.records import Record
from polytask.errors import ConfigError
from polytask.heads.head import (
    IGNORE,
    Gold,
    Plain,
    PlainHead,
    Prediction,
    Scores,
    Unknown,
    word_states,
)
from polytask.heads.imbalance import ClassWeights
from polytask.heads.one_label import OneLabel
from polytask.heads.probable import Chance, LabelledHead, one_chance
from polytask.metrics.classes import class_table, confusion
from polytask.metrics.relations import relation_metrics


class Relate(PlainHead, LabelledHead):
    """The relation between two spans, from the states of the marks before them.

    Sources: Baldini Soares et al., "Matching the Blanks" (ACL 2019), for the states of the opening
    marks; Zhou and Chen (AACL 2022) for the marks.
    """

    view: MarkedView
    answers_once = True

    def __init__(
        self,
        *,
        text: str = "text",
        spans: list[str] | None = None,
        label: str = "label",
        none: str | None = None,
        unknown: Unknown = "refused",
        class_weights: ClassWeights = None,
        dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1,
    ) -> None:
        super().__init__()
        columns = ["e1", "e2"] if spans is None else spans
        if len(columns) != 2 or columns[0] == columns[1]:
            raise ConfigError("`spans:` takes two columns, such as [e1, e2]")
        self.view = MarkedView(text, (columns[0], columns[1]))
        self.none = none
        self.one = OneLabel(label, unknown=unknown, class_weights=class_weights)
        self.dropout = nn.Dropout(dropout)

    @property
    def needs(self) -> Mapping[str, Need]:
        """The label column."""
        return {self.one.column: Need(LABEL, required=False)}

    @property
    def headline(self) -> str:
        """Mean F1 of the types of relation."""
        return "macro_f1"

    @property
    def num_classes(self) -> int:
        """The labels."""
        return len(self.one.labels)

    @property
    def plain(self) -> Plain:
        """One label a record."""
        return Plain("label", lambda gold: gold, lambda label: {"label": label})

    def fit(self, records: Iterable[Record]) -> list[str]:
        """Learns the relations."""
        warnings = self.one.fit(records)
        if self.none is not None and self.none not in self.one.labels:
            raise ConfigError(f"`none: {self.none}` is no label of column '{self.one.column}'")
        return warnings

    def facts(self) -> dict[str, object]:
        """Labels, counts and weights."""
        return self.one.facts()

    def restore(self, facts: Mapping[str, object]) -> None:
        """Takes back labels."""
        self.one.restore(facts)

    def attach(self, width: int) -> None:
        """A hidden layer over both marks, then a linear one."""
        self.one.attach()
        self.hidden = nn.Linear(2 * width, width)
        self.project = nn.Linear(width, len(self.one.labels))

    def problem(self, record: Record) -> str | None:
        """A span outside of the text or not the text it says it is, an unknown label."""
        text = cast(str, record[self.view.text])
        spans = [cast(Mapping[str, object], record[column]) for column in self.view.spans]
        for column, span in zip(self.view.spans, spans, strict=True):
            start, end = cast(int, span["start"]), cast(int, span["end"])
            if end > len(text) or not text[start:end].strip():
                return f"column '{column}': no text stands from {start} to {end}"
            if span["text"] is not None and span["text"] != text[start:end]:
                return f"column '{column}': characters {start} to {end} are '{text[start:end]}'"
        return self.one.problem(record)

    def gold(self, record: Record) -> str | None:
        """The relation."""
        return self.one.gold(record)

    def targets(self, records: Sequence[Record], inputs: Inputs) -> dict[str, Tensor]:
        """labels: (records,)."""
        labels = self.one.targets(records)["labels"]  # (records,)
        return {"labels": labels.masked_fill(~_has_marks(inputs), IGNORE)}

    def count(self, targets: Mapping[str, Tensor]) -> int:
        """Records with a label, of which no mark was cut off."""
        return self.one.count(targets)

    def forward(self, hidden: Tensor, inputs: Inputs) -> Tensor:
        """Logits of shape (records, labels)."""
        marks = word_states(hidden, inputs)[:, OPENING].flatten(1)  # (records, 2 x width)
        inner = nn.functional.gelu(self.hidden(self.dropout(marks)))  # (records, width)
        logits: Tensor = self.project(self.dropout(inner))  # (records, labels)
        return logits

    def loss(self, logits: Tensor, targets: Mapping[str, Tensor]) -> Tensor:
        """Cross-entropy."""
        return self.one.loss(logits, targets)

    def surprise(self, logits: Tensor, targets: Mapping[str, Tensor], temperature: float) -> Tensor:
        """That of the relations."""
        return self.one.surprise(self.one.scores(logits) / temperature, targets)

    def decode(self, logits: Tensor, records: Sequence[Record], inputs: Inputs) -> list[Prediction]:
        """`{"label": text, "probability": number}`; None and 0 if a mark was cut off."""
        nothing: Prediction = {"label": None, "probability": 0.0}
        found = zip(
            self.one.decode(self.one.scores(logits) / self.temperature),
            _has_marks(inputs).tolist(),
            strict=True,
        )
        return [prediction if has_marks else {**nothing} for prediction, has_marks in found]

    @property
    def label_names(self) -> Sequence[str]:
        """The labels."""
        return self.one.labels

    def likelihoods(self, logits: Tensor) -> Tensor:
        """Those by which it decides."""
        return (self.one.scores(logits) / self.temperature).softmax(-1)

    def chances(self, gold: Gold, prediction: Prediction) -> list[Chance]:
        """That of the relation."""
        return one_chance(gold, prediction)

    def score(self, gold: Sequence[object], predicted: Sequence[Prediction]) -> Scores:
        """Macro F1 of types, micro F1, accuracy, the table of labels, the confusion matrix."""
        truth = cast(Sequence[str], gold)
        answers = [cast(str | None, prediction["label"]) for prediction in predicted]
        labels = self.one.labels_and(truth)
        return Scores(
            metrics=relation_metrics(truth, answers, self.none),
            count=len(truth),
            table=class_table(truth, answers, labels),
            labels=labels,
            confusion=confusion(truth, answers, labels),
        )

    def label_counts(self, records: Iterable[Record]) -> tuple[dict[str, int], int, float]:
        """Counts of relations, records without one, macro F1 of the best constant answer."""
        counts, missing, _ = self.one.label_counts(records)
        gold = [label for label, num in counts.items() for _ in range(num)]
        constant = [relation_metrics(gold, [label] * len(gold), self.none) for label in counts]
        best = max((scores["macro_f1"] for scores in constant), default=float("nan"))
        return counts, missing, best


def _has_marks(inputs: Inputs) -> Tensor:
    """Whether neither mark was cut off: (records,)."""
    marks: Tensor = (inputs.word_starts[:, OPENING] != NO_WORD).all(1)
    return marks

"""`kind: tag`: a label for each word, or the spans that BIO labels spell."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Literal, cast

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as nnf

from polytask.data.batching import NO_WORD, Inputs
from polytask.data.columns import LABELS, Need
from polytask.data.records import Record
from polytask.data.views import text_view, word_spans, word_texts
from polytask.errors import DataError, did_you_mean
from polytask.heads.crf import CRF
from polytask.heads.head import IGNORE, Gold, Head, Prediction, Scores
from polytask.metrics.classes import accuracy, class_table, confusion
from polytask.metrics.entities import (
    bio_fault,
    entity_table,
    is_entity_scheme,
    repair_bio,
    spans_of,
)

_OUTSIDE = "O"


class Tag(Head):
    """A label for each word (part of speech), or entities and slots as BIO labels."""

    def __init__(
        self,
        *,
        words: str | list[str],
        tags: str = "tags",
        decoder: Literal["softmax", "crf"] = "softmax",
        repair: bool = False,
        dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1,
    ) -> None:
        super().__init__()
        self.view = text_view(None, words)
        self.words = self.view.columns[0]
        self.column = tags
        self.decoder = decoder
        self.repair = repair
        self.dropout = nn.Dropout(dropout)
        self.labels: list[str] = []
        self.has_spans = False

    @property
    def needs(self) -> Mapping[str, Need]:
        """The column of labels."""
        return {self.column: Need(LABELS, required=False)}

    @property
    def headline(self) -> str:
        """F1 of entities, or accuracy of plain labels."""
        return "entity_f1" if self.has_spans else "accuracy"

    def fit(self, records: Iterable[Record]) -> list[str]:
        """Learns the labels in alphabetical order, and whether they spell spans."""
        counts = self._count(records)
        if len(counts) < 2:
            raise DataError(
                f"column '{self.column}' holds {len(counts)} different labels, but 2 are needed"
            )
        self.has_spans = is_entity_scheme(counts)
        if self.has_spans:
            repaired = (
                {"I": "B", "E": "S"}.get(label[0], label[0]) + label[1:] for label in counts
            )
            self.labels = sorted({*counts, *repaired, _OUTSIDE})
        else:
            self.labels = sorted(counts)
        warnings = [f"label '{name}' is seen once" for name in self.labels if counts[name] == 1]
        has_no_effect = self.repair and not self.has_spans
        return warnings + ["`repair:` has no effect on labels that are not BIO"] * has_no_effect

    def facts(self) -> dict[str, object]:
        """Labels, and whether they spell spans."""
        return {"labels": self.labels, "has_spans": self.has_spans}

    def restore(self, facts: Mapping[str, object]) -> None:
        """Takes back labels."""
        self.labels = list(cast(list[str], facts["labels"]))
        self.has_spans = bool(facts["has_spans"])

    def attach(self, width: int) -> None:
        """One linear layer, and the transitions of a CRF if asked for."""
        self.project = nn.Linear(width, len(self.labels))
        self.index = {label: i for i, label in enumerate(self.labels)}
        self.crf = CRF(self.labels) if self.decoder == "crf" else None

    def problem(self, record: Record) -> str | None:
        """Not one label a word, an unknown label, or an I- label without its B-."""
        tags = cast(list[str] | None, record.get(self.column))
        if tags is None:
            return None
        num_words = len(word_texts(record[self.words]))
        if len(tags) != num_words:
            return f"{num_words} words but {len(tags)} labels in column '{self.column}'"
        if self.has_spans and not self.repair and (fault := bio_fault(tags)):
            return f"{fault}. Mend the file, or say `repair: true`"
        unknown = [tag for tag in self._repaired(tags) if tag not in self.labels]
        if not unknown:
            return None
        hint = did_you_mean(unknown[0], self.labels)
        return f"label '{unknown[0]}' is not one of the labels. {hint}"

    def repairs(self, record: Record) -> int:
        """Labels that `repair: true` turned into the start of an entity."""
        tags = cast(list[str] | None, record.get(self.column))
        return repair_bio(tags)[1] if tags and self.repair and self.has_spans else 0

    def gold(self, record: Record) -> list[str] | None:
        """One label a word."""
        tags = cast(list[str] | None, record.get(self.column))
        return None if tags is None else self._repaired(tags)

    def targets(self, records: Sequence[Record], inputs: Inputs) -> dict[str, Tensor]:
        """labels: (records, words); has_word: (records, words), false where nothing stands."""
        has_word = inputs.word_starts != NO_WORD  # (records, words)
        labels = torch.full_like(inputs.word_starts, IGNORE)  # (records, words)
        for row, record in enumerate(records):
            tags = self.gold(record)
            if tags is not None:
                labels[row, : len(tags)] = torch.tensor([self.index[tag] for tag in tags])
        return {"labels": labels.masked_fill(~has_word, IGNORE), "has_word": has_word}

    def count(self, targets: Mapping[str, Tensor]) -> int:
        """Words with a label that were not cut off."""
        return int((targets["labels"] != IGNORE).sum())

    def forward(self, hidden: Tensor, inputs: Inputs) -> Tensor:
        """Logits of shape (records, words, labels), each from the word's first token."""
        places = inputs.word_starts.clamp(min=0)  # (records, words)
        rows = torch.arange(len(places), device=places.device).unsqueeze(-1)  # (records, 1)
        words = hidden[rows, places]  # (records, words, width)
        logits: Tensor = self.project(self.dropout(words))  # (records, words, labels)
        return logits

    def loss(self, logits: Tensor, targets: Mapping[str, Tensor]) -> Tensor:
        """Cross-entropy of each word, or of each sentence under a CRF."""
        labels = targets["labels"]  # (records, words)
        if self.crf is None:
            flat = logits.float().flatten(0, 1)  # (records x words, labels)
            return nnf.cross_entropy(flat, labels.flatten(), ignore_index=IGNORE, reduction="sum")
        likelihood: Tensor = self.crf.log_likelihood(logits, labels.clamp(min=0), labels != IGNORE)
        return -likelihood.sum()

    def decode(self, logits: Tensor, records: Sequence[Record], inputs: Inputs) -> list[Prediction]:
        """`{"tags": [...], "words": [...]}`; with BIO labels also `spans` with character offsets.

        A word that was cut off has the tag None.
        """
        has_word = inputs.word_starts != NO_WORD  # (records, words)
        best = logits.argmax(-1) if self.crf is None else self.crf.viterbi(logits, has_word)
        return [
            self._prediction(record, places, there)
            for record, places, there in zip(records, best.tolist(), has_word.tolist(), strict=True)
        ]

    def _prediction(
        self, record: Record, places: Sequence[int], there: Sequence[bool]
    ) -> Prediction:
        text, offsets = word_spans(record[self.words])
        tags: list[str | None] = [None] * len(offsets)
        for word in range(len(offsets)):
            if word < len(there) and there[word]:
                tags[word] = self.labels[places[word]]
        found: Prediction = {"tags": tags, "words": [text[start:end] for start, end in offsets]}
        if self.has_spans:
            found["spans"] = [
                {
                    "label": span.label,
                    "text": text[offsets[span.start][0] : offsets[span.end - 1][1]],
                    "start": offsets[span.start][0],
                    "end": offsets[span.end - 1][1],
                }
                for span in spans_of(tags)
            ]
        return found

    def tune(
        self, gold: Sequence[Gold | None], predicted: Sequence[Prediction]
    ) -> Sequence[Prediction]:
        """Nothing is fitted to dev."""
        return predicted

    def score(self, gold: Sequence[Gold], predicted: Sequence[Prediction]) -> Scores:
        """F1 of entities by seqeval's rules, or accuracy of words; a cut word counts as wrong."""
        truth = cast(Sequence[list[str]], gold)
        answers = [cast(list[str | None], prediction["tags"]) for prediction in predicted]
        flat_truth = [tag for tags in truth for tag in tags]
        flat = [tag for tags in answers for tag in tags]
        metrics = {"accuracy": accuracy(flat_truth, flat)}
        table = class_table(flat_truth, flat, self.labels)
        if self.has_spans:
            table = entity_table(truth, answers)
            micro = next(row for row in table.averages if row.label.startswith("micro"))
            metrics = {
                "entity_f1": micro.f1,
                "entity_precision": micro.precision,
                "entity_recall": micro.recall,
                **metrics,
            }
        return Scores(
            metrics=metrics,
            count=len(truth),
            table=table,
            labels=self.labels,
            confusion=confusion(flat_truth, flat, self.labels),
        )

    def label_counts(self, records: Iterable[Record]) -> tuple[dict[str, int], int, float]:
        """Counts of labels, records without any, accuracy of the most frequent (0 for spans)."""
        counts: Counter[str] = Counter()
        missing = 0
        for record in records:
            tags = self.gold(record)
            missing += tags is None
            counts.update(tags or ())
        best = max(counts.values(), default=0) / max(counts.total(), 1)
        return dict(counts.most_common()), missing, 0.0 if self.has_spans else best

    def _count(self, records: Iterable[Record]) -> Counter[str]:
        return Counter(tag for record in records for tag in self.gold(record) or ())

    def _repaired(self, tags: list[str]) -> list[str]:
        return repair_bio(tags)[0] if self.repair and self.has_spans else tags

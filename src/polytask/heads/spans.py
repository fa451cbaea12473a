"""`kind: spans`: stretches of a text, each with a type; they may lie in one another or overlap."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, cast

import torch
from pydantic import Field
from torch import Tensor, nn

from polytask.data.batching import NO_WORD, Inputs
from polytask.data.columns import LABELS, SPANS, Need
from polytask.data.records import Record
from polytask.data.views import text_view, word_spans
from polytask.errors import ConfigError, DataError, did_you_mean
from polytask.heads.biaffine import Biaffine
from polytask.heads.head import NEVER, Gold, PlainHead, Prediction, Scores, word_states
from polytask.heads.probable import Chance, TemperedHead
from polytask.heads.span_pairs import (
    Overlap,
    both_there,
    in_order,
    inside_words,
    is_of_words,
    loosest,
    overlap_among,
    pair_surprise,
    read_spans,
    shown_span,
    span_chances,
    span_fault,
    spans_in,
    words_of,
    zlpr,
)
from polytask.metrics.entities import Span, bio_fault, span_table, spans_of

_LONGEST = 16
"""From this many words on, spans count as equally long."""


class Spans(PlainHead, TemperedHead):
    """Entities, also nested and overlapping ones: a score for each pair of first and last word.

    Sources: Yu, Bohnet and Poesio, "Named Entity Recognition as Dependency Parsing" (ACL 2020); the
    loss is that of Su et al., "ZLPR: A Novel Loss for Multi-label Classification" (2022).
    """

    def __init__(
        self,
        *,
        text: str | None = None,
        words: str | None = None,
        spans: str | None = None,
        tags: str | None = None,
        inner_width: Annotated[int, Field(ge=1, le=1024)] = 128,
        dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1,
    ) -> None:
        super().__init__()
        self.view = text_view(text, words, split=True)
        if spans is not None and words is not None:
            raise ConfigError("`spans:` are stretches of a `text:`. Of `words:` name the `tags:`")
        if tags is not None and text is not None:
            raise ConfigError("`tags:` are labels of `words:`. Of a `text:` name the `spans:`")
        self.source = self.view.columns[0]
        self.has_tags = words is not None
        self.column = (tags or "tags") if self.has_tags else (spans or "spans")
        self.inner_width = inner_width
        self.share = dropout
        self.dropout = nn.Dropout(dropout)
        self.labels: list[str] = []
        self.overlap: Overlap = "none"

    @property
    def needs(self) -> Mapping[str, Need]:
        """The column of spans or of BIO labels."""
        return {self.column: Need(LABELS if self.has_tags else SPANS, required=False)}

    @property
    def headline(self) -> str:
        """F1 of spans with the right type and ends."""
        return "span_f1"

    def fit(self, records: Iterable[Record]) -> list[str]:
        """Learns the types, and whether spans of a text share words."""
        counts, overlaps = Counter[str](), set[Overlap]()
        num_cut = 0
        for record in records:
            spans = self.gold(record) or []
            counts.update(span.label for span in spans)
            overlaps.add(overlap_among(spans))
            _, offsets = word_spans(record[self.source])
            num_cut += sum(not is_of_words(span, offsets) for span in spans)
        if not counts:
            raise DataError(f"column '{self.column}' holds no span")
        self.labels = sorted(counts)
        self.overlap = loosest(overlaps)
        warnings = [f"span type '{name}' is seen once" for name in self.labels if counts[name] == 1]
        return warnings + inside_words(num_cut, "spans")

    def facts(self) -> dict[str, object]:
        """The types, and whether spans share words."""
        return {"labels": self.labels, "overlap": self.overlap}

    def restore(self, facts: Mapping[str, object]) -> None:
        """Takes back types and overlap."""
        self.labels = list(cast(list[str], facts["labels"]))
        self.overlap = cast(Overlap, facts["overlap"])

    def attach(self, width: int) -> None:
        """A biaffine layer, and a score for each length of a span."""
        self.pairs = Biaffine(
            width, inner=self.inner_width, labels=len(self.labels), dropout=self.share
        )
        self.lengths = nn.Parameter(torch.zeros(_LONGEST + 1, len(self.labels)))
        self.index = {label: i for i, label in enumerate(self.labels)}

    def problem(self, record: Record) -> str | None:
        """A span outside of its text, one whose text stands elsewhere, an unknown type."""
        value = record.get(self.column)
        if value is None:
            return None
        text, offsets = word_spans(record[self.source])
        fault = self._tag_fault(value, len(offsets)) if self.has_tags else span_fault(text, value)
        if fault:
            return fault
        labels = [span.label for span in self.gold(record) or []]
        unknown = [label for label in labels if label not in self.labels]
        if not unknown:
            return None
        hint = did_you_mean(unknown[0], self.labels)
        return f"span type '{unknown[0]}' is not one of the types. {hint}"

    def gold(self, record: Record) -> list[Span] | None:
        """The spans, in characters."""
        value = record.get(self.column)
        if value is None:
            return None
        if not self.has_tags:
            return spans_in(value)
        _, offsets = word_spans(record[self.source])
        return [
            Span(span.label, offsets[span.start][0], offsets[span.end - 1][1])
            for span in spans_of(cast(list[str], value))
        ]

    def targets(self, records: Sequence[Record], inputs: Inputs) -> dict[str, Tensor]:
        """spans: (records, words, words, types), of first and last word; is_known: (records,)."""
        num_rows, num_words = inputs.word_starts.shape
        spans = torch.zeros(num_rows, num_words, num_words, len(self.labels), dtype=torch.bool)
        there = inputs.word_starts != NO_WORD  # (records, words)
        golds = [self.gold(record) for record in records]
        for row, (record, gold) in enumerate(zip(records, golds, strict=True)):
            _, offsets = word_spans(record[self.source])
            for span in gold or []:
                first, last = words_of(span, offsets)
                if last < num_words and there[row, first] and there[row, last]:
                    spans[row, first, last, self.index[span.label]] = True
        return {"spans": spans, "is_known": torch.tensor([gold is not None for gold in golds])}

    def count(self, targets: Mapping[str, Tensor]) -> int:
        """Records with spans or known to have none."""
        return int(targets["is_known"].sum())

    def forward(self, hidden: Tensor, inputs: Inputs) -> Tensor:
        """Score of each span, above 0 if it is one: (records, first words, last words, types)."""
        words = self.dropout(word_states(hidden, inputs))  # (records, words, width)
        places = torch.arange(words.shape[1], device=words.device)  # (words,)
        length = (places - places.unsqueeze(1)).clamp(0, _LONGEST)  # (first words, last words)
        scores: Tensor = self.pairs(words, words) + self.lengths[length]
        may_be = both_there(inputs) & (places >= places.unsqueeze(1)).unsqueeze(2)
        return scores.masked_fill(~may_be, NEVER)

    def loss(self, logits: Tensor, targets: Mapping[str, Tensor]) -> Tensor:
        """For each type log(1 + sum of exp(s) of wrong spans) + log(1 + sum of exp(-s) of gold)."""
        known = targets["is_known"]  # (records,)
        scores, gold = logits.float()[known].flatten(1, 2), targets["spans"][known].flatten(1, 2)
        return zlpr(scores, gold).sum()

    def decode(self, logits: Tensor, records: Sequence[Record], inputs: Inputs) -> list[Prediction]:
        """`{"spans": [{"label", "text", "start", "end", "probability"}]}` in order of the text.

        Of spans that share words in a way that train never shows the likelier stays.
        """
        scores = logits.float().cpu()
        return [self._prediction(*each) for each in zip(records, scores, strict=True)]

    def _prediction(self, record: Record, scores: Tensor) -> Prediction:
        text, offsets = word_spans(record[self.source])
        found = read_spans(scores, offsets, self.labels, self.overlap)
        chances = {span: score / self.temperature for span, score in found.items()}
        return {"spans": [shown_span(text, span, chances[span]) for span in in_order(found)]}

    def surprise(self, logits: Tensor, targets: Mapping[str, Tensor], temperature: float) -> Tensor:
        """That of all pairs of words, each a span or not."""
        known = targets["is_known"]  # (records,)
        return pair_surprise(logits[known], targets["spans"][known], temperature)

    def chances(self, gold: Gold, prediction: Prediction) -> list[Chance]:
        """Those of the spans that it found."""
        return span_chances(cast(Sequence[Span], gold), prediction["spans"])

    def score(self, gold: Sequence[object], predicted: Sequence[Prediction]) -> Scores:
        """Micro F1, precision and recall of spans; type and both ends must be right."""
        answers = [spans_in(prediction["spans"]) for prediction in predicted]
        table = span_table(cast(Sequence[list[Span]], gold), answers)
        micro = table.average("micro")
        metrics = {"span_f1": micro.f1, "precision": micro.precision, "recall": micro.recall}
        return Scores(metrics, len(gold), table)

    def label_counts(self, records: Iterable[Record]) -> tuple[dict[str, int], int, float]:
        """Counts of types, records without spans given, 0: no span is right everywhere."""
        counts: Counter[str] = Counter()
        missing = 0
        for record in records:
            spans = self.gold(record)
            missing += spans is None
            counts.update(span.label for span in spans or [])
        return dict(counts.most_common()), missing, 0.0

    def _tag_fault(self, value: object, num_words: int) -> str | None:
        tags = cast(list[str], value)
        if len(tags) != num_words:
            return f"{num_words} words but {len(tags)} labels in column '{self.column}'"
        return bio_fault(tags)

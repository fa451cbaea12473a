"""`kind: tag`: a label for each word, or the spans that BIO labels spell."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, cast

import torch
from pydantic import Field
from torch import Tensor, nn

from polytask.data.batching import NO_WORD, Inputs
from polytask.data.columns import LABELS, Need
from polytask.data.records import Record
from polytask.data.views import text_view, word_spans, word_texts
from polytask.errors import ConfigError
from polytask.heads.head import IGNORE, Gold, Plain, Prediction, Scores, Unknown, word_states
from polytask.heads.imbalance import ClassWeights, check_weights
from polytask.heads.probable import Chance, TemperedHead, word_chances
from polytask.heads.reading import ReadableHead, signals_of_words
from polytask.heads.word_labels import Decoder, Sure, WordLabels, shown_spans
from polytask.metrics.table import Table


class Tag(ReadableHead, TemperedHead):
    """A label for each word (part of speech), or entities and slots as BIO labels."""

    def __init__(
        self,
        *,
        words: str | list[str],
        tags: str | list[str] = "tags",
        decoder: Decoder = "softmax",
        repair: bool = False,
        unknown: Unknown = "refused",
        class_weights: ClassWeights = None,
        dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1,
    ) -> None:
        super().__init__()
        self.view = text_view(None, words)
        self.words = self.view.columns[0]
        columns = [tags] if isinstance(tags, str) else tags
        if not columns or len(set(columns)) < len(columns):
            raise ConfigError("`tags:` takes one column, or several different ones")
        if class_weights is not None and decoder == "crf":
            raise ConfigError("`class_weights:` weigh words, but a CRF learns whole sentences")
        check_weights(class_weights)
        self.columns = nn.ModuleDict(
            {
                _key(column): WordLabels(
                    column,
                    decoder=decoder,
                    repair=repair,
                    unknown=unknown,
                    class_weights=class_weights,
                )
                for column in columns
            }
        )
        self.dropout = nn.Dropout(dropout)

    @property
    def each(self) -> list[WordLabels]:
        """The columns of labels."""
        return cast(list[WordLabels], list(self.columns.values()))

    @property
    def needs(self) -> Mapping[str, Need]:
        """The columns of labels."""
        return {one.column: Need(LABELS, required=False) for one in self.each}

    @property
    def headline(self) -> str:
        """F1 of entities, or accuracy of plain labels; of several columns, the mean."""
        return "entity_f1" if all(one.has_spans for one in self.each) else "accuracy"

    @property
    def num_classes(self) -> int:
        """The labels of its column, of several columns their geometric mean."""
        counts = [len(one.labels) for one in self.each]
        return round(math.exp(math.fsum(map(math.log, counts)) / len(counts)))

    @property
    def plain(self) -> Plain | None:
        """The label of each word; None if words have several."""
        if len(self.each) > 1:
            return None
        return Plain("words", lambda gold: gold, lambda tags: {"tags": tags})

    def fit(self, records: Iterable[Record]) -> list[str]:
        """Learns the labels of each column."""
        counts, _ = self._count(records)
        return [warning for one in self.each for warning in one.fit(counts[one.column])]

    def facts(self) -> dict[str, object]:
        """Labels by column, and whether they spell spans."""
        return {one.column: one.facts() for one in self.each}

    def restore(self, facts: Mapping[str, object]) -> None:
        """Takes back labels."""
        for one in self.each:
            one.restore(cast(Mapping[str, object], facts[one.column]))

    def attach(self, width: int) -> None:
        """A linear layer for each column."""
        for one in self.each:
            one.attach(width)

    def problem(self, record: Record) -> str | None:
        """Not one label a word, an unknown label, or an I- label without its B-."""
        num_words = len(word_texts(record[self.words]))
        return next(filter(None, (one.problem(record, num_words) for one in self.each)), None)

    def repairs(self, record: Record) -> int:
        """Labels that `repair: true` turned into the start of an entity."""
        return sum(one.repairs(record) for one in self.each)

    def gold(self, record: Record) -> Gold | None:
        """One label a word; of several columns, those by column, None where one is missing."""
        found = {one.column: one.gold(record) for one in self.each}
        if all(tags is None for tags in found.values()):
            return None
        return found if len(found) > 1 else found[self.each[0].column]

    def targets(self, records: Sequence[Record], inputs: Inputs) -> dict[str, Tensor]:
        """labels: (records, words, columns)."""
        shape = (*inputs.word_starts.shape, len(self.each))
        labels = torch.full(shape, IGNORE)  # (records, words, columns)
        for row, record in enumerate(records):
            for column, one in enumerate(self.each):
                places = one.places(record)  # (words,)
                if places is not None:
                    labels[row, : len(places), column] = places
        has_word = (inputs.word_starts != NO_WORD).unsqueeze(2)  # (records, words, 1)
        return {"labels": labels.masked_fill(~has_word, IGNORE)}

    def count(self, targets: Mapping[str, Tensor]) -> int:
        """Labels of words that were not cut off."""
        return int((targets["labels"] != IGNORE).sum())

    def forward(self, hidden: Tensor, inputs: Inputs) -> Tensor:
        """Logits from the first token of each word: (records, words, labels of all columns)."""
        words = self.dropout(word_states(hidden, inputs))  # (records, words, width)
        return torch.cat([one(words) for one in self.each], dim=-1)

    @property
    def signal_names(self) -> Sequence[str]:
        """The labels of each column."""
        return [label for one in self.each for label in one.labels]

    def signals(self, logits: Tensor, inputs: Inputs) -> Tensor:
        """Probabilities of the labels of each word, at its tokens."""
        chances = [part.float().softmax(-1) for part in self._parted(logits)]
        return signals_of_words(torch.cat(chances, dim=-1), inputs)

    def loss(self, logits: Tensor, targets: Mapping[str, Tensor]) -> Tensor:
        """Cross-entropy of each word, or of each sentence under a CRF."""
        labels = targets["labels"].unbind(-1)  # (records, words) each
        losses = [
            one.loss(part, places)
            for one, part, places in zip(self.each, self._parted(logits), labels, strict=True)
        ]
        return torch.stack(losses).sum()

    def decode(self, logits: Tensor, records: Sequence[Record], inputs: Inputs) -> list[Prediction]:
        """`{"tags": [...], "probabilities": [...], "words": [...]}`, with BIO labels also `spans`.

        Of several columns, all but the words come by column. A word that was cut off has the tag
        None. Spans have character offsets, and the product of the probabilities of their words.
        """
        has_word = inputs.word_starts != NO_WORD  # (records, words)
        decoded = [
            one.decode(part, has_word, self.temperature)
            for one, part in zip(self.each, self._parted(logits), strict=True)
        ]
        return [
            self._prediction(record, by_column)
            for record, *by_column in zip(records, *decoded, strict=True)
        ]

    def _prediction(self, record: Record, found: Sequence[Sequence[Sure]]) -> Prediction:
        text, offsets = word_spans(record[self.words])
        cut = [(None, 0.0)] * len(offsets)
        by_column = {
            one.column: [*sure, *cut][: len(offsets)]
            for one, sure in zip(self.each, found, strict=True)
        }
        shown: dict[str, dict[str, list[object]]] = {
            "tags": {column: [tag for tag, _ in sure] for column, sure in by_column.items()},
            "probabilities": {column: [p for _, p in sure] for column, sure in by_column.items()},
        }
        spans = {
            one.column: shown_spans(text, offsets, by_column[one.column])
            for one in self.each
            if one.has_spans
        }
        words = [text[start:end] for start, end in offsets]
        if len(self.each) > 1:
            return {**shown, "words": words, "spans": spans}
        [alone] = by_column
        first: Prediction = {**{key: value[alone] for key, value in shown.items()}, "words": words}
        return {**first, "spans": spans[alone]} if spans else first

    def surprise(self, logits: Tensor, targets: Mapping[str, Tensor], temperature: float) -> Tensor:
        """That of the labels of all columns."""
        labels = targets["labels"].unbind(-1)  # (records, words) each
        losses = [
            one.surprise(part, places, temperature)
            for one, part, places in zip(self.each, self._parted(logits), labels, strict=True)
        ]
        return torch.stack(losses).sum()

    def chances(self, gold: Gold, prediction: Prediction) -> list[Chance]:
        """Those of the words that were not cut off."""
        keys = ("tags", "probabilities")
        if len(self.each) == 1:
            return word_chances(gold, *(prediction[key] for key in keys))
        given = cast(Mapping[str, list[str] | None], gold)
        tags, shown = (cast(Mapping[str, object], prediction[key]) for key in keys)
        return [
            chance
            for column, golds in given.items()
            if golds is not None
            for chance in word_chances(golds, tags[column], shown[column])
        ]

    def tune(
        self, gold: Sequence[Gold | None], predicted: Sequence[Prediction]
    ) -> Sequence[Prediction]:
        """Nothing is fitted to dev."""
        return predicted

    def score(self, gold: Sequence[Gold], predicted: Sequence[Prediction]) -> Scores:
        """The scores of the column; of several, means of what all have, then those of each."""
        if len(self.each) == 1:
            answers = [cast(list[str | None], prediction["tags"]) for prediction in predicted]
            return self.each[0].score(cast(Sequence[list[str]], gold), answers)
        by_column = {one.column: self._score(one, gold, predicted) for one in self.each}
        shared = [
            name
            for name in next(iter(by_column.values())).metrics
            if all(name in scores.metrics for scores in by_column.values())
        ]
        metrics = {
            name: math.fsum(scores.metrics[name] for scores in by_column.values()) / len(by_column)
            for name in sorted(shared, key=lambda name: name != self.headline)
        }
        for column, scores in by_column.items():
            metrics |= {f"{name}_{column}": value for name, value in scores.metrics.items()}
        tables = [(column, scores.table) for column, scores in by_column.items() if scores.table]
        return Scores(metrics, len(gold), Table.joined(tables))

    def _score(
        self, one: WordLabels, gold: Sequence[Gold], predicted: Sequence[Prediction]
    ) -> Scores:
        golds = [cast(Mapping[str, list[str] | None], by_column)[one.column] for by_column in gold]
        there = [row for row, tags in enumerate(golds) if tags is not None]
        answers = cast(Sequence[Mapping[str, Mapping[str, list[str | None]]]], predicted)
        return one.score(
            [cast(list[str], golds[row]) for row in there],
            [answers[row]["tags"][one.column] for row in there],
        )

    def label_counts(self, records: Iterable[Record]) -> tuple[dict[str, int], int, float]:
        """Counts of labels, records without any, accuracy of the most frequent (0 for spans)."""
        counts, missing = self._count(records)
        shares = [
            0.0 if self.headline == "entity_f1" else max(found.values(), default=0) / found.total()
            for found in counts.values()
            if found
        ]
        named = [
            (label if len(counts) == 1 else f"{column}: {label}", num)
            for column, found in counts.items()
            for label, num in found.most_common()
        ]
        return dict(named), missing, math.fsum(shares) / max(len(shares), 1)

    def _count(self, records: Iterable[Record]) -> tuple[dict[str, Counter[str]], int]:
        """Counts of labels by column, and records without any."""
        counts = {one.column: Counter[str]() for one in self.each}
        missing = 0
        for record in records:
            golds = {one.column: one.gold(record) for one in self.each}
            missing += all(tags is None for tags in golds.values())
            for column, tags in golds.items():
                counts[column].update(tags or ())
        return counts, missing

    def _parted(self, logits: Tensor) -> Sequence[Tensor]:
        sizes = [len(one.labels) for one in self.each]
        parts: Sequence[Tensor] = logits.split(sizes, dim=-1)
        return parts


def _key(column: str) -> str:
    """A name for the weights of a column: that of a module has no dot, and hides no attribute."""
    return column.replace(".", "%2E") + "-labels"

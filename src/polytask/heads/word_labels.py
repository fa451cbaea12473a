"""One column of labels over words: what `kind: tag` learns, several at once if asked for."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal, cast, final

import torch
from torch import Tensor, nn
from torch.nn import functional as nnf

from polytask.data.records import Record
from polytask.errors import DataError, did_you_mean
from polytask.heads.crf import CRF
from polytask.heads.head import IGNORE, Prediction, Scores, Unknown
from polytask.heads.imbalance import ClassWeights, weights_of
from polytask.metrics.classes import accuracy, class_table, confusion
from polytask.metrics.entities import (
    bio_fault,
    entity_table,
    is_entity_scheme,
    repair_bio,
    spans_of,
)

Decoder = Literal["softmax", "crf"]

Sure = tuple[str | None, float]
"""A label, None for a word that was cut off, and its probability."""

_OUTSIDE = "O"
_IMPOSSIBLE = -5e3
"""The log likelihood below which labels break a rule, which costs them 1e4."""


@final
class WordLabels(nn.Module):
    """The labels of one column: learned, projected from words, decoded and scored."""

    def __init__(
        self,
        column: str,
        *,
        decoder: Decoder,
        repair: bool,
        unknown: Unknown,
        class_weights: ClassWeights,
    ) -> None:
        super().__init__()
        self.column = column
        self.decoder = decoder
        self.repair = repair
        self.unknown = unknown
        self.class_weights = class_weights
        self.labels: list[str] = []
        self.has_spans = False
        self._weights: list[float] = []

    def fit(self, counts: Counter[str]) -> list[str]:
        """Learns the labels in alphabetical order, and whether they spell spans."""
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
        self._weights = weights_of(self.class_weights, self.labels, counts)
        warnings = [f"label '{name}' is seen once" for name in self.labels if counts[name] == 1]
        has_no_effect = self.repair and not self.has_spans
        return warnings + ["`repair:` has no effect on labels that are not BIO"] * has_no_effect

    def facts(self) -> dict[str, object]:
        """Labels, whether they spell spans, and their weights where there are any."""
        return {
            "labels": self.labels,
            "has_spans": self.has_spans,
            "class_weights": self._weights,
        }

    def restore(self, facts: Mapping[str, object]) -> None:
        """Takes back what `facts` gave."""
        self.labels = list(cast(list[str], facts["labels"]))
        self.has_spans = bool(facts["has_spans"])
        self._weights = list(cast(list[float], facts["class_weights"]))

    def attach(self, width: int) -> None:
        """One linear layer, and the transitions of a CRF if asked for."""
        self.project = nn.Linear(width, len(self.labels))
        self.index = {label: i for i, label in enumerate(self.labels)}
        self.crf = CRF(self.labels) if self.decoder == "crf" else None
        weights = torch.tensor(self._weights) if self._weights else None
        self.register_buffer("label_weights", weights, persistent=False)

    def problem(self, record: Record, num_words: int) -> str | None:
        """Not one label a word, an unknown label, or an I- label without its B-."""
        tags = self._given(record)
        if tags is None:
            return None
        if len(tags) != num_words:
            return f"{num_words} words but {len(tags)} labels in column '{self.column}'"
        if self.has_spans and not self.repair and (fault := bio_fault(tags)):
            return f"{fault}. Mend the file, or say `repair: true`"
        unknown = [tag for tag in self._repaired(tags) if tag not in self.labels]
        if not unknown or self.unknown == "wrong":
            return None
        hint = did_you_mean(unknown[0], self.labels)
        return f"label '{unknown[0]}' is not one of the labels. {hint}"

    def repairs(self, record: Record) -> int:
        """Labels that `repair: true` turned into the start of an entity."""
        tags = self._given(record)
        return repair_bio(tags)[1] if tags and self.repair and self.has_spans else 0

    def gold(self, record: Record) -> list[str] | None:
        """One label a word."""
        tags = self._given(record)
        return None if tags is None else self._repaired(tags)

    def places(self, record: Record) -> Tensor | None:
        """The gold labels as numbers: (words,)."""
        tags = self.gold(record)
        return None if tags is None else torch.tensor([self.index.get(tag, IGNORE) for tag in tags])

    def forward(self, words: Tensor) -> Tensor:
        """Logits of each word: (records, words, width) to (records, words, labels)."""
        logits: Tensor = self.project(words)
        return logits

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Summed cross-entropy of words, or of sentences under a CRF; labels: (records, words)."""
        if self.crf is None:
            return nnf.cross_entropy(
                logits.float().flatten(0, 1),
                labels.flatten(),
                weight=cast(Tensor | None, self.label_weights),
                ignore_index=IGNORE,
                reduction="sum",
            )
        likelihood: Tensor = self.crf.log_likelihood(logits, labels.clamp(min=0), labels != IGNORE)
        return -likelihood.sum()

    def surprise(self, logits: Tensor, labels: Tensor, temperature: float) -> Tensor:
        """Negative log likelihood of labels, a scalar; labels: (records, words).

        Sentences whose labels a CRF rules out, such as those that were cut, say nothing.
        """
        if self.crf is None:
            scores = (logits.float() / temperature).flatten(0, 1)
            return nnf.cross_entropy(scores, labels.flatten(), ignore_index=IGNORE, reduction="sum")
        gold = labels.clamp(min=0), labels != IGNORE
        is_legal = self.crf.log_likelihood(logits, *gold) > _IMPOSSIBLE  # (records,)
        return -self.crf.log_likelihood(logits, *gold, temperature)[is_legal].sum()

    def decode(self, logits: Tensor, has_word: Tensor, temperature: float) -> list[list[Sure]]:
        """The best labels with their probabilities, None and 0 where no word is left.

        has_word: (records, words). Those of a CRF are the marginals of its words.
        """
        if self.crf is None:
            best, chances = logits.argmax(-1), (logits.float() / temperature).softmax(-1)
        else:
            best = self.crf.viterbi(logits, has_word)
            chances = self.crf.marginals(logits, has_word, temperature)
        found = chances.gather(2, best.clamp(min=0).unsqueeze(2)).squeeze(2)  # (records, words)
        return [
            [
                (self.labels[i], round(chance, 6)) if is_there else (None, 0.0)
                for i, chance, is_there in zip(*row, strict=True)
            ]
            for row in zip(best.tolist(), found.tolist(), has_word.tolist(), strict=True)
        ]

    def score(
        self, gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str | None]]
    ) -> Scores:
        """F1 of entities by seqeval's rules, or accuracy of words; a cut word counts as wrong."""
        truth = [tag for tags in gold for tag in tags]
        answers = [tag for tags in predicted for tag in tags]
        metrics = {"accuracy": accuracy(truth, answers)}
        labels = [*self.labels, *sorted({*truth} - {*self.labels})]  # train may lack some
        table = class_table(truth, answers, labels)
        if self.has_spans:
            table = entity_table(gold, predicted)
            micro = table.average("micro")
            metrics = {
                "entity_f1": micro.f1,
                "entity_precision": micro.precision,
                "entity_recall": micro.recall,
                **metrics,
            }
        return Scores(
            metrics=metrics,
            count=len(gold),
            table=table,
            labels=labels,
            confusion=confusion(truth, answers, labels),
        )

    def _given(self, record: Record) -> list[str] | None:
        return cast(list[str] | None, record.get(self.column))

    def _repaired(self, tags: list[str]) -> list[str]:
        return repair_bio(tags)[0] if self.repair and self.has_spans else tags


def shown_spans(
    text: str, offsets: Sequence[tuple[int, int]], found: Sequence[Sure]
) -> list[Prediction]:
    """The spans that labels spell, with the product of the probabilities of their words."""
    return [
        {
            "label": span.label,
            "text": text[offsets[span.start][0] : offsets[span.end - 1][1]],
            "start": offsets[span.start][0],
            "end": offsets[span.end - 1][1],
            "probability": round(math.prod(p for _, p in found[span.start : span.end]), 6),
        }
        for span in spans_of([tag for tag, _ in found])
    ]

"""`kind: parse`: the dependency tree of a sentence."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import starmap
from typing import Annotated, cast

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as nnf

from polytask.data.batching import NO_WORD, Inputs
from polytask.data.columns import LABELS, Need
from polytask.data.records import Record
from polytask.data.views import text_view, word_spans, word_texts
from polytask.errors import DataError
from polytask.heads.biaffine import Biaffine
from polytask.heads.head import IGNORE, NEVER, Gold, PlainHead, Prediction, Scores, word_states
from polytask.heads.probable import Chance, TemperedHead, word_chances
from polytask.heads.trees import best_tree
from polytask.metrics.classes import class_table
from polytask.metrics.parses import Arc, parse_metrics


class Parse(PlainHead, TemperedHead):
    """For each word its head and their relation: a tree with one root.

    Deep biaffine scores of all arcs and relations, a maximum spanning tree at decoding. Source:
    Dozat and Manning, "Deep Biaffine Attention for Neural Dependency Parsing" (ICLR 2017).
    """

    def __init__(
        self,
        *,
        words: str,
        heads: str = "head",
        relations: str = "dep",
        arc_width: Annotated[int, Field(ge=1, le=4096)] = 256,
        relation_width: Annotated[int, Field(ge=1, le=1024)] = 64,
        dropout: Annotated[float, Field(ge=0, lt=1)] = 0.2,
    ) -> None:
        super().__init__()
        self.view = text_view(None, words)
        self.words = words
        self.heads = heads
        self.relations = relations
        self.arc_width = arc_width
        self.relation_width = relation_width
        self.share = dropout
        self.dropout = nn.Dropout(dropout)
        self.at_root: list[str] = []
        self.elsewhere: list[str] = []

    @property
    def needs(self) -> Mapping[str, Need]:
        """The columns of heads and relations."""
        return {column: Need(LABELS, required=False) for column in (self.heads, self.relations)}

    @property
    def headline(self) -> str:
        """Labelled attachment score."""
        return "las"

    def fit(self, records: Iterable[Record]) -> list[str]:
        """Learns the relations to the root and those to words."""
        at_root, elsewhere = self._count(records)
        self.at_root, self.elsewhere = sorted(at_root), sorted(elsewhere)
        if len(self.labels) < 2:
            raise DataError(
                f"column '{self.relations}' holds {len(self.labels)} different relations, but 2 "
                "are needed"
            )
        counts = at_root + elsewhere
        return [f"relation '{name}' is seen once" for name in self.labels if counts[name] == 1]

    def facts(self) -> dict[str, object]:
        """The relations to the root and those to words."""
        return {"at_root": self.at_root, "elsewhere": self.elsewhere}

    def restore(self, facts: Mapping[str, object]) -> None:
        """Takes back relations."""
        self.at_root = list(cast(list[str], facts["at_root"]))
        self.elsewhere = list(cast(list[str], facts["elsewhere"]))

    @property
    def labels(self) -> list[str]:
        """All relations."""
        return sorted({*self.at_root, *self.elsewhere})

    def attach(self, width: int) -> None:
        """Two biaffine layers, and a vector that stands for the root."""
        self.root = nn.Parameter(torch.zeros(width))
        self.arcs = Biaffine(width, inner=self.arc_width, labels=1, dropout=self.share)
        self.kinds = Biaffine(
            width, inner=self.relation_width, labels=len(self.labels), dropout=self.share
        )
        self.index = {label: i for i, label in enumerate(self.labels)}

    def problem(self, record: Record) -> str | None:
        """Not one head and relation a word, a head out of range, no single root, a circle."""
        given = [record.get(self.heads), record.get(self.relations)]
        if all(value is None for value in given):
            return None
        num_words = len(word_texts(record[self.words]))
        for column, value in zip((self.heads, self.relations), given, strict=True):
            found = "none" if value is None else len(cast(list[str], value))
            if found != num_words:
                return f"{num_words} words but {found} values in column '{column}'"
        return self._tree_fault(record)

    def gold(self, record: Record) -> list[Arc] | None:
        """Head and relation of each word."""
        heads, relations = record.get(self.heads), record.get(self.relations)
        if heads is None or relations is None:
            return None
        numbers = map(int, cast(list[str], heads))
        return list(zip(numbers, cast(list[str], relations), strict=True))

    def targets(self, records: Sequence[Record], inputs: Inputs) -> dict[str, Tensor]:
        """heads, relations: (records, words); the root is head 0, word i is head i + 1."""
        heads = torch.full_like(inputs.word_starts, IGNORE)  # (records, words)
        relations = torch.full_like(heads, IGNORE)  # (records, words)
        for row, record in enumerate(records):
            arcs = self.gold(record) or []
            for word, (head, relation) in enumerate(arcs):
                heads[row, word] = head
                relations[row, word] = self.index.get(relation, IGNORE)
        there = nnf.pad(inputs.word_starts != NO_WORD, (1, 0), value=True)  # the root first
        is_kept = there[:, 1:] & there.gather(1, heads.clamp(min=0))  # (records, words)
        return {
            "heads": heads.masked_fill(~is_kept, IGNORE),
            "relations": relations.masked_fill(~is_kept, IGNORE),
        }

    def count(self, targets: Mapping[str, Tensor]) -> int:
        """Words with an arc of which neither end was cut off."""
        return int((targets["heads"] != IGNORE).sum())

    def forward(self, hidden: Tensor, inputs: Inputs) -> Tensor:
        """Of each word for each head, the score of the arc, then of each relation.

        (records, words, 1 + words, 1 + relations); head 0 is the root.
        """
        words = self.dropout(word_states(hidden, inputs))  # (records, words, width)
        root = self.root.to(words.dtype).expand(len(words), 1, -1)  # (records, 1, width)
        heads = torch.cat([root, words], dim=1)  # (records, 1 + words, width)
        there = nnf.pad(inputs.word_starts != NO_WORD, (1, 0), value=True)  # (records, 1 + words)
        arcs = self.arcs(words, heads).masked_fill(~there[:, None, :, None], NEVER)
        return torch.cat([arcs, self.kinds(words, heads)], dim=-1)

    def loss(self, logits: Tensor, targets: Mapping[str, Tensor]) -> Tensor:
        """Cross-entropy of the head of each word, and of the relation to its gold head."""
        places = targets["heads"].clamp(min=0)[..., None, None]  # (records, words, 1, 1)
        at_gold = logits.take_along_dim(places, dim=2).squeeze(2)  # (records, words, 1 + relations)
        parts = [(logits[..., 0], "heads"), (at_gold[..., 1:], "relations")]
        losses = [
            nnf.cross_entropy(
                scores.float().flatten(0, 1),
                targets[name].flatten(),
                ignore_index=IGNORE,
                reduction="sum",
            )
            for scores, name in parts
        ]
        return torch.stack(losses).sum()

    def decode(self, logits: Tensor, records: Sequence[Record], inputs: Inputs) -> list[Prediction]:
        """`{"heads": [...], "relations": [...], "probabilities": [...], "words": [...]}`.

        The probability is that of the head times that of the relation to it. A word that was cut
        off has None and 0.
        """
        scores = logits.float().cpu()
        kinds = scores[..., 1:]  # (records, words, 1 + words, relations)
        parts = [(kinds[:, :, :1], self.at_root), (kinds[:, :, 1:], self.elsewhere)]
        kinds = torch.cat([self._among(part, labels) for part, labels in parts], dim=2)
        of_best, best = (kinds / self.temperature).softmax(-1).max(-1)  # (records, words, heads)
        chances = (scores[..., 0] / self.temperature).softmax(-1) * of_best
        arcs = scores[..., 0].double().numpy()  # (records, words, 1 + words)
        has_word = (inputs.word_starts != NO_WORD).cpu().numpy()
        return list(map(self._prediction, records, arcs, best.numpy(), chances.numpy(), has_word))

    def _among(self, scores: Tensor, among: Sequence[str]) -> Tensor:
        """Scores of relations, of some alone: (records, words, heads, relations)."""
        is_among = torch.tensor([label in among for label in self.labels])  # (relations,)
        return scores.masked_fill(~is_among, NEVER)

    def _prediction(
        self,
        record: Record,
        arcs: np.ndarray,
        best: np.ndarray,
        chances: np.ndarray,
        has_word: np.ndarray,
    ) -> Prediction:
        text, offsets = word_spans(record[self.words])
        heads: list[int | None] = [None] * len(offsets)
        relations: list[str | None] = [None] * len(offsets)
        probabilities = [0.0] * len(offsets)
        labels = self.labels
        kept = np.flatnonzero(has_word[: len(offsets)])  # words that were not cut off
        places = np.append(0, kept + 1)
        if len(kept):
            tree = best_tree(arcs[np.ix_(kept, places)])
            for word, head in zip(kept.tolist(), places[tree].tolist(), strict=True):
                heads[word] = head
                relations[word] = labels[best[word, head]]
                probabilities[word] = round(float(chances[word, head]), 6)
        words = [text[start:end] for start, end in offsets]
        return {
            "heads": heads,
            "relations": relations,
            "probabilities": probabilities,
            "words": words,
        }

    def surprise(self, logits: Tensor, targets: Mapping[str, Tensor], temperature: float) -> Tensor:
        """That of heads and relations."""
        return self.loss(logits.float() / temperature, targets)

    def chances(self, gold: Gold, prediction: Prediction) -> list[Chance]:
        """Those of the arcs of words that were not cut off."""
        return word_chances(gold, _arcs(prediction), prediction["probabilities"])

    def score(self, gold: Sequence[object], predicted: Sequence[Prediction]) -> Scores:
        """Attachment scores of the CoNLL 2018 shared task, and each relation as a class."""
        truth = cast(Sequence[list[Arc]], gold)
        answers = list(map(_arcs, predicted))
        relations = [relation for arcs in truth for _, relation in arcs]
        found = [None if arc is None else arc[1] for arcs in answers for arc in arcs]
        table = class_table(relations, found, sorted({*self.labels, *relations}))
        return Scores(parse_metrics(truth, answers), len(gold), table)

    def label_counts(self, records: Iterable[Record]) -> tuple[dict[str, int], int, float]:
        """Counts of relations, records without a tree, 0: no tree fits all sentences."""
        rows = list(records)
        at_root, elsewhere = self._count(rows)
        missing = sum(self.gold(record) is None for record in rows)
        return dict((at_root + elsewhere).most_common()), missing, 0.0

    def _count(self, records: Iterable[Record]) -> tuple[Counter[str], Counter[str]]:
        """Relations of roots, and of other words."""
        at_root, elsewhere = Counter[str](), Counter[str]()
        for record in records:
            for head, relation in self.gold(record) or []:
                (elsewhere if head else at_root)[relation] += 1
        return at_root, elsewhere

    def _tree_fault(self, record: Record) -> str | None:
        column = f"column '{self.heads}'"
        given = cast(list[str], record[self.heads])
        for place, head in enumerate(given, 1):
            if not head.isdecimal() or int(head) > len(given):
                return f"word {place}: '{head}' in {column} is none of 0 to {len(given)}"
        heads = list(map(int, given))
        if heads.count(0) != 1:
            return f"{column} has {heads.count(0)} roots (head 0), but a tree has one"
        for place in range(1, len(heads) + 1):
            node, steps = place, 0
            while node and steps <= len(heads):
                node, steps = heads[node - 1], steps + 1
            if node:
                return f"word {place}: its heads in {column} go round in a circle"
        return None


def _arcs(prediction: Prediction) -> list[Arc | None]:
    heads = cast(list[int | None], prediction["heads"])
    relations = cast(list[str | None], prediction["relations"])
    return list(starmap(_arc, zip(heads, relations, strict=True)))


def _arc(head: int | None, relation: str | None) -> Arc | None:
    return None if head is None or relation is None else (head, relation)

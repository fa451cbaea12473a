"""`kind: extract`: the entities of a text and the relations between them, found together."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Annotated, cast

import torch
from pydantic import Field
from torch import Tensor, nn

from polytask.data.batching import NO_WORD, Inputs
from polytask.data.columns import RELATIONS, SPANS, Need
from polytask.data.records import Record
from polytask.data.views import text_view, word_spans
from polytask.errors import DataError, did_you_mean
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
    probability,
    read_spans,
    shown_span,
    span_chances,
    span_fault,
    spans_in,
    words_of,
    zlpr,
)
from polytask.metrics.entities import Span, Triple, span_table
from polytask.metrics.table import Table


@dataclass(frozen=True, slots=True)
class Graph:
    """The entities of a text and the relations between them; None where these are not given."""

    entities: Sequence[Span]
    relations: Sequence[Triple] | None


class Extract(PlainHead, TemperedHead):
    """Entities and relations from one table of word pairs, without gold entities.

    For each type of entity a score of (first word, last word), for each relation one of (first
    word of the head, first of the tail) and one of (last, last): a relation holds between two
    found entities if both are above 0. Sources: Wang et al., "TPLinker" (COLING 2020), for the
    pairs of firsts and lasts; Su et al., "ZLPR" (2022), for the loss; Dozat and Manning (ICLR
    2017) for the scores.
    """

    def __init__(
        self,
        *,
        text: str = "text",
        entities: str = "entities",
        relations: str = "relations",
        inner_width: Annotated[int, Field(ge=1, le=1024)] = 128,
        dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1,
    ) -> None:
        super().__init__()
        self.view = text_view(text, None, split=True)
        self.text = text
        self.entities = entities
        self.relations = relations
        self.inner_width = inner_width
        self.share = dropout
        self.dropout = nn.Dropout(dropout)
        self.types: list[str] = []
        self.kinds: list[str] = []
        self.overlap: Overlap = "none"

    @property
    def needs(self) -> Mapping[str, Need]:
        """The columns of entities and relations."""
        return {
            self.entities: Need(SPANS, required=False),
            self.relations: Need(RELATIONS, required=False),
        }

    @property
    def headline(self) -> str:
        """Strict F1 of relations."""
        return "relation_f1"

    def fit(self, records: Iterable[Record]) -> list[str]:
        """Learns types of entities, kinds of relations, and whether entities share words."""
        types, kinds, overlaps = Counter[str](), Counter[str](), set[Overlap]()
        num_cut = 0
        for record in records:
            graph = self.gold(record)
            if graph is not None:
                types.update(entity.label for entity in graph.entities)
                kinds.update(triple.label for triple in graph.relations or [])
                overlaps.add(overlap_among(graph.entities))
                _, offsets = word_spans(record[self.text])
                num_cut += sum(not is_of_words(entity, offsets) for entity in graph.entities)
        if not types or not kinds:
            empty = self.relations if types else self.entities
            raise DataError(f"column '{empty}' holds nothing to learn from")
        self.types, self.kinds, self.overlap = sorted(types), sorted(kinds), loosest(overlaps)
        warnings = [f"relation '{name}' is seen once" for name in self.kinds if kinds[name] == 1]
        return warnings + inside_words(num_cut, "entities")

    def facts(self) -> dict[str, object]:
        """Types, kinds, and whether entities share words."""
        return {"types": self.types, "kinds": self.kinds, "overlap": self.overlap}

    def restore(self, facts: Mapping[str, object]) -> None:
        """Takes them back."""
        self.types = list(cast(list[str], facts["types"]))
        self.kinds = list(cast(list[str], facts["kinds"]))
        self.overlap = cast(Overlap, facts["overlap"])

    def attach(self, width: int) -> None:
        """One biaffine layer: a score for each type, two for each kind."""
        num = len(self.types) + 2 * len(self.kinds)
        self.pairs = Biaffine(width, inner=self.inner_width, labels=num, dropout=self.share)

    def problem(self, record: Record) -> str | None:
        """An entity or relation that points nowhere, or is of no known type or kind."""
        entities, relations = record.get(self.entities), record.get(self.relations)
        if entities is None:
            return None if relations is None else f"relations without '{self.entities}'"
        fault = span_fault(cast(str, record[self.text]), entities)
        if fault:
            return fault.replace("span", "entity", 1)
        num = len(cast(Sequence[object], entities))
        for place, one in enumerate(cast(Sequence[Mapping[str, int]], relations or []), 1):
            if max(one["head"], one["tail"]) >= num or one["head"] == one["tail"]:
                return f"relation {place}: is not between two of the {num} entities"
        graph = self.gold(record)
        assert graph is not None  # noqa: S101
        types = [entity.label for entity in graph.entities]
        kinds = [triple.label for triple in graph.relations or []]
        for noun, some, known in (
            ("entity type", types, self.types),
            ("relation", kinds, self.kinds),
        ):
            unknown = [label for label in some if label not in known]
            if unknown:
                return f"{noun} '{unknown[0]}' is not known. {did_you_mean(unknown[0], known)}"
        return None

    def gold(self, record: Record) -> Graph | None:
        """Entities in characters, and relations between them."""
        given = record.get(self.entities)
        if given is None:
            return None
        entities = spans_in(given)
        relations = cast(Sequence[Mapping[str, object]] | None, record.get(self.relations))
        return Graph(entities, None if relations is None else _triples(entities, relations))

    def targets(self, records: Sequence[Record], inputs: Inputs) -> dict[str, Tensor]:
        """pairs: (records, words, words, scores); is_known: (records, scores)."""
        num_rows, num_words = inputs.word_starts.shape
        num_types, num_kinds = len(self.types), len(self.kinds)
        num_scores = num_types + 2 * num_kinds
        pairs = torch.zeros(num_rows, num_words, num_words, num_scores, dtype=torch.bool)
        is_known = torch.zeros(num_rows, num_scores, dtype=torch.bool)
        there = inputs.word_starts != NO_WORD  # (records, words)
        for row, record in enumerate(records):
            graph = self.gold(record)
            if graph is None:
                continue
            _, offsets = word_spans(record[self.text])
            place_of = {span: words_of(span, offsets) for span in graph.entities}
            kept = {s: p for s, p in place_of.items() if p[1] < num_words and there[row, p].all()}
            is_known[row, :num_types] = True
            is_known[row, num_types:] = graph.relations is not None
            for span, (first, last) in kept.items():
                pairs[row, first, last, self.types.index(span.label)] = True
            for triple in graph.relations or []:
                if triple.head in kept and triple.tail in kept:
                    kind = num_types + self.kinds.index(triple.label)
                    ends = zip(kept[triple.head], kept[triple.tail], strict=True)
                    for side, (one, other) in enumerate(ends):
                        pairs[row, one, other, kind + side * num_kinds] = True
        return {"pairs": pairs, "is_known": is_known}

    def count(self, targets: Mapping[str, Tensor]) -> int:
        """Records with entities or known to have none."""
        return int(targets["is_known"].any(1).sum())

    def forward(self, hidden: Tensor, inputs: Inputs) -> Tensor:
        """Scores: (records, words, words, types, then kinds by first and by last words)."""
        words = self.dropout(word_states(hidden, inputs))  # (records, words, width)
        places = torch.arange(words.shape[1], device=words.device)  # (words,)
        scores: Tensor = self.pairs(words, words)
        is_entity = torch.arange(scores.shape[3], device=words.device) < len(self.types)
        is_backwards = (places < places.unsqueeze(1)).unsqueeze(2) & is_entity
        return scores.masked_fill(~both_there(inputs) | is_backwards, NEVER)

    def loss(self, logits: Tensor, targets: Mapping[str, Tensor]) -> Tensor:
        """ZLPR of each type and kind."""
        errors = zlpr(logits.float().flatten(1, 2), targets["pairs"].flatten(1, 2))
        return errors[targets["is_known"]].sum()

    def decode(self, logits: Tensor, records: Sequence[Record], inputs: Inputs) -> list[Prediction]:
        """`{"entities": [span], "relations": [{"label", "head", "tail", "probability"}]}`.

        `head` and `tail` are places in the list of entities.
        """
        scores = logits.float().cpu()
        return [self._prediction(*each) for each in zip(records, scores, strict=True)]

    def _prediction(self, record: Record, scores: Tensor) -> Prediction:
        text, offsets = word_spans(record[self.text])
        num_types, num_kinds = len(self.types), len(self.kinds)
        found = read_spans(scores[..., :num_types], offsets, self.types, self.overlap)
        entities = in_order(found)
        words = [words_of(entity, offsets) for entity in entities]
        relations: list[Prediction] = []
        for head, tail in permutations(range(len(entities)), 2):
            firsts, lasts = (
                scores[words[head][side], words[tail][side], num_types + side * num_kinds :]
                for side in (0, 1)
            )
            both = torch.minimum(firsts[:num_kinds], lasts[:num_kinds])  # (kinds,)
            relations += [
                {
                    "label": self.kinds[kind],
                    "head": head,
                    "tail": tail,
                    "probability": probability(float(both[kind]) / self.temperature),
                }
                for kind in (both > 0).nonzero().flatten().tolist()
            ]
        shown = [shown_span(text, one, found[one] / self.temperature) for one in entities]
        return {"entities": shown, "relations": relations}

    def surprise(self, logits: Tensor, targets: Mapping[str, Tensor], temperature: float) -> Tensor:
        """That of all pairs of words, for each type and kind that is given."""
        known = targets["is_known"]  # (records, types and kinds)
        scores, gold = (one.movedim(3, 1)[known] for one in (logits, targets["pairs"]))
        return pair_surprise(scores, gold, temperature)

    def chances(self, gold: Gold, prediction: Prediction) -> list[Chance]:
        """Those of the entities and relations that it found."""
        graph = cast(Graph, gold)
        entities = prediction["entities"]
        found = span_chances(graph.entities, entities)
        if graph.relations is None:
            return found
        triples = _triples(spans_in(entities), prediction["relations"])
        shown = cast(Sequence[Mapping[str, float]], prediction["relations"])
        return found + [
            (one["probability"], triple in graph.relations)
            for one, triple in zip(shown, triples, strict=True)
        ]

    def score(self, gold: Sequence[object], predicted: Sequence[Prediction]) -> Scores:
        """F1 of entities, and strict F1 of relations: both entities and the kind must be right."""
        truth = cast(Sequence[Graph], gold)
        answers = [spans_in(prediction["entities"]) for prediction in predicted]
        entities = span_table([graph.entities for graph in truth], answers)
        pairs = [
            (graph.relations, _triples(spans, prediction["relations"]))
            for graph, spans, prediction in zip(truth, answers, predicted, strict=True)
            if graph.relations is not None
        ]
        relations = span_table([one for one, _ in pairs], [other for _, other in pairs])
        micro = relations.average("micro")
        metrics = {
            "relation_f1": micro.f1,
            "relation_precision": micro.precision,
            "relation_recall": micro.recall,
            "entity_f1": entities.average("micro").f1,
        }
        table = Table.joined([("entity", entities), ("relation", relations)])
        return Scores(metrics, len(truth), table)

    def label_counts(self, records: Iterable[Record]) -> tuple[dict[str, int], int, float]:
        """Counts of types and kinds, records without entities given, 0."""
        counts: Counter[str] = Counter()
        missing = 0
        for record in records:
            graph = self.gold(record)
            missing += graph is None
            if graph is not None:
                counts.update(f"entity {entity.label}" for entity in graph.entities)
                counts.update(f"relation {triple.label}" for triple in graph.relations or [])
        return dict(counts.most_common()), missing, 0.0


def _triples(entities: Sequence[Span], relations: object) -> list[Triple]:
    found = cast(Sequence[Mapping[str, int]], relations)
    return [
        Triple(str(one["label"]), entities[one["head"]], entities[one["tail"]]) for one in found
    ]

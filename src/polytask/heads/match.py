"""`kind: match`: texts as vectors, near to one another where they belong together."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, cast

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as nnf

from polytask.data.batching import Inputs
from polytask.data.columns import LABEL, NUMBER, Need
from polytask.data.part_views import TowersView
from polytask.data.records import Record
from polytask.errors import ConfigError, DataError
from polytask.heads.head import NEVER, Gold, PlainHead, Prediction, Scores, pool_mean
from polytask.metrics.numbers import pearson, spearman
from polytask.metrics.retrieval import retrieval_metrics


class Match(PlainHead):
    """Embeddings for retrieval and similarity: the mean of an encoder's hidden states, no more.

    Of two `text:` columns each first text belongs to its second, and the second texts of other
    records of the batch, and any `negatives`, do not (InfoNCE; van den Oord et al., 2018). With
    `score` the pairs are graded (CoSENT; Su, 2022). Of one column texts with the same `label`
    belong together (Khosla et al., "Supervised Contrastive Learning", NeurIPS 2020). `sizes` makes
    the first so many numbers of a vector serve alone (Kusupati et al., "Matryoshka Representation
    Learning", NeurIPS 2022).
    """

    view: TowersView

    def __init__(
        self,
        *,
        text: str | list[str],
        label: str | None = None,
        score: str | None = None,
        negatives: str | None = None,
        sizes: list[int] | None = None,
        temperature: Annotated[float, Field(gt=0, le=10)] = 0.05,
    ) -> None:
        super().__init__()
        columns = (text,) if isinstance(text, str) else tuple(text)
        if (len(columns), label is None) not in ((1, False), (2, True)):
            raise ConfigError("name two columns of `text:`, or one and a `label:`")
        if label is not None and (score is not None or negatives is not None):
            raise ConfigError("`score:` and `negatives:` belong to two columns of `text:`")
        if score is not None and negatives is not None:
            raise ConfigError("graded pairs (`score:`) have no `negatives:`")
        if any(size < 1 for size in sizes or ()):
            raise ConfigError(f"`sizes:` are at least 1, got {sizes}")
        self.view = TowersView(columns, negatives)
        self.label = label
        self.grade = score
        self.sizes = sizes or []
        self.temperature = temperature

    @property
    def needs(self) -> Mapping[str, Need]:
        """The column of labels or of scores; none for plain pairs."""
        named = {self.label: LABEL, self.grade: NUMBER}
        return {
            column: Need(kind, required=False)
            for column, kind in named.items()
            if column is not None
        }

    @property
    def headline(self) -> str:
        """How often the nearest text is right, or rank correlation with scores."""
        return "hit_1" if self.grade is None else "spearman"

    def fit(self, records: Iterable[Record]) -> list[str]:
        """Nothing to learn. Raises DataError if no two texts belong together."""
        golds = [self.gold(record) for record in records]
        counts = Counter(gold for gold in golds if gold is not None)
        if self.label is not None and max(counts.values(), default=0) < 2:
            raise DataError(f"column '{self.label}' holds no label twice")
        if self.grade is not None and len(counts) < 2:
            raise DataError(f"column '{self.grade}' needs two different numbers to learn from")
        return []

    def facts(self) -> dict[str, object]:
        """Nothing."""
        return {}

    def restore(self, facts: Mapping[str, object]) -> None:
        """Nothing to take back."""

    def attach(self, width: int) -> None:
        """No weights of its own. Raises ConfigError at a size above the width."""
        if max(self.sizes, default=0) > width:
            raise ConfigError(f"`sizes: {self.sizes}` are more than the encoder's width {width}")

    def problem(self, record: Record) -> str | None:
        """None: every label and every number will do."""
        return None

    def gold(self, record: Record) -> Gold | None:
        """The label, the score, or the second text of a pair."""
        column = self.label or self.grade or self.view.columns[1]
        return record.get(column)

    def targets(self, records: Sequence[Record], inputs: Inputs) -> dict[str, Tensor]:
        """places: (rows,), 0 for first texts, 1 for second, 2 for negatives.

        texts: (rows,), equal numbers for equal texts; golds: (records,), a number for each label,
        or scores, nan where there is none.
        """
        rows = [text for record in records for text in self.view.texts(record)]
        places = [min(i, 2) for record in records for i, _ in enumerate(self.view.texts(record))]
        found = [self.gold(record) for record in records]
        if self.grade is None:
            known = [math.nan if gold is None else float(n) for gold, n in _numbered(found)]
        else:
            known = [math.nan if gold is None else cast(float, gold) for gold in found]
        return {
            "places": torch.tensor(places),
            "texts": torch.tensor([number for _, number in _numbered(rows)]),
            "golds": torch.tensor(known),
        }

    def count(self, targets: Mapping[str, Tensor]) -> int:
        """Records with a label or score; all pairs."""
        return int((~targets["golds"].isnan()).sum())

    def forward(self, hidden: Tensor, inputs: Inputs) -> Tensor:
        """The vector of each text: (rows, width)."""
        return pool_mean(hidden, inputs.mask)

    def loss(self, logits: Tensor, targets: Mapping[str, Tensor]) -> Tensor:
        """The sum over sizes, the whole width first."""
        vectors = [logits.float(), *(logits.float()[:, :size] for size in self.sizes)]
        measure = self._of_labels if self.label else self._of_pairs
        if self.grade:
            measure = self._of_scores
        losses = [measure(nnf.normalize(some, dim=1), targets) for some in vectors]
        return torch.stack(losses).sum() / len(losses)

    def _of_pairs(self, vectors: Tensor, targets: Mapping[str, Tensor]) -> Tensor:
        """Cross-entropy of the own second text among those of the batch and all negatives."""
        places, texts = targets["places"], targets["texts"]  # (rows,)
        candidates = places > 0  # (rows,)
        near = vectors[places == 0] @ vectors[candidates].T / self.temperature
        right = (places[candidates] == 1).nonzero().flatten()  # (records,)
        own = texts[candidates][right].unsqueeze(1) == texts[candidates]  # (records, candidates)
        own[torch.arange(len(right), device=own.device), right] = False
        return nnf.cross_entropy(near.masked_fill(own, NEVER), right, reduction="sum")

    def _of_labels(self, vectors: Tensor, targets: Mapping[str, Tensor]) -> Tensor:
        """Mean over texts of the same label of the cross-entropy among all labelled texts."""
        golds = targets["golds"]  # (records,)
        known = ~golds.isnan()
        kept, labels = vectors[known], golds[known]
        itself = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
        near = (kept @ kept.T / self.temperature).masked_fill(itself, NEVER)
        same = (labels.unsqueeze(1) == labels) & ~itself  # (records, records)
        errors = -near.log_softmax(1).masked_fill(~same, 0.0).sum(1)
        return (errors / same.sum(1).clamp(min=1)).sum()

    def _of_scores(self, vectors: Tensor, targets: Mapping[str, Tensor]) -> Tensor:
        """log(1 + sum of exp(lower - higher)) over pairs of pairs, for each labelled record."""
        places, scores = targets["places"], targets["golds"]
        cosine = (vectors[places == 0] * vectors[places == 1]).sum(1) / self.temperature
        higher = scores.unsqueeze(1) > scores  # (records, records); nan is never higher
        gaps = (cosine.unsqueeze(0) - cosine.unsqueeze(1)).masked_fill(~higher, -torch.inf)
        total = nnf.pad(gaps.flatten(), (1, 0)).logsumexp(0)
        return total * (~scores.isnan()).sum()

    def decode(self, logits: Tensor, records: Sequence[Record], inputs: Inputs) -> list[Prediction]:
        """`{"embedding": [...]}`, of length 1; of a pair `{"similarity", "embeddings": [two]}`."""
        vectors = nnf.normalize(logits.float(), dim=1).cpu()
        owners = inputs.owners.cpu()
        found: list[Prediction] = []
        for record in range(len(records)):
            own = vectors[owners == record][: len(self.view.columns)]
            shown = [[round(number, 6) for number in row] for row in own.tolist()]
            if len(shown) == 1:
                found.append({"embedding": shown[0]})
            else:
                similarity = round(float(own[0] @ own[1]), 6)
                found.append({"similarity": similarity, "embeddings": shown})
        return found

    def score(self, gold: Sequence[Gold], predicted: Sequence[Prediction]) -> Scores:
        """How often the nearest texts of the split are right; of graded pairs correlations."""
        if self.grade is not None:
            truth = cast(Sequence[float], gold)
            answers = [cast(float, prediction["similarity"]) for prediction in predicted]
            metrics = {"spearman": spearman(truth, answers), "pearson": pearson(truth, answers)}
            return Scores(metrics, len(gold))
        groups = np.array([number for _, number in _numbered(gold)], np.int64)
        if self.label is not None:
            vectors = np.array([one["embedding"] for one in predicted], np.float32)
            found = retrieval_metrics(vectors, vectors, groups, groups, skip_self=True)
            return Scores(found, len(gold))
        pairs = np.array([one["embeddings"] for one in predicted], np.float32)
        _, once = np.unique(groups, return_index=True)  # each second text once
        documents = pairs[once, 1] if len(pairs) else pairs
        queries = pairs[:, 0] if len(pairs) else pairs
        return Scores(retrieval_metrics(queries, documents, groups, groups[once]), len(gold))

    def label_counts(self, records: Iterable[Record]) -> tuple[dict[str, int], int, float]:
        """Counts of labels, or of pairs; records without; no constant answer is known."""
        golds = [self.gold(record) for record in records]
        missing = sum(gold is None for gold in golds)
        if self.label is None:
            return {"pairs": len(golds) - missing}, missing, math.nan
        counts = Counter(str(gold) for gold in golds if gold is not None)
        return dict(counts.most_common()), missing, math.nan


def _numbered(values: Sequence[object]) -> list[tuple[object, int]]:
    """Each value with the place of the first that is equal."""
    first: dict[object, int] = {}
    return [(value, first.setdefault(value, place)) for place, value in enumerate(values)]

"""`kind: choose`: one of the candidates that a record brings along."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, cast

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as nnf

from polytask.data.batching import Inputs
from polytask.data.columns import LABEL, Need
from polytask.data.part_views import CandidatesView
from polytask.data.records import Record
from polytask.errors import DataError
from polytask.heads.candidates import CandidateScores, by_record, candidate_rows
from polytask.heads.head import IGNORE, Gold, PlainHead, Prediction, Scores
from polytask.heads.probable import Chance, TemperedHead
from polytask.metrics.rankings import reciprocal_rank


class Choose(PlainHead, TemperedHead):
    """The right one of any number of candidates: an answer, a reply, an ending."""

    view: CandidatesView
    answers_once = True

    def __init__(
        self,
        *,
        text: str = "text",
        candidates: str = "candidates",
        label: str = "label",
        dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1,
    ) -> None:
        super().__init__()
        self.view = CandidatesView(text, candidates)
        self.column = label
        self.share = dropout

    @property
    def needs(self) -> Mapping[str, Need]:
        """The column of the right candidates' numbers."""
        return {self.column: Need(LABEL, required=False)}

    @property
    def headline(self) -> str:
        """Accuracy."""
        return "accuracy"

    def fit(self, records: Iterable[Record]) -> list[str]:
        """Nothing to learn; a record with one candidate teaches nothing."""
        sizes = [len(self._candidates(record)) for record in records if record.get(self.column)]
        if max(sizes, default=0) < 2:
            raise DataError(
                f"column '{self.view.candidates}' holds no two candidates to choose from"
            )
        num_alone = sizes.count(1)
        return [f"{num_alone} records have one candidate only"] if num_alone else []

    def facts(self) -> dict[str, object]:
        """Nothing."""
        return {}

    def restore(self, facts: Mapping[str, object]) -> None:
        """Nothing to take back."""

    def attach(self, width: int) -> None:
        """One score for each candidate."""
        self.scores = CandidateScores(width, self.share)

    def problem(self, record: Record) -> str | None:
        """A label that is not the number of a candidate."""
        label, num = cast(str | None, record.get(self.column)), len(self._candidates(record))
        if label is None or (label.isdecimal() and int(label) < num):
            return None
        return f"'{label}' in column '{self.column}' is none of 0 to {num - 1}"

    def gold(self, record: Record) -> int | None:
        """The number of the right candidate, from 0."""
        label = cast(str | None, record.get(self.column))
        return None if label is None else int(label)

    def targets(self, records: Sequence[Record], inputs: Inputs) -> dict[str, Tensor]:
        """labels: (records,); rows: (records, candidates), -1 where there is none."""
        golds = [self.gold(record) for record in records]
        labels = [IGNORE if gold is None else gold for gold in golds]
        return {"labels": torch.tensor(labels), "rows": candidate_rows(inputs.owners)}

    def count(self, targets: Mapping[str, Tensor]) -> int:
        """Records with a label."""
        return int((targets["labels"] != IGNORE).sum())

    def forward(self, hidden: Tensor, inputs: Inputs) -> Tensor:
        """Scores of all candidates: (rows,)."""
        scores: Tensor = self.scores(hidden, inputs)
        return scores

    def loss(self, logits: Tensor, targets: Mapping[str, Tensor]) -> Tensor:
        """Cross-entropy over the candidates of each record."""
        scores = by_record(logits, targets["rows"])  # (records, candidates)
        return nnf.cross_entropy(scores, targets["labels"], ignore_index=IGNORE, reduction="sum")

    def surprise(self, logits: Tensor, targets: Mapping[str, Tensor], temperature: float) -> Tensor:
        """That of the right candidates."""
        return self.loss(logits / temperature, targets)

    def decode(self, logits: Tensor, records: Sequence[Record], inputs: Inputs) -> list[Prediction]:
        """`{"choice": number, "text": candidate, "probability": p, "probabilities": [...]}`."""
        scores = by_record(logits.float(), candidate_rows(inputs.owners))  # (records, candidates)
        chances = (scores / self.temperature).softmax(-1).tolist()
        return [
            self._prediction(self._candidates(record), choice, row)
            for record, choice, row in zip(
                records, scores.argmax(-1).tolist(), chances, strict=True
            )
        ]

    def _prediction(
        self, candidates: Sequence[str], choice: int, chances: Sequence[float]
    ) -> Prediction:
        kept = [float(f"{chance:.6g}") for chance in chances[: len(candidates)]]
        return {
            "choice": choice,
            "text": candidates[choice],
            "probability": kept[choice],
            "probabilities": kept,
        }

    def chances(self, gold: Gold, prediction: Prediction) -> list[Chance]:
        """That of the candidate chosen."""
        return [(cast(float, prediction["probability"]), prediction["choice"] == gold)]

    def score(self, gold: Sequence[Gold], predicted: Sequence[Prediction]) -> Scores:
        """Accuracy and mean reciprocal rank of the right candidate."""
        truth = cast(Sequence[int], gold)
        right = [
            prediction["choice"] == label
            for label, prediction in zip(truth, predicted, strict=True)
        ]
        ranks = [
            reciprocal_rank(cast(Sequence[float], prediction["probabilities"]), [label])
            for label, prediction in zip(truth, predicted, strict=True)
        ]
        num = len(truth)
        means = [math.fsum(some) / num if num else math.nan for some in (right, ranks)]
        return Scores({"accuracy": means[0], "mrr": means[1]}, num)

    def label_counts(self, records: Iterable[Record]) -> tuple[dict[str, int], int, float]:
        """How often each number is right, records without one, the share of the most frequent."""
        counts = Counter(self.gold(record) for record in records)
        missing = counts.pop(None, 0)
        named = {f"candidate {number}": num for number, num in counts.most_common()}
        best = max(named.values(), default=0) / counts.total() if named else math.nan
        return named, missing, best

    def _candidates(self, record: Record) -> Sequence[str]:
        return cast(Sequence[str], record[self.view.candidates])

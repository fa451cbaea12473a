"""`kind: rank`: the candidates of a record in their order."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Literal, cast

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as nnf

from polytask.data.batching import Inputs
from polytask.data.columns import NUMBERS, Need
from polytask.data.part_views import CandidatesView
from polytask.data.records import Record
from polytask.errors import DataError
from polytask.heads.candidates import CandidateScores, by_record, candidate_rows
from polytask.heads.head import Gold, PlainHead, Prediction, Scores
from polytask.metrics.rankings import kendall, ndcg, reciprocal_rank

_K = 10


class Rank(PlainHead):
    """Candidates by their grades: search results, recommendations, answers by how good they are."""

    view: CandidatesView

    def __init__(
        self,
        *,
        text: str = "text",
        candidates: str = "candidates",
        grades: str = "grades",
        loss: Literal["listwise", "pairwise"] = "listwise",
        dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1,
    ) -> None:
        super().__init__()
        self.view = CandidatesView(text, candidates)
        self.column = grades
        self.method = loss
        self.share = dropout
        self.deviation = 1.0

    @property
    def needs(self) -> Mapping[str, Need]:
        """The column of grades."""
        return {self.column: Need(NUMBERS, required=False)}

    @property
    def headline(self) -> str:
        """Normalised discounted cumulative gain of the first ten."""
        return "ndcg_10"

    def fit(self, records: Iterable[Record]) -> list[str]:
        """Learns how far grades of one list lie apart."""
        squares: list[float] = []
        num_flat = 0
        for record in records:
            grades = self.gold(record)
            if grades:
                mean = math.fsum(grades) / len(grades)
                squares += [(grade - mean) ** 2 for grade in grades]
                num_flat += len(set(grades)) < 2
        self.deviation = math.sqrt(math.fsum(squares) / max(len(squares), 1))
        if not self.deviation:
            raise DataError(f"column '{self.column}' holds no list with two different grades")
        flat = f"{num_flat} lists have equal grades throughout and teach no order"
        return [flat] * bool(num_flat)

    def facts(self) -> dict[str, object]:
        """The standard deviation of grades within a list."""
        return {"deviation": self.deviation}

    def restore(self, facts: Mapping[str, object]) -> None:
        """Takes it back."""
        self.deviation = cast(float, facts["deviation"])

    def attach(self, width: int) -> None:
        """One score for each candidate."""
        self.scores = CandidateScores(width, self.share)

    def problem(self, record: Record) -> str | None:
        """Not one grade a candidate, or one below 0."""
        grades, num = self.gold(record), len(cast(Sequence[str], record[self.view.candidates]))
        if grades is None:
            return None
        if len(grades) != num:
            return f"{num} candidates but {len(grades)} grades in column '{self.column}'"
        below = next((grade for grade in grades if grade < 0), None)
        return None if below is None else f"grade {below} in column '{self.column}' is below 0"

    def gold(self, record: Record) -> list[float] | None:
        """One grade a candidate."""
        return cast(list[float] | None, record.get(self.column))

    def targets(self, records: Sequence[Record], inputs: Inputs) -> dict[str, Tensor]:
        """grades: (records, candidates), nan where there is none; rows: their rows or -1."""
        rows = candidate_rows(inputs.owners)  # (records, candidates)
        grades = torch.full(rows.shape, math.nan)
        for place, record in enumerate(records):
            given = self.gold(record) or []
            grades[place, : len(given)] = torch.tensor(given) / self.deviation
        return {"grades": grades, "rows": rows}

    def count(self, targets: Mapping[str, Tensor]) -> int:
        """Records with grades."""
        return int((~targets["grades"].isnan()).any(1).sum())

    def forward(self, hidden: Tensor, inputs: Inputs) -> Tensor:
        """Scores of all candidates: (rows,)."""
        scores: Tensor = self.scores(hidden, inputs)
        return scores

    def loss(self, logits: Tensor, targets: Mapping[str, Tensor]) -> Tensor:
        """`listwise`: cross-entropy of the softmax of scores to that of grades (ListNet, top one).

        `pairwise`: logistic loss of each pair of different grades, its mean over a list (RankNet).
        Sources: Cao et al., "Learning to Rank: From Pairwise Approach to Listwise Approach" (ICML
        2007); Burges et al., "Learning to Rank using Gradient Descent" (ICML 2005). Grades count in
        standard deviations within a list.
        """
        grades = targets["grades"]  # (records, candidates)
        scores = by_record(logits, targets["rows"])  # (records, candidates)
        is_known = ~grades.isnan()  # (records, candidates)
        if self.method == "listwise":
            shares = grades.masked_fill(~is_known, -torch.inf).softmax(1).nan_to_num()
            return -(shares * scores.log_softmax(1)).sum()
        is_better = grades.unsqueeze(2) > grades.unsqueeze(1)  # (records, better, worse)
        errors = nnf.softplus(scores.unsqueeze(1) - scores.unsqueeze(2))  # of worse over better
        totals = errors.masked_fill(~is_better, 0.0).sum((1, 2))  # (records,)
        return (totals / is_better.sum((1, 2)).clamp(min=1)).sum()

    def decode(self, logits: Tensor, records: Sequence[Record], inputs: Inputs) -> list[Prediction]:
        """`{"order": [numbers, the best first], "scores": [...]}`."""
        scores = by_record(logits, candidate_rows(inputs.owners)).tolist()
        found: list[Prediction] = []
        for record, row in zip(records, scores, strict=True):
            num = len(cast(Sequence[str], record[self.view.candidates]))
            kept = [round(score, 6) for score in row[:num]]
            order = sorted(range(num), key=kept.__getitem__, reverse=True)
            found.append({"order": order, "scores": kept})
        return found

    def score(self, gold: Sequence[Gold], predicted: Sequence[Prediction]) -> Scores:
        """Means over lists; for the reciprocal rank candidates of the top grade are relevant."""
        by_list: list[tuple[float, float, float]] = []
        for golds, prediction in zip(gold, predicted, strict=True):
            grades = cast(Sequence[float], golds)
            scores = cast(Sequence[float], prediction["scores"])
            top = [place for place, grade in enumerate(grades) if grade == max(grades)]
            rank = reciprocal_rank(scores, top)
            by_list.append((ndcg(grades, scores, _K), rank, kendall(grades, scores)))
        names = (self.headline, "mrr", "kendall")
        return Scores(
            {name: _mean([one[place] for one in by_list]) for place, name in enumerate(names)},
            len(gold),
        )

    def label_counts(self, records: Iterable[Record]) -> tuple[dict[str, int], int, float]:
        """Candidates with a grade, records without grades, the score of the order as it stands."""
        num_graded = missing = 0
        found: list[float] = []
        for record in records:
            grades = self.gold(record)
            missing += grades is None
            if grades:
                num_graded += len(grades)
                found.append(ndcg(grades, [-float(place) for place in range(len(grades))], _K))
        return {"graded candidates": num_graded}, missing, _mean(found)


def _mean(numbers: Sequence[float]) -> float:
    """Mean of those that are numbers, nan without any."""
    kept = [number for number in numbers if not math.isnan(number)]
    return math.fsum(kept) / len(kept) if kept else math.nan

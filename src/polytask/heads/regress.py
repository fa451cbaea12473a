"""`kind: regress`: one or several numbers for a text or a pair."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, cast

import torch
from pydantic import Field
from torch import Tensor, nn

from polytask.data.batching import Inputs
from polytask.data.columns import NUMBER, Need
from polytask.data.records import Record
from polytask.data.views import Pairing, text_view
from polytask.errors import ConfigError, DataError
from polytask.heads.head import Gold, Head, Prediction, Scores, pair_features, pool_mean
from polytask.metrics.numbers import mae, pearson, rmse, spearman

_COSINE_SCALE = 4.0
_COSINE_SHIFT = -2.0


class Regress(Head):
    """One or several numbers for a text or a pair (intensity, similarity, urgency)."""

    def __init__(
        self,
        *,
        value: str | list[str],
        text: str | list[str] | None = None,
        words: str | list[str] | None = None,
        pair: Pairing = "cross",
        dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1,
    ) -> None:
        super().__init__()
        self.view = text_view(text, words, pair)
        self.columns = [value] if isinstance(value, str) else list(value)
        if not self.columns:
            raise ConfigError("`value:` names no column")
        if pair == "cosine" and len(self.columns) > 1:
            raise ConfigError("`pair: cosine` gives one number, but `value:` names several columns")
        self.pair = pair
        self.dropout = nn.Dropout(dropout)
        self.means: list[float] = []
        self.deviations: list[float] = []

    @property
    def needs(self) -> Mapping[str, Need]:
        """The columns of numbers."""
        return {column: Need(NUMBER, required=False) for column in self.columns}

    @property
    def headline(self) -> str:
        """Pearson correlation; of several numbers, its mean."""
        return "pearson"

    def fit(self, records: Iterable[Record]) -> list[str]:
        """Learns mean and standard deviation of each number."""
        self.means, self.deviations = [], []
        rows = list(map(self._numbers, records))
        for place, column in enumerate(self.columns):
            values = [row[place] for row in rows if not math.isnan(row[place])]
            mean = math.fsum(values) / max(len(values), 1)
            variance = math.fsum((v - mean) ** 2 for v in values) / max(len(values), 1)
            if len(values) < 2 or variance == 0:
                raise DataError(f"column '{column}' needs two different numbers to learn from")
            self.means.append(mean)
            self.deviations.append(math.sqrt(variance))
        return []

    def facts(self) -> dict[str, object]:
        """Means and standard deviations, in the user's units."""
        return {"columns": self.columns, "means": self.means, "deviations": self.deviations}

    def restore(self, facts: Mapping[str, object]) -> None:
        """Takes back means and standard deviations."""
        self.means = list(cast(list[float], facts["means"]))
        self.deviations = list(cast(list[float], facts["deviations"]))

    def attach(self, width: int) -> None:
        """One linear layer; for `cosine` a scale and a shift."""
        if self.pair == "cosine":
            self.scale = nn.Parameter(torch.tensor(_COSINE_SCALE))
            self.shift = nn.Parameter(torch.tensor(_COSINE_SHIFT))
        else:
            features = width * (4 if self.pair == "towers" else 1)
            self.project = nn.Linear(features, len(self.columns))

    def problem(self, record: Record) -> str | None:
        """Nothing can be wrong beyond what the column type refuses."""
        return None

    def repairs(self, record: Record) -> int:
        """None: nothing is mended."""
        return 0

    def gold(self, record: Record) -> list[float] | None:
        """The numbers, nan where one is missing."""
        numbers = self._numbers(record)
        return None if all(map(math.isnan, numbers)) else numbers

    def targets(self, records: Sequence[Record], inputs: Inputs) -> dict[str, Tensor]:
        """values: (records, numbers), standardised."""
        # In float32 a date in seconds would be off by minutes before its mean is taken away.
        means, deviations, values = (
            torch.tensor(numbers, dtype=torch.float64)
            for numbers in (self.means, self.deviations, list(map(self._numbers, records)))
        )
        return {"values": ((values - means) / deviations).float()}

    def count(self, targets: Mapping[str, Tensor]) -> int:
        """Numbers that are there."""
        return int(targets["values"].isnan().logical_not().sum())

    def forward(self, hidden: Tensor, inputs: Inputs) -> Tensor:
        """Standardised numbers of shape (records, numbers)."""
        pooled = pool_mean(hidden, inputs.mask)  # (rows, width)
        if self.pair == "cosine":
            left, right = pooled[0::2].float(), pooled[1::2].float()  # (records, width)
            cosine = torch.cosine_similarity(left, right, dim=-1)  # (records,)
            return (self.scale * cosine + self.shift).unsqueeze(-1)
        features = pair_features(pooled) if self.pair == "towers" else pooled
        numbers: Tensor = self.project(self.dropout(features))  # (records, numbers)
        return numbers

    def loss(self, logits: Tensor, targets: Mapping[str, Tensor]) -> Tensor:
        """Squared error in standard deviations."""
        values = targets["values"]  # (records, numbers)
        is_there = values.isnan().logical_not()
        error = torch.where(is_there, logits.float() - values.nan_to_num(), 0.0)
        return error.square().sum()

    def decode(self, logits: Tensor, records: Sequence[Record], inputs: Inputs) -> list[Prediction]:
        """`{"value": number}`, or `{"values": {column: number}}`, in the user's units."""
        means = torch.tensor(self.means, dtype=torch.float64)
        deviations = torch.tensor(self.deviations, dtype=torch.float64)
        values = (logits.double().cpu() * deviations + means).tolist()
        digits = [6 - math.floor(math.log10(deviation)) for deviation in self.deviations]
        rounded = [list(map(round, numbers, digits)) for numbers in values]
        if len(self.columns) == 1:
            return [{"value": numbers[0]} for numbers in rounded]
        return [{"values": dict(zip(self.columns, numbers, strict=True))} for numbers in rounded]

    def tune(
        self, gold: Sequence[Gold | None], predicted: Sequence[Prediction]
    ) -> Sequence[Prediction]:
        """Nothing is fitted to dev."""
        return predicted

    def score(self, gold: Sequence[Gold], predicted: Sequence[Prediction]) -> Scores:
        """Pearson, Spearman, mean absolute and root mean squared error; means over numbers."""
        truth = cast(Sequence[list[float]], gold)
        answers = [self._answer(prediction) for prediction in predicted]
        by_column: list[dict[str, float]] = []
        for place in range(len(self.columns)):
            kept = [i for i, row in enumerate(truth) if not math.isnan(row[place])]
            one = [truth[i][place] for i in kept]
            other = [answers[i][place] for i in kept]
            by_column.append(
                {
                    "pearson": pearson(one, other),
                    "spearman": spearman(one, other),
                    "mae": mae(one, other),
                    "rmse": rmse(one, other),
                }
            )
        metrics = {
            name: math.fsum(scores[name] for scores in by_column) / len(by_column)
            for name in by_column[0]
        }
        if len(self.columns) > 1:
            for column, scores in zip(self.columns, by_column, strict=True):
                metrics |= {f"{name}_{column}": number for name, number in scores.items()}
        return Scores(metrics=metrics, count=len(truth))

    def label_counts(self, records: Iterable[Record]) -> tuple[dict[str, int], int, float]:
        """Numbers there per column, records without any; a constant has no correlation."""
        rows = list(map(self._numbers, records))
        counts = {
            column: sum(not math.isnan(row[place]) for row in rows)
            for place, column in enumerate(self.columns)
        }
        missing = sum(all(map(math.isnan, row)) for row in rows)
        return counts, missing, float("nan")

    def _numbers(self, record: Record) -> list[float]:
        values = [cast(float | None, record.get(column)) for column in self.columns]
        return [math.nan if value is None else value for value in values]

    def _answer(self, prediction: Prediction) -> list[float]:
        if len(self.columns) == 1:
            return [cast(float, prediction["value"])]
        values = cast(dict[str, float], prediction["values"])
        return [values[column] for column in self.columns]

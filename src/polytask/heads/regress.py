"""`kind: regress`: one or several numbers for a text or a pair."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Literal, cast

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as nnf

from polytask.data.batching import Inputs
from polytask.data.columns import NUMBER, Need
from polytask.data.records import Record
from polytask.data.views import Pairing, text_view
from polytask.errors import ConfigError, DataError
from polytask.heads.head import Gold, Plain, PlainHead, Prediction, Scores, pair_features, pool_mean
from polytask.heads.probable import Chance, TemperedHead
from polytask.metrics.numbers import mae, pearson, rmse, spearman

_DROPOUT = 0.1
_COSINE_SCALE = 4.0
_COSINE_SHIFT = -2.0
_STRETCH = 0.05
"""Share of the bounds by which answers may miss them before they are cut: a sigmoid never ends."""

_WITHIN = 0.6827
"""Share of a normal distribution within one standard deviation."""

_LOG_VARIANCE = 8.0
"""The largest logarithm of a predicted variance, up or down, in standard deviations."""


class Regress(PlainHead, TemperedHead):
    """One or several numbers for a text or a pair (intensity, similarity, urgency)."""

    def __init__(
        self,
        *,
        value: str | list[str],
        text: str | list[str] | None = None,
        words: str | list[str] | None = None,
        pair: Pairing = "cross",
        bounds: list[float] | None = None,
        loss: Literal["mse", "huber", "gaussian"] = "mse",
        dropout: Annotated[float, Field(ge=0, lt=1)] | None = None,
    ) -> None:
        super().__init__()
        self.view = text_view(text, words, pair)
        self.columns = [value] if isinstance(value, str) else list(value)
        if not self.columns:
            raise ConfigError("`value:` names no column")
        if pair == "cosine" and len(self.columns) > 1:
            raise ConfigError("`pair: cosine` gives one number, but `value:` names several columns")
        if bounds is not None and (len(bounds) != 2 or not bounds[0] < bounds[1]):
            raise ConfigError(f"`bounds:` takes the lowest and the highest number, got {bounds}")
        if loss == "gaussian" and pair == "cosine":
            raise ConfigError("`loss: gaussian` needs `pair: cross` or `pair: towers`")
        if dropout is not None and pair == "cosine":
            raise ConfigError("`dropout:` has no effect with `pair: cosine`. Drop it")
        self.pair = pair
        self.bounds = bounds
        self.error = loss
        self.dropout = nn.Dropout(_DROPOUT if dropout is None else dropout)
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

    @property
    def plain(self) -> Plain:
        """The numbers."""
        return Plain("numbers", lambda gold: gold, lambda numbers: self._shown("value", numbers))

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
        """One linear layer, a second one for the spread; for `cosine` a scale and a shift."""
        if self.pair == "cosine":
            self.scale = nn.Parameter(torch.tensor(_COSINE_SCALE))
            self.shift = nn.Parameter(torch.tensor(_COSINE_SHIFT))
        else:
            features = width * (4 if self.pair == "towers" else 1)
            self.project = nn.Linear(features, len(self.columns))
            if self.error == "gaussian":
                self.spread = nn.Linear(features, len(self.columns))
        if self.bounds:
            low, high = map(self._standardised, self.bounds)  # (numbers,)
            margin = _STRETCH * (high - low)
            self.register_buffer("lowest", (low - margin).float(), persistent=False)
            self.register_buffer("range", (high - low + 2 * margin).float(), persistent=False)

    def problem(self, record: Record) -> str | None:
        """A number out of bounds."""
        for column, number in zip(self.columns, self._numbers(record), strict=True):
            if self.bounds and (number < self.bounds[0] or number > self.bounds[1]):
                return f"{number} in column '{column}' is out of `bounds: {self.bounds}`"
        return None

    def gold(self, record: Record) -> list[float] | None:
        """The numbers, nan where one is missing."""
        numbers = self._numbers(record)
        return None if all(map(math.isnan, numbers)) else numbers

    def targets(self, records: Sequence[Record], inputs: Inputs) -> dict[str, Tensor]:
        """values: (records, numbers), standardised."""
        return {"values": self._standardised(list(map(self._numbers, records))).float()}

    def count(self, targets: Mapping[str, Tensor]) -> int:
        """Numbers that are there."""
        return int(targets["values"].isnan().logical_not().sum())

    def forward(self, hidden: Tensor, inputs: Inputs) -> Tensor:
        """Standardised numbers: (records, numbers); then the logarithms of their variances."""
        pooled = pool_mean(hidden, inputs.mask)  # (rows, width)
        if self.pair == "cosine":
            left, right = pooled[0::2].float(), pooled[1::2].float()  # (records, width)
            cosine = torch.cosine_similarity(left, right, dim=-1)  # (records,)
            return self._bounded((self.scale * cosine + self.shift).unsqueeze(-1))
        features = self.dropout(pair_features(pooled) if self.pair == "towers" else pooled)
        numbers = self._bounded(self.project(features))  # (records, numbers)
        return torch.cat([numbers, self.spread(features)], 1) if self._has_spread else numbers

    def loss(self, logits: Tensor, targets: Mapping[str, Tensor]) -> Tensor:
        """In standard deviations: squared error, Huber's, or Gaussian negative log-likelihood.

        Sources: Huber, "Robust estimation of a location parameter" (1964), bend at 1; Nix and
        Weigend, "Estimating the mean and variance of the target probability distribution" (1994),
        less its constant.
        """
        values = targets["values"]  # (records, numbers)
        numbers, log_variance = self._parted(logits.float())  # (records, numbers)
        gold = values.nan_to_num()  # (records, numbers)
        if self.error == "huber":
            errors = nnf.huber_loss(numbers, gold, reduction="none")
        else:
            errors = (numbers - gold).square()
        if self._has_spread:
            errors = (log_variance + errors / log_variance.exp()) / 2
        return errors.masked_fill(values.isnan(), 0.0).sum()

    def decode(self, logits: Tensor, records: Sequence[Record], inputs: Inputs) -> list[Prediction]:
        """`{"value": number}`, or `{"values": {column: number}}`, in the user's units.

        With `loss: gaussian` also `spread` or `spreads`: the standard deviation it expects.
        """
        means = torch.tensor(self.means, dtype=torch.float64)
        deviations = torch.tensor(self.deviations, dtype=torch.float64)
        numbers, log_variance = self._parted(logits.double().cpu())  # (records, numbers)
        values = numbers * deviations + means  # (records, numbers)
        if self.bounds:
            values = values.clamp(*self.bounds)
        found: list[Prediction] = [self._shown("value", row) for row in values.tolist()]
        if self._has_spread:
            spreads = (log_variance / 2).exp() * self.temperature * deviations
            for prediction, row in zip(found, spreads.tolist(), strict=True):
                prediction |= self._shown("spread", row)
        return found

    @property
    def is_probable(self) -> bool:
        """With `loss: gaussian`."""
        return self._has_spread

    def surprise(self, logits: Tensor, targets: Mapping[str, Tensor], temperature: float) -> Tensor:
        """Gaussian, each spread times the temperature."""
        numbers, log_variance = self._parted(logits.float())  # (records, numbers)
        wider = log_variance + 2 * math.log(temperature)
        errors = (wider + (numbers - targets["values"]).square() / wider.exp()) / 2
        return errors.nansum()

    def chances(self, gold: Gold, prediction: Prediction) -> list[Chance]:
        """Of each number, whether it is as near as its spread says: 0.683 of them should be."""
        truth, values = cast(list[float], gold), self._answer(prediction)
        alone = prediction.get("spread")
        spreads = [alone] if alone else cast(dict[str, float], prediction["spreads"]).values()
        return [
            (_WITHIN, abs(number - value) <= cast(float, spread))
            for number, value, spread in zip(truth, values, spreads, strict=True)
            if not math.isnan(number)
        ]

    def _shown(self, noun: str, numbers: Sequence[float]) -> Prediction:
        digits = [6 - math.floor(math.log10(deviation)) for deviation in self.deviations]
        rounded = list(map(round, numbers, digits))
        if len(self.columns) == 1:
            return {noun: rounded[0]}
        return {f"{noun}s": dict(zip(self.columns, rounded, strict=True))}

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

    @property
    def _has_spread(self) -> bool:
        return self.error == "gaussian"

    def _parted(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        numbers, rest = logits[:, : len(self.columns)], logits[:, len(self.columns) :]
        return numbers, rest.clamp(-_LOG_VARIANCE, _LOG_VARIANCE)

    def _bounded(self, numbers: Tensor) -> Tensor:
        if not self.bounds:
            return numbers
        lowest, width = cast(Tensor, self.lowest), cast(Tensor, self.range)  # (numbers,)
        return lowest + width * numbers.float().sigmoid()

    def _standardised(self, numbers: object) -> Tensor:
        # In float32 a date in seconds would be off by minutes before its mean is taken away.
        given, means, deviations = (
            torch.tensor(some, dtype=torch.float64)
            for some in (numbers, self.means, self.deviations)
        )
        return (given - means) / deviations

    def _numbers(self, record: Record) -> list[float]:
        values = [cast(float | None, record.get(column)) for column in self.columns]
        return [math.nan if value is None else value for value in values]

    def _answer(self, prediction: Prediction) -> list[float]:
        if len(self.columns) == 1:
            return [cast(float, prediction["value"])]
        values = cast(dict[str, float], prediction["values"])
        return [values[column] for column in self.columns]

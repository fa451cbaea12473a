"""`kind: ordinal`: one of several levels that stand in an order."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Literal, cast

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as nnf

from polytask.data.batching import Inputs
from polytask.data.columns import LABEL, NUMBER, Need
from polytask.data.records import Record
from polytask.data.views import text_view
from polytask.errors import ConfigError, DataError, did_you_mean
from polytask.heads.head import (
    IGNORE,
    Gold,
    Plain,
    PlainHead,
    Prediction,
    Scores,
    pair_features,
    pool_mean,
)
from polytask.heads.probable import Chance, LabelledHead, one_chance
from polytask.metrics.classes import accuracy, class_table, confusion, quadratic_kappa
from polytask.metrics.numbers import mae

_LEAST = 1e-6
"""The least probability whose logarithm is taken."""


class Ordinal(PlainHead, LabelledHead):
    """One of several levels in an order (stars, severity, school grades) for a text or a pair.

    For each level but the highest it asks whether the text stands above it. `corn` asks that of the
    texts that stand at or above the level and multiplies the answers (Shi, Cao and Raschka, "Deep
    Neural Networks for Rank-Consistent Ordinal Regression Based on Conditional Probabilities",
    2021); `coral` asks all texts, with one direction in the space of texts for all levels (Cao,
    Mirjalili and Raschka, "Rank consistent ordinal regression for neural networks", 2020).
    """

    answers_once = True

    def __init__(
        self,
        *,
        label: str = "label",
        text: str | list[str] | None = None,
        words: str | list[str] | None = None,
        pair: Literal["cross", "towers"] = "cross",
        levels: list[str] | None = None,
        bands: Annotated[int, Field(ge=2, le=100)] | None = None,
        method: Literal["corn", "coral"] = "corn",
        dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1,
    ) -> None:
        super().__init__()
        self.view = text_view(text, words, pair)
        self.column = label
        if levels is not None and bands is not None:
            raise ConfigError("`levels:` names levels, `bands:` makes them from numbers: say one")
        if levels is not None and (len(levels) < 2 or len(set(levels)) < len(levels)):
            raise ConfigError("`levels:` needs at least two different levels, the lowest first")
        self.levels = list(levels or ())
        self.bands = bands
        self.edges: list[float] = []
        self.method = method
        self.has_towers = pair == "towers"
        self.dropout = nn.Dropout(dropout)
        self._are_given = levels is not None

    @property
    def needs(self) -> Mapping[str, Need]:
        """The column of levels, or of numbers to make bands of."""
        return {self.column: Need(NUMBER if self.bands else LABEL, required=False)}

    @property
    def headline(self) -> str:
        """Kappa with quadratic weights."""
        return "quadratic_kappa"

    @property
    def plain(self) -> Plain:
        """The place of the level as a number."""

        def answer(numbers: Sequence[float]) -> Prediction:
            place = min(max(round(numbers[0]), 0), len(self.levels) - 1)
            return {"label": self.levels[place]}

        return Plain("numbers", lambda gold: [self.levels.index(cast(str, gold))], answer)

    def fit(self, records: Iterable[Record]) -> list[str]:
        """Learns the levels: those given, whole numbers in their order, or bands of equal size."""
        values = [record.get(self.column) for record in records]
        found = [value for value in values if value is not None]
        if self.bands:
            self.edges = _band_edges(cast(list[float], found), self.bands, self.column)
            self.levels = [str(band + 1) for band in range(self.bands)]
            return []
        counts = Counter(cast(list[str], found))
        if len(counts) < 2:
            raise DataError(
                f"column '{self.column}' holds {len(counts)} different levels, but 2 are needed"
            )
        if not self._are_given:
            self.levels = _in_order(counts, self.column)
        unknown = [level for level in counts if level not in self.levels]
        if unknown:
            hint = did_you_mean(unknown[0], self.levels)
            raise DataError(f"level '{unknown[0]}' is not given. {hint}")
        return [f"level '{name}' is seen once" for name in self.levels if counts[name] == 1]

    def facts(self) -> dict[str, object]:
        """Levels from the lowest, and the numbers between bands."""
        return {"levels": self.levels, "edges": self.edges}

    def restore(self, facts: Mapping[str, object]) -> None:
        """Takes back levels and the numbers between bands."""
        self.levels = list(cast(list[str], facts["levels"]))
        self.edges = list(cast(list[float], facts["edges"]))

    def attach(self, width: int) -> None:
        """A linear layer: one output a step, or one output in all and a shift for each step."""
        features, num_steps = width * (4 if self.has_towers else 1), len(self.levels) - 1
        is_coral = self.method == "coral"
        self.project = nn.Linear(features, 1 if is_coral else num_steps, bias=not is_coral)
        self.index = {level: i for i, level in enumerate(self.levels)}
        if is_coral:  # descending from the start: P(above level k) falls with k
            self.shifts = nn.Parameter(torch.linspace(1, -1, num_steps))  # (steps,)

    def problem(self, record: Record) -> str | None:
        """A level that was not in the training data."""
        level = self.gold(record)
        if level is None or level in self.levels:
            return None
        return f"level '{level}' is not one of the levels. {did_you_mean(level, self.levels)}"

    def gold(self, record: Record) -> str | None:
        """The level."""
        value = record.get(self.column)
        if value is None or not self.bands:
            return cast(str | None, value)
        return self.levels[int(np.searchsorted(self.edges, cast(float, value), side="right"))]

    def targets(self, records: Sequence[Record], inputs: Inputs) -> dict[str, Tensor]:
        """levels: (records,), counted from 0."""
        golds = [self.gold(record) for record in records]
        places = [IGNORE if level is None else self.index[level] for level in golds]
        return {"levels": torch.tensor(places)}

    def count(self, targets: Mapping[str, Tensor]) -> int:
        """Records with a level; for `corn` the questions that they are asked."""
        levels = targets["levels"]  # (records,)
        levels = levels[levels != IGNORE]  # (records with a level,)
        if self.method == "coral":
            return len(levels)
        return int((levels + 1).clamp(max=len(self.levels) - 1).sum())

    def forward(self, hidden: Tensor, inputs: Inputs) -> Tensor:
        """Logits of standing above each level but the highest: (records, levels - 1)."""
        pooled = pool_mean(hidden, inputs.mask)  # (rows, width)
        features = pair_features(pooled) if self.has_towers else pooled
        logits: Tensor = self.project(self.dropout(features))
        return logits + self.shifts if self.method == "coral" else logits

    def loss(self, logits: Tensor, targets: Mapping[str, Tensor]) -> Tensor:
        """Binary cross-entropy of every question that a record is asked."""
        levels = targets["levels"].unsqueeze(1)  # (records, 1)
        steps = torch.arange(logits.shape[1], device=logits.device)  # (steps,)
        is_asked = (levels >= steps) if self.method == "corn" else (levels != IGNORE)
        errors = nnf.binary_cross_entropy_with_logits(
            logits.float(), (levels > steps).float(), reduction="none"
        )  # (records, steps)
        return errors.masked_fill(~is_asked, 0.0).sum()

    def surprise(self, logits: Tensor, targets: Mapping[str, Tensor], temperature: float) -> Tensor:
        """That of the levels."""
        levels = targets["levels"]  # (records,)
        is_known = levels != IGNORE
        found = self._of_levels(logits[is_known], temperature)
        gold = found.gather(1, levels[is_known].unsqueeze(1))  # (known records, 1)
        return -gold.clamp(min=_LEAST).log().sum()

    def decode(self, logits: Tensor, records: Sequence[Record], inputs: Inputs) -> list[Prediction]:
        """`{"label": text, "probability": number}`: the level above which it no longer stands."""
        place = (self._above(logits, 1.0) > 0.5).sum(1, keepdim=True)  # (records, 1)
        probability = self._of_levels(logits, self.temperature).gather(1, place)  # (records, 1)
        return [
            {"label": self.levels[i], "probability": round(max(p, 0.0), 6)}
            for i, p in zip(place[:, 0].tolist(), probability[:, 0].tolist(), strict=True)
        ]

    def _above(self, logits: Tensor, temperature: float) -> Tensor:
        """Probability of standing above each level but the highest: (records, steps)."""
        above = (logits.float() / temperature).sigmoid()
        return above.cumprod(1) if self.method == "corn" else above

    def _of_levels(self, logits: Tensor, temperature: float) -> Tensor:
        """Probability of each level: (records, levels); a little below 0 where steps disagree."""
        above = self._above(logits, temperature)
        bounds = nnf.pad(nnf.pad(above, (1, 0), value=1.0), (0, 1))  # (records, levels + 1)
        return bounds[:, :-1] - bounds[:, 1:]

    @property
    def label_names(self) -> Sequence[str]:
        """The levels."""
        return self.levels

    def likelihoods(self, logits: Tensor) -> Tensor:
        """Those of the levels."""
        return self._of_levels(logits, self.temperature).clamp(min=0)

    def chances(self, gold: Gold, prediction: Prediction) -> list[Chance]:
        """That of the level."""
        return one_chance(gold, prediction)

    def score(self, gold: Sequence[Gold], predicted: Sequence[Prediction]) -> Scores:
        """Kappa with quadratic weights, accuracy, mean distance in levels, the table of levels."""
        truth = cast(Sequence[str], gold)
        answers = [cast(str, prediction["label"]) for prediction in predicted]
        place = {level: i for i, level in enumerate(self.levels)}
        return Scores(
            metrics={
                "quadratic_kappa": quadratic_kappa(truth, answers, self.levels),
                "accuracy": accuracy(truth, answers),
                "mae": mae([place[level] for level in truth], [place[level] for level in answers]),
            },
            count=len(truth),
            table=class_table(truth, answers, self.levels),
            labels=self.levels,
            confusion=confusion(truth, answers, self.levels),
        )

    def label_counts(self, records: Iterable[Record]) -> tuple[dict[str, int], int, float]:
        """Counts of levels in their order, records without one; a constant has a kappa of 0."""
        counts: Counter[str | None] = Counter(self.gold(record) for record in records)
        missing = counts.pop(None, 0)
        return {level: counts[level] for level in self.levels}, missing, 0.0


def _in_order(found: Iterable[str], column: str) -> list[str]:
    """Whole numbers from the lowest. Raises DataError if there is anything else."""
    try:
        return sorted(found, key=int)
    except ValueError as error:
        raise DataError(
            f"column '{column}' holds levels that are not whole numbers, so their order is "
            f"unknown. Say it: `levels: [{', '.join(sorted(found))}]`, the lowest first"
        ) from error


def _band_edges(numbers: Sequence[float], num_bands: int, column: str) -> list[float]:
    """The numbers between bands that hold about as many examples each; a band has its lower one."""
    edges = np.quantile(numbers, np.arange(1, num_bands) / num_bands) if numbers else np.zeros(0)
    is_rising = len(numbers) > 1 and (np.diff([min(numbers), *edges]) > 0).all()
    if not is_rising:
        raise DataError(
            f"column '{column}' holds too few different numbers for {num_bands} bands. "
            "Say fewer `bands:`"
        )
    return [float(edge) for edge in edges]

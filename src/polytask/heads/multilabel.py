"""`kind: multilabel`: any number of labels for a text or a pair, also none."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Literal, cast

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as nnf

from polytask.data.batching import Inputs
from polytask.data.columns import LABELS, Need
from polytask.data.records import Record
from polytask.data.views import text_view
from polytask.errors import DataError, did_you_mean
from polytask.heads.head import Gold, Plain, Prediction, Scores, pair_features, pool_mean
from polytask.heads.probable import Chance, ProbableHead
from polytask.heads.reading import ReadableHead, signals_of_records
from polytask.metrics.calibration import Curve, isotonic_curve, on_curve
from polytask.metrics.labels import best_threshold, indicators, label_metrics, label_table

_DEFAULT = 0.5
_FEW = 5
"""A label with fewer examples in dev takes the threshold that suits all labels together."""


class Multilabel(ReadableHead, ProbableHead):
    """Any number of labels for a text or a pair of texts (emotions, topics, multi-intents)."""

    def __init__(
        self,
        *,
        labels: str = "labels",
        text: str | list[str] | None = None,
        words: str | list[str] | None = None,
        pair: Literal["cross", "towers"] = "cross",
        threshold: Annotated[float, Field(gt=0, lt=1)] | None = None,
        dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1,
    ) -> None:
        super().__init__()
        self.view = text_view(text, words, pair)
        self.column = labels
        self.labels: list[str] = []
        self.threshold = threshold
        self.thresholds: list[float] = []
        self.curves: list[Curve] = []
        self.has_towers = pair == "towers"
        self.dropout = nn.Dropout(dropout)

    @property
    def needs(self) -> Mapping[str, Need]:
        """The column of labels."""
        return {self.column: Need(LABELS, required=False)}

    @property
    def headline(self) -> str:
        """Macro F1."""
        return "macro_f1"

    @property
    def plain(self) -> Plain:
        """A 0 or 1 for each label; answers are cut at the thresholds."""

        def value(gold: Gold) -> np.ndarray:
            return cast(np.ndarray, indicators([cast(list[str], gold)], self.labels)[0])

        return Plain("labels", value, self._prediction)

    def fit(self, records: Iterable[Record]) -> list[str]:
        """Learns the labels, in alphabetical order."""
        counts: Counter[str] = Counter()
        num_twice = 0
        for record in records:
            labels = self.gold(record) or []
            counts.update(labels)
            num_twice += len(labels) < len(cast(list[str] | None, record.get(self.column)) or [])
        if not counts:
            raise DataError(f"column '{self.column}' holds no label, but 1 is needed")
        self.labels = sorted(counts)
        self.thresholds = [self.threshold or _DEFAULT] * len(self.labels)
        warnings = [f"label '{name}' is seen once" for name in self.labels if counts[name] == 1]
        twice = f"{num_twice} records name a label more than once; it counts once"
        return warnings + [twice] * bool(num_twice)

    def facts(self) -> dict[str, object]:
        """Labels, the probability from which each is given, and the curves that make them true."""
        return {"labels": self.labels, "thresholds": self.thresholds, "curves": self.curves}

    def restore(self, facts: Mapping[str, object]) -> None:
        """Takes back labels and thresholds."""
        self.labels = list(cast(list[str], facts["labels"]))
        self.thresholds = list(cast(list[float], facts["thresholds"]))
        self.curves = list(cast(list[Curve], facts["curves"]))

    def attach(self, width: int) -> None:
        """One linear layer."""
        self.project = nn.Linear(width * (4 if self.has_towers else 1), len(self.labels))

    def problem(self, record: Record) -> str | None:
        """A label that was not in the training data."""
        labels = self.gold(record) or []
        for label in labels:
            if label not in self.labels:
                hint = did_you_mean(label, self.labels)
                return f"label '{label}' is not one of the labels. {hint}"
        return None

    def repairs(self, record: Record) -> int:
        """None: nothing is mended."""
        return 0

    def gold(self, record: Record) -> list[str] | None:
        """The labels, each once; an empty list says that none fits."""
        given = cast(list[str] | None, record.get(self.column))
        return None if given is None else list(dict.fromkeys(given))

    def targets(self, records: Sequence[Record], inputs: Inputs) -> dict[str, Tensor]:
        """labels: (records, labels), 1 where one fits, nan in records without any column."""
        golds = [self.gold(record) for record in records]
        fits = torch.from_numpy(indicators([gold or [] for gold in golds], self.labels)).float()
        is_missing = torch.tensor([gold is None for gold in golds]).unsqueeze(1)  # (records, 1)
        return {"labels": fits.masked_fill(is_missing, math.nan)}

    def count(self, targets: Mapping[str, Tensor]) -> int:
        """Records with labels."""
        return int(targets["labels"].isfinite().all(1).sum())

    def forward(self, hidden: Tensor, inputs: Inputs) -> Tensor:
        """Logits of shape (records, labels)."""
        pooled = pool_mean(hidden, inputs.mask)  # (rows, width)
        features = pair_features(pooled) if self.has_towers else pooled
        logits: Tensor = self.project(self.dropout(features))  # (records, labels)
        return logits

    @property
    def signal_names(self) -> Sequence[str]:
        """The labels."""
        return self.labels

    def signals(self, logits: Tensor, inputs: Inputs) -> Tensor:
        """Probabilities of the labels, at every token."""
        return signals_of_records(logits.float().sigmoid(), inputs)

    def divergence(self, one: Tensor, other: Tensor) -> Tensor:
        """That of every label, there or not."""
        return super().divergence(one, other) + super().divergence(1 - one, 1 - other)

    def loss(self, logits: Tensor, targets: Mapping[str, Tensor]) -> Tensor:
        """Binary cross-entropy, of each record the mean over labels."""
        fits = targets["labels"]  # (records, labels)
        errors = nnf.binary_cross_entropy_with_logits(
            logits.float(), fits.nan_to_num(), reduction="none"
        )  # (records, labels)
        return errors.masked_fill(fits.isnan(), 0.0).mean(1).sum()

    def decode(self, logits: Tensor, records: Sequence[Record], inputs: Inputs) -> list[Prediction]:
        """`{"labels": [...], "probabilities": {label: number}}`, the likeliest label first."""
        return list(map(self._prediction, logits.float().sigmoid().tolist()))

    def _prediction(self, probabilities: Sequence[float]) -> Prediction:
        given = {label: round(p, 6) for label, p in zip(self.labels, probabilities, strict=True)}
        chosen = [
            label
            for label, threshold in zip(self.labels, self.thresholds, strict=True)
            if given[label] >= threshold
        ]
        curves = [] if self.is_raw else self.curves
        true = {
            label: float(f"{on_curve(curve, given[label]):.6g}")
            for label, curve in zip(self.labels, curves, strict=False)
        }
        return {
            "labels": sorted(chosen, key=lambda label: -(true or given)[label]),
            "probabilities": true or given,
        }

    def evidence(self, logits: Tensor, targets: Mapping[str, Tensor]) -> np.ndarray:
        """Probabilities of the labels and whether they fit: (2, records, labels)."""
        fits = targets["labels"]  # (records, labels)
        known = fits.isfinite().all(1)
        return torch.stack([logits.float().sigmoid()[known], fits[known]]).double().cpu().numpy()

    def calibrate(self, evidence: Sequence[np.ndarray]) -> str:
        """A curve for each label; one with few examples takes that of all labels together."""
        if not evidence:
            return "no labels in dev"
        chances, fits = np.concatenate(evidence, axis=1)  # (records, labels)
        common = isotonic_curve(chances.ravel(), fits.ravel())
        self.curves = [
            isotonic_curve(chances[:, place], fits[:, place])
            if fits[:, place].sum() >= _FEW
            else common
            for place in range(len(self.labels))
        ]
        return "isotonic"

    def chances(self, gold: Gold, prediction: Prediction) -> list[Chance]:
        """Those of all labels, there or not."""
        labels = cast(list[str], gold)
        shown = cast(dict[str, float], prediction["probabilities"])
        return [(chance, label in labels) for label, chance in shown.items()]

    def tune(
        self, gold: Sequence[Gold | None], predicted: Sequence[Prediction]
    ) -> Sequence[Prediction]:
        """Sets the threshold of each label to that of the best F1, unless one is given for all.

        A label with few examples takes the threshold of the best F1 over all labels together.
        """
        rows = [row for row, labels in enumerate(gold) if labels is not None]
        if self.threshold is not None or not rows:
            return predicted
        fits = indicators([cast(list[str], gold[row]) for row in rows], self.labels)
        probabilities = self._probabilities([predicted[row] for row in rows])
        common = best_threshold(fits.ravel(), probabilities.ravel())
        self.thresholds = [
            best_threshold(fits[:, place], probabilities[:, place])
            if fits[:, place].sum() >= _FEW
            else common
            for place in range(len(self.labels))
        ]
        return [self._prediction(row) for row in self._probabilities(predicted).tolist()]

    def score(self, gold: Sequence[Gold], predicted: Sequence[Prediction]) -> Scores:
        """Macro, micro and samples F1, mean average precision, exact sets, the table of labels."""
        truth = indicators(cast(Sequence[list[str]], gold), self.labels)
        answers = indicators(
            [cast(list[str], prediction["labels"]) for prediction in predicted], self.labels
        )
        return Scores(
            metrics=label_metrics(truth, answers, self._probabilities(predicted)),
            count=len(truth),
            table=label_table(truth, answers, self.labels),
            labels=self.labels,
        )

    def label_counts(self, records: Iterable[Record]) -> tuple[dict[str, int], int, float]:
        """Counts of labels, records without the column; no constant answer is worth a score."""
        golds = [self.gold(record) for record in records]
        missing = sum(gold is None for gold in golds)
        counts = Counter(label for gold in golds for label in gold or ())
        return dict(counts.most_common()), missing, math.nan

    def _probabilities(self, predicted: Sequence[Prediction]) -> np.ndarray:
        found = [
            list(cast(dict[str, float], prediction["probabilities"]).values())
            for prediction in predicted
        ]
        return np.array(found, np.float64).reshape(len(predicted), len(self.labels))

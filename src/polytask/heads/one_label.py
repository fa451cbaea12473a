"""One of several labels for a record: learned, turned into a loss, decoded."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as nnf

from polytask.data.records import Record
from polytask.errors import ConfigError, DataError, did_you_mean
from polytask.heads.head import IGNORE, Prediction, Unknown
from polytask.heads.imbalance import ClassWeights, check_weights, log_priors, weights_of


class OneLabel(nn.Module):
    """The labels of one column, of which a record has one, and what unequal frequencies ask for.

    outside: the label of records that none of the others fits; it is not learned.
    """

    def __init__(
        self,
        column: str,
        *,
        labels: list[str] | None = None,
        unknown: Unknown = "refused",
        outside: str | None = None,
        class_weights: ClassWeights = None,
        focal: float = 0.0,
        logit_adjustment: float = 0.0,
        adjust: Literal["training", "answers"] = "training",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__()
        self.column = column
        self.labels = list(labels or ())
        if len(set(self.labels)) < len(self.labels):
            raise ConfigError("`labels:` names a label twice")
        if outside in self.labels:
            raise ConfigError(f"`labels:` names '{outside}', which is out of scope")
        self.unknown = unknown
        self.outside = outside
        check_weights(class_weights)
        self.class_weights = class_weights
        self.focal = focal
        self.adjustment = logit_adjustment
        self.adjust = adjust
        self.label_smoothing = label_smoothing
        self.counts: dict[str, int] = {}
        self._are_given = labels is not None
        self._weights: list[float] = []

    def fit(self, records: Iterable[Record]) -> list[str]:
        """Learns the labels, in alphabetical order unless they are given, and their weights."""
        counts = self._count(records)
        unknown = [label for label in counts if self._are_given and label not in self.labels]
        if unknown:
            raise DataError(
                f"label '{unknown[0]}' is not given. {did_you_mean(unknown[0], self.labels)}"
            )
        if not self._are_given:
            self.labels = sorted(counts)
        if len(counts) < 2:
            raise DataError(
                f"column '{self.column}' holds {len(counts)} different labels, but 2 are needed"
            )
        self.counts = {name: counts[name] for name in self.labels}
        self._weights = weights_of(self.class_weights, self.labels, counts)
        return [f"label '{name}' is seen once" for name in self.labels if counts[name] == 1]

    def facts(self) -> dict[str, object]:
        """Labels, how often each occurs in train, and their weights where there are any."""
        return {
            "labels": self.labels,
            "counts": list(self.counts.values()),
            "class_weights": self._weights,
        }

    def restore(self, facts: Mapping[str, object]) -> None:
        """Takes back labels, counts and weights."""
        self.labels = list(cast(list[str], facts["labels"]))
        self.counts = dict(zip(self.labels, cast(list[int], facts["counts"]), strict=True))
        self._weights = list(cast(list[float], facts["class_weights"]))

    def attach(self) -> None:
        """Numbers the labels."""
        self.index = {label: i for i, label in enumerate(self.labels)}
        weights = torch.tensor(self._weights) if self._weights else None
        self.register_buffer("label_weights", weights, persistent=False)
        priors = self.adjustment * torch.tensor(log_priors(list(self.counts.values())))  # (labels,)
        self.register_buffer("priors", priors, persistent=False)

    def problem(self, record: Record) -> str | None:
        """A label that was not in the training data."""
        label = self.gold(record)
        if label in (None, self.outside, *self.labels) or self.unknown == "wrong":
            return None
        hint = did_you_mean(str(label), self.labels)
        return f"label '{label}' is not one of the labels. {hint}"

    def labels_and(self, gold: Sequence[str]) -> list[str]:
        """The labels, and behind them those gold ones that train does not have."""
        return [*self.labels, *sorted({*gold} - {*self.labels})]

    def gold(self, record: Record) -> str | None:
        """The label."""
        return cast(str | None, record.get(self.column))

    def targets(self, records: Sequence[Record]) -> dict[str, Tensor]:
        """labels: (records,)."""
        labels = [self.gold(record) for record in records]
        places = [IGNORE if label is None else self.index.get(label, IGNORE) for label in labels]
        return {"labels": torch.tensor(places)}

    def count(self, targets: Mapping[str, Tensor]) -> int:
        """Records with a label."""
        return int((targets["labels"] != IGNORE).sum())

    def loss(self, logits: Tensor, targets: Mapping[str, Tensor]) -> Tensor:
        """Cross-entropy, times the weight of the gold label.

        `logit_adjustment` adds tau times the log share of each label to its logit, `adjust` says
        whether while training or, subtracted, in the answers (Menon et al., "Long-tail learning
        via logit adjustment", ICLR 2021). `focal` multiplies by (1 - p)^gamma, p that of the gold
        label (Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017).
        """
        labels = targets["labels"]  # (records,)
        scores = logits.float()  # (records, labels)
        if self.adjust == "training":
            scores = scores + cast(Tensor, self.priors)
        errors = nnf.cross_entropy(
            scores,
            labels,
            weight=cast(Tensor | None, self.label_weights),
            ignore_index=IGNORE,
            reduction="none",
            label_smoothing=self.label_smoothing,
        )  # (records,)
        if self.focal:
            probability = scores.softmax(-1).gather(1, labels.clamp(min=0).unsqueeze(1))
            errors = errors * (1 - probability.squeeze(1)).pow(self.focal)
        return errors.sum()

    def scores(self, logits: Tensor) -> Tensor:
        """What labels are chosen by: (records, labels)."""
        priors = cast(Tensor, self.priors) if self.adjust == "answers" else 0.0
        return logits.float() - priors

    def surprise(self, scores: Tensor, targets: Mapping[str, Tensor]) -> Tensor:
        """Negative log likelihood of the gold labels under scores, a scalar."""
        return nnf.cross_entropy(scores, targets["labels"], ignore_index=IGNORE, reduction="sum")

    def decode(self, scores: Tensor) -> list[Prediction]:
        """`{"label": text, "probability": number}`."""
        probability, place = scores.softmax(-1).max(-1)  # (records,)
        return [
            {"label": self.labels[i], "probability": round(p, 6)}
            for i, p in zip(place.tolist(), probability.tolist(), strict=True)
        ]

    def label_counts(self, records: Iterable[Record]) -> tuple[dict[str, int], int, float]:
        """Counts of labels, records without one, share of the most frequent."""
        counts: Counter[str | None] = Counter(self.gold(record) for record in records)
        missing = counts.pop(None, 0)
        labels = {label: num for label, num in counts.most_common() if label is not None}
        best = max(labels.values(), default=0) / counts.total() if labels else float("nan")
        return labels, missing, best

    def _count(self, records: Iterable[Record]) -> Counter[str]:
        labels = (self.gold(record) for record in records)
        return Counter(label for label in labels if label not in (None, self.outside))

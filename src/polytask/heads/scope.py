"""Texts that no label fits: how strange a text is to a classifier, and from where on it is."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from sklearn.covariance import ledoit_wolf
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn
from torch.nn import functional as nnf

from polytask.heads.head import Head, Prediction

_FEW = 20
"""With fewer rows of dev that are out of scope these do not choose the score."""
_DEFAULT = "mahalanobis"
_RIDGE = 1e-6
_AT_ONCE = 1024
"""Texts that are compared with all of train at a time."""


@dataclass(frozen=True, slots=True)
class Seen:
    """Texts as a classifier sees them: logits (texts, labels), states (texts, width), labels.

    labels: the place of the label of each text, (texts,), -1 for one that is out of scope.
    """

    logits: Tensor
    states: Tensor
    labels: Tensor

    @classmethod
    def joined(cls, parts: Sequence["Seen"]) -> "Seen":
        """All of some."""
        return cls(
            torch.cat([part.logits for part in parts]),
            torch.cat([part.states for part in parts]),
            torch.cat([part.labels for part in parts]),
        )

    def some(self, kept: Tensor) -> "Seen":
        """Those of which the mask, (texts,), is true."""
        return Seen(self.logits[kept], self.states[kept], self.labels[kept])


class Scope(nn.Module):
    """Tells texts that are out of scope, by one of four scores; higher is stranger.

    probability: 1 - the highest probability (Hendrycks and Gimpel, ICLR 2017). energy: -log of the
    sum of exp(logits) (Liu et al., NeurIPS 2020). neighbours: 1 - cosine to the nearest text of
    train. mahalanobis: squared distance to the nearest mean of a class under their common
    covariance (Lee et al., NeurIPS 2018; Podolskiy et al., AAAI 2021), shrunk after Ledoit and Wolf
    (2004). The one of the highest AUROC on dev is kept, with what it needs of train.
    """

    def __init__(self, false_rejects: float) -> None:
        super().__init__()
        self.false_rejects = false_rejects
        self.kind: str | None = None
        self.threshold = 0.0
        self.shapes: dict[str, list[int]] = {}

    def facts(self) -> dict[str, object]:
        """The score, the threshold, and the shapes of what the score needs."""
        return {"score": self.kind, "threshold": self.threshold, "shapes": self.shapes}

    def restore(self, facts: Mapping[str, object]) -> None:
        """Takes back what `facts` gave."""
        self.kind = cast(str | None, facts["score"])
        self.threshold = cast(float, facts["threshold"])
        self.shapes = dict(cast(Mapping[str, list[int]], facts["shapes"]))

    def attach(self) -> None:
        """Makes room for what the score needs."""
        for name, shape in self.shapes.items():
            self.register_buffer(name, torch.zeros(shape))

    def scores(self, logits: Tensor, states: Tensor) -> Tensor:
        """How strange texts are: (texts,); logits: (texts, labels), states: (texts, width)."""
        assert self.kind is not None  # noqa: S101
        return _SCORES[self.kind](logits.float(), states.float(), dict(self.named_buffers()))

    def fit(self, train: Seen, dev: Seen) -> str:
        """Chooses score and threshold; says in a few words what it found.

        The threshold is what the wanted share of dev's texts in scope stands above.
        """
        train, is_out = train.some(train.labels >= 0), dev.labels < 0
        if is_out.all():
            return "nothing out of scope is told: dev has no text in scope to set a threshold by"
        is_choice = int(is_out.sum()) >= _FEW
        kinds = list(_SCORES) if is_choice else [_DEFAULT]
        needs = {kind: _needs(kind, train) for kind in kinds}
        scores = {kind: _SCORES[kind](dev.logits, dev.states, needs[kind]) for kind in kinds}
        self.kind, told = _DEFAULT, f", {int(is_out.sum())} such texts in dev"
        if is_choice:
            areas = {kind: auroc(is_out.numpy(), found.numpy()) for kind, found in scores.items()}
            self.kind = max(areas, key=lambda kind: areas[kind])
            told = ", AUROC on dev " + ", ".join(f"{kind} {one:.4f}" for kind, one in areas.items())
        inside = scores[self.kind][~is_out].double().numpy()
        self.threshold = float(np.quantile(inside, 1 - self.false_rejects, method="higher"))
        for name in self.shapes:
            delattr(self, name)
        self.shapes = {name: list(tensor.shape) for name, tensor in needs[self.kind].items()}
        for name, tensor in needs[self.kind].items():
            self.register_buffer(name, tensor.contiguous())
        return f"out of scope by {self.kind} above {self.threshold:.4g}{told}"


class ScopedHead(Head, ABC):
    """A head that may tell texts it was not made for."""

    @property
    @abstractmethod
    def scope(self) -> Scope | None:
        """What tells them; None if that was not asked for."""

    @abstractmethod
    def seen(self, logits: Tensor, targets: Mapping[str, Tensor]) -> Seen:
        """The texts of a batch that have a label or are out of scope, on the processor."""


def scope_metrics(outside: Sequence[bool], predicted: Sequence[Prediction]) -> dict[str, float]:
    """AUROC, the share found of texts out of scope, that of texts in scope taken for such.

    Nothing where nobody was asked, nan for what there is no text of.
    """
    if not predicted or "is_out_of_scope" not in predicted[0]:
        return {}
    is_out = np.array(outside)
    found = np.array([prediction["is_out_of_scope"] for prediction in predicted])
    scores = np.array([prediction["strangeness"] for prediction in predicted], np.float64)
    has_both = is_out.any() and not is_out.all()
    return {
        "out_of_scope_auroc": auroc(is_out, scores) if has_both else math.nan,
        "out_of_scope_recall": float(found[is_out].mean()) if is_out.any() else math.nan,
        "false_rejects": math.nan if is_out.all() else float(found[~is_out].mean()),
    }


def auroc(is_out: np.ndarray, scores: np.ndarray) -> float:
    """Chance that a text out of scope is stranger than one in scope; both (texts,)."""
    return float(roc_auc_score(is_out, scores))


def _needs(kind: str, train: Seen) -> dict[str, Tensor]:
    if kind == "neighbours":
        return {"texts": nnf.normalize(train.states, dim=1)}
    if kind == "mahalanobis":
        labels = train.labels.unique()
        means = torch.stack([train.states[train.labels == one].mean(0) for one in labels])
        apart = train.states - means[torch.searchsorted(labels, train.labels)]
        covariance, _ = ledoit_wolf(apart.double().numpy(), assume_centered=True)
        least = max(_RIDGE * np.trace(covariance) / len(covariance), _RIDGE)
        covariance += least * np.eye(len(covariance))  # without it classes of one text have none
        root = np.linalg.cholesky(np.linalg.inv(covariance))  # (width, width)
        whiten = torch.from_numpy(root).float()
        return {"whiten": whiten, "centres": means @ whiten}
    return {}


def _nearest(states: Tensor, texts: Tensor) -> Tensor:
    """Cosine to the nearest text: (texts,)."""
    parts = nnf.normalize(states, dim=1).split(_AT_ONCE)
    return torch.cat([(part @ texts.T).amax(-1) for part in parts])


def _distances(states: Tensor, centres: Tensor) -> Tensor:
    """Squared distance to the nearest centre, (texts,), exact whatever stands beside a text."""
    apart = torch.cdist(states, centres, compute_mode="donot_use_mm_for_euclid_dist")
    return apart.amin(-1).square()


Needs = Mapping[str, Tensor]

_SCORES: Mapping[str, Callable[[Tensor, Tensor, Needs], Tensor]] = {
    "probability": lambda logits, _states, _needs: 1 - logits.softmax(-1).amax(-1),
    "energy": lambda logits, _states, _needs: -logits.logsumexp(-1),
    "neighbours": lambda _logits, states, needs: 1 - _nearest(states, needs["texts"]),
    "mahalanobis": lambda _logits, states, needs: _distances(
        states @ needs["whiten"], needs["centres"]
    ),
}

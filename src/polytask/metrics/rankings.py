"""How well scores put candidates into their gold order."""

import math
from collections.abc import Collection, Sequence

import numpy as np
from scipy.stats import kendalltau


def reciprocal_rank(scores: Sequence[float], relevant: Collection[int]) -> float:
    """1 / rank of the best relevant candidate, 0 without one.

    Of candidates with equal scores those that are not relevant come first.
    """
    best = max((scores[place] for place in relevant), default=None)
    if best is None:
        return 0.0
    ahead = sum(s >= best for place, s in enumerate(scores) if place not in relevant)
    return 1 / (ahead + 1)


def ndcg(grades: Sequence[float], scores: Sequence[float], k: int) -> float:
    """Normalised discounted cumulative gain of the first k: 1 is the gold order.

    Gains are the grades themselves, discounts 1 / log2(1 + rank); candidates with equal scores
    share the mean of their gains. nan where no grade is above 0. Source: Järvelin and Kekäläinen,
    "Cumulated Gain-Based Evaluation of IR Techniques" (TOIS 20, 2002).
    """
    gains, values = np.asarray(grades, float), np.asarray(scores, float)
    ideal = _dcg(np.sort(gains)[::-1], k)
    if not ideal > 0:
        return math.nan
    order = np.argsort(-values, kind="stable")
    _, groups = np.unique(-values[order], return_inverse=True)
    means = np.bincount(groups, gains[order]) / np.bincount(groups)
    return _dcg(means[groups], k) / ideal


def kendall(grades: Sequence[float], scores: Sequence[float]) -> float:
    """Kendall's tau-b, -1 to 1; nan where all grades or all scores are equal."""
    if len(set(grades)) < 2 or len(set(scores)) < 2:
        return math.nan
    return float(kendalltau(grades, scores).statistic)


def _dcg(gains: np.ndarray, k: int) -> float:
    kept = gains[:k]
    return float((kept / np.log2(np.arange(2, len(kept) + 2))).sum())

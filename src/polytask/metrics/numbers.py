"""How near predicted numbers come to gold numbers."""

import math
from collections.abc import Sequence

import numpy as np
from scipy import stats

_Numbers = np.ndarray[tuple[int], np.dtype[np.float64]]

_ROUNDING = 1e-12
"""Numbers that differ by less than this share of their size differ by rounding alone."""


def pearson(gold: Sequence[float], predicted: Sequence[float]) -> float:
    """Linear correlation, -1 to 1; nan with fewer than two points or where one side is constant."""
    return _correlation(*_arrays(gold, predicted))


def spearman(gold: Sequence[float], predicted: Sequence[float]) -> float:
    """Pearson correlation of the ranks, equal numbers sharing their mean rank; nan as there."""
    one, other = _arrays(gold, predicted)
    if _is_constant(one) or _is_constant(other):
        return math.nan
    return _correlation(stats.rankdata(one), stats.rankdata(other))


def mae(gold: Sequence[float], predicted: Sequence[float]) -> float:
    """Mean absolute error, in the units of the numbers; nan without any."""
    one, other = _arrays(gold, predicted)
    return float(np.abs(one - other).mean()) if len(one) else math.nan


def rmse(gold: Sequence[float], predicted: Sequence[float]) -> float:
    """Root of the mean squared error, in the units of the numbers; nan without any."""
    one, other = _arrays(gold, predicted)
    return math.sqrt(np.square(one - other).mean()) if len(one) else math.nan


def _arrays(gold: Sequence[float], predicted: Sequence[float]) -> tuple[_Numbers, _Numbers]:
    if len(gold) != len(predicted):
        raise ValueError(f"{len(gold)} gold numbers but {len(predicted)} predicted")
    return np.array(gold, np.float64), np.array(predicted, np.float64)


def _correlation(one: _Numbers, other: _Numbers) -> float:
    if _is_constant(one) or _is_constant(other):
        return math.nan
    return float(stats.pearsonr(one, other).statistic)


def _is_constant(numbers: _Numbers) -> bool:
    """Also where there are fewer than two numbers, or one is not finite."""
    if len(numbers) < 2 or not np.isfinite(numbers).all():
        return True
    return bool(np.ptp(numbers) <= _ROUNDING * np.abs(numbers).max())

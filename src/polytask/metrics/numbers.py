"""Agreement of numbers."""

from collections.abc import Sequence

import numpy as np
from scipy import stats


def pearson(gold: Sequence[float], predicted: Sequence[float]) -> float:
    """Linear correlation; nan for fewer than two numbers or where one side is constant."""
    return float(stats.pearsonr(gold, predicted).statistic) if _vary(gold, predicted) else np.nan


def spearman(gold: Sequence[float], predicted: Sequence[float]) -> float:
    """Correlation of ranks, ties sharing their mean rank; nan as for `pearson`."""
    return float(stats.spearmanr(gold, predicted).statistic) if _vary(gold, predicted) else np.nan


def mae(gold: Sequence[float], predicted: Sequence[float]) -> float:
    """Mean absolute error; nan without numbers."""
    return float(np.abs(np.subtract(gold, predicted)).mean()) if len(gold) else np.nan


def rmse(gold: Sequence[float], predicted: Sequence[float]) -> float:
    """Root of the mean squared error; nan without numbers."""
    return float(np.sqrt(np.square(np.subtract(gold, predicted)).mean())) if len(gold) else np.nan


def _vary(gold: Sequence[float], predicted: Sequence[float]) -> bool:
    def varies(values: Sequence[float]) -> bool:
        spread = max(values) - min(values)
        return spread > 1e-12 * max(map(abs, values))

    return len(gold) >= 2 and varies(gold) and varies(predicted)

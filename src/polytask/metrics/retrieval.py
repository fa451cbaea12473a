"""How well the nearest neighbours of texts are the right ones."""

import math

import numpy as np

_Vectors = np.ndarray[tuple[int, int], np.dtype[np.float32]]
_Groups = np.ndarray[tuple[int], np.dtype[np.int64]]

_AT_ONCE = 512
_K = 10


def retrieval_metrics(
    queries: _Vectors,
    documents: _Vectors,
    wanted: _Groups,
    groups: _Groups,
    *,
    skip_self: bool = False,
) -> dict[str, float]:
    """Hit rates, mean reciprocal rank and nDCG at 10 of documents by their cosine to queries.

    queries, documents: (rows, width), of length 1; wanted, groups: (rows,): the documents of its
    group are relevant to a query. `skip_self` leaves document i out for query i. `hit_k` is the
    share of queries with a relevant document among the first k: recall at k where one is relevant.
    A document as near as a relevant one counts as nearer. A query without a relevant document has
    no part; nan if none has one.
    """
    totals = np.zeros(4)
    num = 0
    for start in range(0, len(queries), _AT_ONCE):
        near = queries[start : start + _AT_ONCE] @ documents.T  # (queries, documents)
        relevant = wanted[start : start + _AT_ONCE, None] == groups  # (queries, documents)
        if skip_self:
            rows = np.arange(len(near))
            near[rows, start + rows] = -np.inf
            relevant[rows, start + rows] = False
        kept = relevant.any(1)
        num += int(kept.sum())
        totals += _sums(near[kept], relevant[kept])
    names = ("hit_1", f"hit_{_K}", "mrr", f"ndcg_{_K}")
    means = totals / num if num else [math.nan] * 4
    return dict(zip(names, map(float, means), strict=True))


def _sums(near: np.ndarray, relevant: np.ndarray) -> np.ndarray:
    """Sums over queries of the four metrics."""
    order = np.lexsort((relevant, -near), axis=1)  # of equally near ones the irrelevant first
    found = np.take_along_axis(relevant, order, axis=1)  # (queries, documents)
    ranks = found.argmax(1) + 1  # (queries,)
    discounts = 1 / np.log2(np.arange(2, _K + 2))[: found.shape[1]]
    gains = (found[:, :_K] * discounts).sum(1)  # (queries,)
    ideal = np.cumsum(discounts)[np.minimum(found.sum(1), len(discounts)) - 1]  # (queries,)
    sums = [(ranks == 1).sum(), (ranks <= _K).sum(), (1 / ranks).sum(), (gains / ideal).sum()]
    return np.array(sums, float)

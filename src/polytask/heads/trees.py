"""The best tree over the words of a sentence."""

from typing import cast

import numpy as np

_Nodes = np.ndarray[tuple[int], np.dtype[np.int64]]
_Scores = np.ndarray[tuple[int, int], np.dtype[np.float64]]


def best_tree(scores: _Scores) -> list[int]:
    """The head of each word in the tree of the highest total score, of which one word is the root.

    scores: (words, words + 1), of each word (row) for each head (column), 0 for the root and i for
    word i, counted from 1. Raises ValueError without a word. Sources: Chu and Liu, "On the shortest
    arborescence of a directed graph" (1965) and Edmonds, "Optimum branchings" (1967); one root by a
    penalty on each arc from it that outweighs every difference.
    """
    num = len(scores)
    if not num:
        raise ValueError("a tree needs a word")
    full = np.full((num + 1, num + 1), -np.inf)  # (dependents, heads), the root first
    full[1:] = scores
    np.fill_diagonal(full, -np.inf)
    heads: _Nodes = full[1:].argmax(axis=1)  # each word's best, which most often is a tree
    if (heads == 0).sum() == 1 and not len(_cycle(np.append(0, heads))):
        return heads.tolist()
    finite = full[np.isfinite(full)]
    full[1:, 0] -= (num + 1) * (finite.max() - finite.min() + 1)
    return cast(list[int], _arborescence(full)[1:].tolist())


def _arborescence(scores: _Scores) -> _Nodes:
    """The head of each node; that of node 0, the root, means nothing."""
    heads: _Nodes = scores.argmax(axis=1)
    heads[0] = 0
    cycle = _cycle(heads)
    if not len(cycle):
        return heads
    # The cycle becomes one node, the last; what enters it replaces the arc to one of its nodes.
    is_outside = np.ones(len(scores), bool)
    is_outside[cycle] = False
    rest = np.flatnonzero(is_outside)
    loss = scores[cycle, heads[cycle]]
    into = scores[np.ix_(cycle, rest)] - loss[:, None]  # (cycle, rest)
    out_of = scores[np.ix_(rest, cycle)]  # (rest, cycle)
    smaller = np.full((len(rest) + 1, len(rest) + 1), -np.inf)
    smaller[:-1, :-1] = scores[np.ix_(rest, rest)]
    smaller[-1, :-1] = into.max(axis=0)
    smaller[:-1, -1] = out_of.max(axis=1)
    found = _arborescence(smaller)
    result: _Nodes = heads.copy()
    is_inside = found[:-1] == len(rest)
    result[rest[~is_inside]] = rest[found[:-1][~is_inside]]
    result[rest[is_inside]] = cycle[out_of.argmax(axis=1)[is_inside]]
    entry = found[-1]
    result[cycle[into[:, entry].argmax()]] = rest[entry]
    return result


def _cycle(heads: _Nodes) -> _Nodes:
    """The nodes of a cycle of arcs, none if there is none."""
    state = np.zeros(len(heads), np.int64)  # 0: not seen, otherwise the walk that saw it
    state[0] = -1
    for start in range(1, len(heads)):
        node = start
        while not state[node]:
            state[node] = start
            node = heads[node]
        if state[node] == start:
            cycle = [node]
            while heads[cycle[-1]] != node:
                cycle.append(heads[cycle[-1]])
            return np.array(cycle, np.int64)
    return np.array([], np.int64)

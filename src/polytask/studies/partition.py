"""Which tasks to train together: the best partition of them into a number of models."""

import random
from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean

Groups = tuple[tuple[str, ...], ...]
"""A partition: each task is in one group."""

EXACT = 8
"""Up to so many tasks every partition is tried."""
_STARTS = 30


def gains(groups: Groups, pairs: Mapping[tuple[str, str], float]) -> dict[str, float]:
    """By task what its group is said to do to it: the mean over the others in it; 0 alone.

    pairs: how the first acts on the second. One that is not known counts as 0.
    """
    return {
        task: fmean(pairs.get((other, task), 0.0) for other in group if other != task)
        if len(group) > 1
        else 0.0
        for group in groups
        for task in group
    }


def total(groups: Groups, pairs: Mapping[tuple[str, str], float]) -> float:
    """The mean gain over tasks."""
    return fmean(gains(groups, pairs).values())


def best_partition(
    tasks: Sequence[str], pairs: Mapping[tuple[str, str], float], most: int
) -> Groups:
    """Of the partitions into at most `most` groups that with the highest mean gain over tasks.

    Up to 8 tasks it is the best of all. Of more, tasks are moved between groups while that helps,
    from 30 starts drawn at random, and the best end is taken.
    """
    if len(tasks) <= EXACT:
        return max(partitions(tasks, most), key=lambda groups: total(groups, pairs))
    draw = random.Random(0)  # noqa: S311
    ends = [
        _climbed({task: draw.randrange(most) for task in tasks}, pairs, most)
        for _ in range(_STARTS)
    ]
    return max(ends, key=lambda groups: total(groups, pairs))


def partitions(tasks: Sequence[str], most: int) -> Iterator[Groups]:
    """Every partition into at most `most` groups, all in one first."""
    if not tasks:
        yield ()
        return
    *before, last = tasks
    for groups in partitions(before, most):
        for place, group in enumerate(groups):
            yield (*groups[:place], (*group, last), *groups[place + 1 :])
        if len(groups) < most:
            yield (*groups, (last,))


def _climbed(places: dict[str, int], pairs: Mapping[tuple[str, str], float], most: int) -> Groups:
    best = _grouped(places)
    is_better = True
    while is_better:
        is_better = False
        for task in places:
            for place in range(most):
                moved = _grouped({**places, task: place})
                if total(moved, pairs) > total(best, pairs) + 1e-12:
                    best, is_better = moved, True
                    places = {**places, task: place}
    return best


def _grouped(places: Mapping[str, int]) -> Groups:
    groups: dict[int, list[str]] = {}
    for task, place in places.items():
        groups.setdefault(place, []).append(task)
    return tuple(tuple(group) for group in groups.values())

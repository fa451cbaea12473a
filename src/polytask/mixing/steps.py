"""The steps of a round: which records of which feeds meet in which pass."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from zlib import crc32

import numpy as np

from polytask.data.batching import bucket
from polytask.data.records import Indices
from polytask.mixing.oversampling import draw

PassPlan = tuple[tuple[str, Indices], ...]
"""The feeds of a pass with the records each gives, in the order of the feeds."""

StepPlan = tuple[PassPlan, ...]
"""One or several passes, after which the weights change once."""


@dataclass(frozen=True, slots=True)
class FeedSize:
    """What planning needs to know of a feed.

    lengths: (records,), tokens of the longest row of each; num_rows: (records,), encoder rows;
    weights: (records,), how often each is drawn in proportion, None if all alike.
    """

    lengths: np.ndarray
    num_rows: np.ndarray
    weights: np.ndarray | None = None


@dataclass(frozen=True, slots=True)
class Round:
    """What a round draws: `counts` examples by feed, behind the `seen` ones of all rounds before.

    number: of all rounds of the run, from 0.
    """

    number: int
    counts: Mapping[str, int]
    seen: Mapping[str, int]


def apart(plan: StepPlan) -> StepPlan:
    """The same records in passes of one feed each."""
    return tuple((part,) for batch in plan for part in batch)


def whole_counts(shares: Mapping[str, float], total: int) -> dict[str, int]:
    """`total` examples by share: rounded down, the rest to those with the largest remainders."""
    exact = {name: share * total for name, share in shares.items()}
    counts = {name: math.floor(amount + 1e-9) for name, amount in exact.items()}
    order = sorted(exact, key=lambda name: counts[name] - exact[name])
    for name in order[: total - sum(counts.values())]:
        counts[name] += 1
    return counts


def plan_round(
    feeds: Mapping[str, FeedSize], at: Round, *, batch_tokens: int, accumulate: int, seed: int
) -> list[StepPlan]:
    """The steps of a round, a function of its arguments alone: resuming jumps, never replays.

    Passes mix rows of near-equal length from all feeds and hold at most `batch_tokens` padded
    tokens; a step holds `accumulate` passes (the last one of a round maybe fewer).
    """
    names = list(feeds)
    drawn = [_draw(name, feeds[name], at, seed) for name in names]
    feed_of = np.repeat(np.arange(len(names)), [len(indices) for indices in drawn])
    index_of = np.concatenate(drawn)
    lengths = np.concatenate([feeds[n].lengths[i] for n, i in zip(names, drawn, strict=True)])
    num_rows = np.concatenate([feeds[n].num_rows[i] for n, i in zip(names, drawn, strict=True)])
    generator = np.random.default_rng([seed, at.number])
    passes: list[PassPlan] = []
    for batch in bucket(lengths, num_rows, batch_tokens, generator):
        members, indices = feed_of[batch], index_of[batch]
        by_feed = [(name, indices[members == f]) for f, name in enumerate(names)]
        passes.append(tuple(part for part in by_feed if len(part[1])))
    return [tuple(passes[i : i + accumulate]) for i in range(0, len(passes), accumulate)]


def _draw(name: str, feed: FeedSize, at: Round, seed: int) -> Indices:
    """The next records of a feed: all of them in a new order, then again; or drawn by weight."""
    key, size = crc32(name.encode()), len(feed.lengths)
    begin, end = at.seen[name], at.seen[name] + at.counts[name]
    if feed.weights is not None:
        return draw(feed.weights, end - begin, np.random.default_rng([seed, at.number, key]))
    found = [np.zeros(0, np.int64)]
    for again in range(begin // size, -(-end // size)):
        order = np.random.default_rng([seed, again, key]).permutation(size)
        start = again * size
        found.append(np.sort(order[max(begin - start, 0) : max(end - start, 0)]))
    return np.concatenate(found)

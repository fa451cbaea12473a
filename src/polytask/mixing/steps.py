"""The steps of an epoch: which records of which feeds meet in which pass."""

from collections.abc import Mapping
from dataclasses import dataclass
from zlib import crc32

import numpy as np

from polytask.data.batching import bucket
from polytask.data.records import Indices
from polytask.mixing.mixer import Mixer
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


def plan_epoch(
    feeds: Mapping[str, FeedSize],
    mixer: Mixer,
    epoch: int,
    *,
    batch_tokens: int,
    accumulate: int,
    seed: int,
) -> list[StepPlan]:
    """The steps of an epoch, a function of its arguments alone: resuming jumps, never replays.

    Passes mix rows of near-equal length from all feeds and hold at most `batch_tokens` padded
    tokens; a step holds `accumulate` passes (the last one of an epoch maybe fewer).
    """
    names = list(feeds)
    counts = mixer.counts({name: len(feed.lengths) for name, feed in feeds.items()}, epoch)
    drawn = [_draw(feeds[name], counts[name], _generator(seed, epoch, name)) for name in names]
    feed_of = np.repeat(np.arange(len(names)), [len(indices) for indices in drawn])
    index_of = np.concatenate(drawn)
    lengths = np.concatenate([feeds[n].lengths[i] for n, i in zip(names, drawn, strict=True)])
    num_rows = np.concatenate([feeds[n].num_rows[i] for n, i in zip(names, drawn, strict=True)])
    generator = np.random.default_rng([seed, epoch])
    passes: list[PassPlan] = []
    for batch in bucket(lengths, num_rows, batch_tokens, generator):
        members = feed_of[batch]
        passes.append(tuple((names[f], index_of[batch[members == f]]) for f in np.unique(members)))
    return [tuple(passes[i : i + accumulate]) for i in range(0, len(passes), accumulate)]


def _generator(seed: int, epoch: int, feed: str) -> np.random.Generator:
    return np.random.default_rng([seed, epoch, crc32(feed.encode())])


def _draw(feed: FeedSize, count: int, generator: np.random.Generator) -> Indices:
    """`count` records: whole rounds of all of them, then a random part of one; or by weight."""
    if feed.weights is not None:
        return draw(feed.weights, count, generator)
    size = len(feed.lengths)
    rounds, rest = divmod(count, size)
    whole = np.tile(np.arange(size), rounds)
    return np.concatenate([whole, generator.permutation(size)[:rest]])

"""What one forward pass of the encoder takes, and how records are put into passes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from polytask.data.records import Indices, Record

NO_WORD = -1
"""Marks a place of `word_starts` where no word stands, or whose word was cut off."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """Rows for the encoder, padded to one length.

    token_ids, segment_ids: (rows, tokens); mask: (rows, tokens), true at real tokens;
    word_starts: (rows, words), the position of each word's first token, `NO_WORD` elsewhere;
    owners: (rows,), the record of each row, counted within the batch; is_hidden: (rows, tokens),
    true at tokens that the encoder does not see as they are, None where it sees all.
    """

    token_ids: Tensor
    mask: Tensor
    segment_ids: Tensor
    word_starts: Tensor
    owners: Tensor
    is_hidden: Tensor | None = None

    def to(self, device: torch.device) -> "Inputs":
        """The same rows on another device."""
        return Inputs(
            *(
                None if tensor is None else tensor.to(device, non_blocking=True)  # type: ignore[arg-type]
                for tensor in (
                    self.token_ids,
                    self.mask,
                    self.segment_ids,
                    self.word_starts,
                    self.owners,
                    self.is_hidden,
                )
            )
        )


@dataclass(frozen=True, slots=True)
class Part:
    """The rows of a pass that come from one feed, with the targets of the tasks that read it.

    `inputs` are those rows alone; `rows` says where they stand in the pass. `records` are in the
    order of `inputs.owners`; `indices` are their places in the feed. Of texts read in windows
    `inputs` may be the whole texts: `places` then says where each of their tokens stands among the
    rows, (texts, tokens, 2).
    """

    feed: str
    rows: slice
    inputs: Inputs
    records: tuple[Record, ...]
    indices: Indices
    targets: Mapping[str, Mapping[str, Tensor]] = field(default_factory=dict)
    places: Tensor | None = None

    def to(self, device: torch.device) -> "Part":
        """The same part on another device."""
        targets = {
            task: {name: value.to(device, non_blocking=True) for name, value in named.items()}
            for task, named in self.targets.items()
        }
        places = None if self.places is None else self.places.to(device, non_blocking=True)
        inputs = self.inputs.to(device)
        return Part(self.feed, self.rows, inputs, self.records, self.indices, targets, places)


@dataclass(frozen=True, slots=True)
class Pass:
    """One forward of the encoder over rows of near-equal length from one or several feeds."""

    inputs: Inputs
    parts: tuple[Part, ...]

    def to(self, device: torch.device) -> "Pass":
        """The same pass on another device."""
        return Pass(self.inputs.to(device), tuple(part.to(device) for part in self.parts))


@dataclass(frozen=True, slots=True)
class Ragged:
    """Encoder rows as lists of unequal length, before padding.

    own: of each row the stretch of tokens that no other window of its text has. continues: whether
    a row is a further window of the text of the row before. first_words: the word that the
    `word_starts` of a row begin with.
    """

    token_ids: Sequence[np.ndarray]
    num_first: Sequence[int]
    word_starts: Sequence[np.ndarray]
    owners: Sequence[int]
    own: Sequence[tuple[int, int]]
    continues: Sequence[bool]
    first_words: Sequence[int]

    @property
    def num_words(self) -> int:
        """The words of the longest text."""
        ends = (i + len(s) for i, s in zip(self.first_words, self.word_starts, strict=True))
        return max(ends, default=0)


def pad(rows: Ragged, *, pad_id: int, segment: int, num_tokens: int | None = None) -> Inputs:
    """Rows padded to the longest, or to `num_tokens`; `segment` is the id of a second segment."""
    num_rows = len(rows.token_ids)
    width = num_tokens or max(map(len, rows.token_ids))
    token_ids = np.full((num_rows, width), pad_id, np.int64)
    mask = np.zeros((num_rows, width), np.bool_)
    segments = np.zeros((num_rows, width), np.int64)
    starts = np.full((num_rows, rows.num_words), NO_WORD, np.int64)
    for i, (tokens, first, first_word, words) in enumerate(
        zip(rows.token_ids, rows.num_first, rows.first_words, rows.word_starts, strict=True)
    ):
        token_ids[i, : len(tokens)] = tokens
        mask[i, : len(tokens)] = True
        segments[i, first : len(tokens)] = segment
        starts[i, first_word : first_word + len(words)] = words
    owners = np.asarray(rows.owners, np.int64)
    return Inputs(*(torch.from_numpy(a) for a in (token_ids, mask, segments, starts, owners)))


def join(parts: Sequence[Inputs]) -> Inputs:
    """Rows of equal padded length one after the other; word places and owners stay each part's."""
    if len(parts) == 1:
        return parts[0]
    num_words = max(part.word_starts.shape[1] for part in parts)
    starts = [
        torch.nn.functional.pad(
            part.word_starts, (0, num_words - part.word_starts.shape[1]), value=NO_WORD
        )
        for part in parts
    ]
    return Inputs(
        torch.cat([part.token_ids for part in parts]),
        torch.cat([part.mask for part in parts]),
        torch.cat([part.segment_ids for part in parts]),
        torch.cat(starts),
        torch.cat([part.owners for part in parts]),
    )


def bucket(
    lengths: np.ndarray, num_rows: np.ndarray, budget: int, generator: np.random.Generator
) -> list[Indices]:
    """Batches of near-equal length in random order; equal lengths change neighbours each time.

    lengths: (examples,), tokens of the longest row of each; num_rows: (examples,), encoder rows of
    each. The padded size of a batch (rows times tokens) is at most `budget`, and at most twice as
    much when the rows of each example are put together, unless one example alone is larger.
    """
    order = np.lexsort((generator.random(len(lengths)), num_rows, lengths))
    batches = cut(order, lengths, num_rows, budget)
    return [batches[i] for i in generator.permutation(len(batches))]


def by_length(lengths: np.ndarray, num_rows: np.ndarray, budget: int) -> list[Indices]:
    """Batches of near-equal length, the longest first: always the same for the same examples."""
    return cut(np.lexsort((-num_rows, -lengths)), lengths, num_rows, budget)


def cut(order: Indices, lengths: np.ndarray, num_rows: np.ndarray, budget: int) -> list[Indices]:
    """Cuts examples, in this order, into batches of the padded size that `bucket` tells."""
    batches: list[Indices] = []
    start = rows = most = longest = 0
    sizes = zip(num_rows[order].tolist(), lengths[order].tolist(), strict=True)
    for place, (own, length) in enumerate(sizes):
        rows += own
        most = max(most, own)  # a million times: faster than max()
        longest = max(longest, length)
        is_full = rows * longest > budget or (place - start + 1) * most * longest > 2 * budget
        if is_full and place > start:
            batches.append(order[start:place])
            start, rows, most, longest = place, own, own, length
    if len(order):
        batches.append(order[start:])
    return batches

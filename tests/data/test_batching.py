from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from polytask.data.batching import Inputs, Ragged, bucket, by_length, join, pad
from polytask.data.records import Indices

SIZES = st.lists(st.tuples(st.integers(1, 40), st.integers(1, 3)), max_size=40)


def arrays(sizes: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    """Lengths and encoder rows of each example."""
    return np.array([s[0] for s in sizes], np.int64), np.array([s[1] for s in sizes], np.int64)


def padded_size(batch: Indices, lengths: np.ndarray, num_rows: np.ndarray) -> int:
    return int(lengths[batch].max() * num_rows[batch].sum())


def assert_batches_keep_the_rules(batches: list[Indices], sizes: list[tuple[int, int]]) -> None:
    lengths, num_rows = arrays(sizes)
    assert sorted(int(i) for batch in batches for i in batch) == list(range(len(sizes)))
    for batch in batches:
        assert len(batch) == 1 or padded_size(batch, lengths, num_rows) <= 60


@given(SIZES)
def test_by_length_holds_every_example_once_and_keeps_to_the_budget(
    sizes: list[tuple[int, int]],
) -> None:
    batches = by_length(*arrays(sizes), 60)

    assert_batches_keep_the_rules(batches, sizes)
    lengths = [int(arrays(sizes)[0][i]) for batch in batches for i in batch]
    assert lengths == sorted(lengths, reverse=True)


@given(SIZES, st.integers(0, 5))
def test_buckets_hold_every_example_once_and_keep_to_the_budget(
    sizes: list[tuple[int, int]], seed: int
) -> None:
    batches = bucket(*arrays(sizes), 60, np.random.default_rng(seed))

    assert_batches_keep_the_rules(batches, sizes)
    lengths = arrays(sizes)[0]
    ranges = sorted((lengths[batch].min(), lengths[batch].max()) for batch in batches)
    assert all(one[1] <= two[0] for one, two in pairwise(ranges))


def test_buckets_are_the_same_for_a_seed_and_differ_between_seeds() -> None:
    lengths, num_rows = np.full(20, 5), np.ones(20, np.int64)

    def drawn(seed: int) -> list[list[int]]:
        generator = np.random.default_rng(seed)
        return [batch.tolist() for batch in bucket(lengths, num_rows, 20, generator)]

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)
    neighbours = [{frozenset(batch) for batch in drawn(seed)} for seed in (1, 2)]
    assert neighbours[0] != neighbours[1]


def test_a_batch_ends_before_the_example_that_would_break_the_budget() -> None:
    # Longest first: 9 x 1; then 5 x 2 = 10 fits and 5 x 3 = 15 does not; then 4 x 2 = 8.
    lengths = np.array([5, 9, 4, 5, 4])

    batches = by_length(lengths, np.ones(5, np.int64), 10)

    assert [batch.tolist() for batch in batches] == [[1], [0, 3], [2, 4]]


def test_examples_of_one_row_do_not_share_a_batch_with_one_of_many() -> None:
    # Put together they would take 9 x 16 rows where the budget is 24.
    lengths, num_rows = np.full(9, 10), np.array([16, *[1] * 8])

    batches = by_length(lengths, num_rows, 240)

    assert list(map(len, batches)) == [3, 6]


def test_an_example_larger_than_the_budget_is_alone() -> None:
    batches = by_length(np.array([30, 2, 3]), np.array([2, 1, 1]), 10)

    assert [batch.tolist() for batch in batches] == [[0], [2, 1]]


def ragged_of(rows: list[list[int]], *, words: list[list[int]] | None = None) -> Ragged:
    return Ragged(
        token_ids=[np.array(row, np.int32) for row in rows],
        num_first=[2] * len(rows),
        word_starts=[np.array(starts, np.int32) for starts in words or [[] for _ in rows]],
        own=[(0, len(tokens)) for tokens in rows],
        continues=[False for _ in rows],
        first_words=[0 for _ in rows],
        owners=list(range(len(rows))),
    )


def test_padding_is_masked_and_belongs_to_the_first_segment() -> None:
    inputs = pad(ragged_of([[7, 8, 9], [5]], words=[[1, 2], [0]]), pad_id=4, segment=1)

    assert inputs.token_ids.tolist() == [[7, 8, 9], [5, 4, 4]]
    assert inputs.mask.tolist() == [[True, True, True], [True, False, False]]
    assert inputs.segment_ids.tolist() == [[0, 0, 1], [0, 0, 0]]
    assert inputs.word_starts.tolist() == [[1, 2], [0, -1]]
    assert inputs.owners.tolist() == [0, 1]


def test_rows_can_be_padded_to_a_given_length() -> None:
    inputs = pad(ragged_of([[7]]), pad_id=0, segment=0, num_tokens=4)

    assert inputs.token_ids.tolist() == [[7, 0, 0, 0]]
    assert inputs.word_starts.shape == (1, 0)


def test_joined_rows_stand_one_part_after_the_other_with_owners_of_their_own() -> None:
    one = pad(ragged_of([[7, 8]], words=[[0, 1]]), pad_id=0, segment=0)
    two = pad(ragged_of([[5], [6]]), pad_id=0, segment=0, num_tokens=2)

    both = join([one, two])

    assert both.token_ids.tolist() == [[7, 8], [5, 0], [6, 0]]
    assert both.mask.tolist() == [[True, True], [True, False], [True, False]]
    assert both.word_starts.tolist() == [[0, 1], [-1, -1], [-1, -1]]
    assert both.owners.tolist() == [0, 0, 1]
    assert join([one]) is one


@pytest.mark.parametrize("name", ["token_ids", "mask", "segment_ids", "word_starts", "owners"])
def test_inputs_move_to_a_device_whole(name: str) -> None:
    inputs = pad(ragged_of([[7, 8]], words=[[0, 1]]), pad_id=0, segment=1)

    moved: Inputs = inputs.to(torch.device("meta"))

    assert getattr(moved, name).device.type == "meta"
    assert getattr(moved, name).shape == getattr(inputs, name).shape

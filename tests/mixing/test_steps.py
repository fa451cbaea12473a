"""Which records meet in which pass of an epoch."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polytask.mixing.steps import FeedSize, Round, StepPlan, plan_round, whole_counts

_SIZES = st.dictionaries(
    st.sampled_from(["news", "reviews", "pairs"]), st.integers(1, 60), min_size=1
)


def sizes_of(counts: dict[str, int], *, rows: int = 1) -> dict[str, FeedSize]:
    """Feeds with texts of 3 to 12 tokens and `rows` encoder rows a record."""
    return {
        name: FeedSize(3 + np.arange(count) * 7 % 10, np.full(count, rows))
        for name, count in counts.items()
    }


def plan(
    feeds: dict[str, FeedSize],
    epoch: int = 0,
    *,
    times: float = 1.0,
    budget: int = 48,
    accumulate: int = 2,
    seed: int = 7,
) -> list[StepPlan]:
    """The steps of an epoch that draws each feed so many times, behind others like it."""
    counts = {name: int(len(feed.lengths) * times) for name, feed in feeds.items()}
    seen = {name: epoch * count for name, count in counts.items()}
    return plan_round(
        feeds, Round(epoch, counts, seen), batch_tokens=budget, accumulate=accumulate, seed=seed
    )


def drawn(steps: list[StepPlan]) -> Counter[tuple[str, int]]:
    """How often each record of each feed occurs."""
    return Counter(
        (name, int(index))
        for step in steps
        for batch in step
        for name, indices in batch
        for index in indices
    )


def as_lists(steps: list[StepPlan]) -> list[list[list[tuple[str, list[int]]]]]:
    return [[[(name, i.tolist()) for name, i in batch] for batch in step] for step in steps]


@given(_SIZES, st.integers(16, 200), st.integers(1, 4), st.integers(0, 5))
def test_proportional_mixing_gives_every_example_exactly_once_an_epoch(
    counts: dict[str, int], budget: int, accumulate: int, epoch: int
) -> None:
    steps = plan(sizes_of(counts), epoch, budget=budget, accumulate=accumulate)

    assert drawn(steps) == Counter((n, i) for n, count in counts.items() for i in range(count))


@given(_SIZES, st.integers(16, 200), st.integers(1, 2))
def test_the_padded_tokens_of_a_pass_stay_within_the_budget(
    counts: dict[str, int], budget: int, rows: int
) -> None:
    feeds = sizes_of(counts, rows=rows)

    for step in plan(feeds, budget=budget):
        for batch in step:
            num_examples = sum(len(indices) for _, indices in batch)
            longest = max(int(feeds[name].lengths[i].max()) for name, i in batch)
            assert num_examples * rows * longest <= budget or num_examples == 1


@given(_SIZES, st.integers(1, 4))
def test_a_step_holds_accumulate_passes_but_maybe_the_last_one(
    counts: dict[str, int], accumulate: int
) -> None:
    *full, last = [len(step) for step in plan(sizes_of(counts), accumulate=accumulate)]

    assert set(full) <= {accumulate}
    assert 1 <= last <= accumulate


def test_the_plan_is_a_function_of_its_arguments_alone() -> None:
    feeds = sizes_of({"news": 50, "reviews": 20})

    first = as_lists(plan(feeds, 3))
    np.random.default_rng().random(100)  # nothing drawn elsewhere may matter

    assert as_lists(plan(feeds, 3)) == first


@pytest.mark.parametrize(("epoch", "seed"), [(1, 7), (0, 8)])
def test_another_epoch_or_seed_gives_another_order(epoch: int, seed: int) -> None:
    feeds = sizes_of({"news": 50, "reviews": 20})

    assert as_lists(plan(feeds, epoch, seed=seed)) != as_lists(plan(feeds, 0, seed=7))


def test_what_a_feed_draws_depends_on_its_name_and_not_on_its_neighbours() -> None:
    alone = sizes_of({"reviews": 21})
    beside = sizes_of({"news": 50, "reviews": 21})
    renamed = sizes_of({"opinions": 21})

    def of(feeds: dict[str, FeedSize], name: str) -> Counter[int]:
        counts = drawn(plan(feeds, times=2.5))
        return Counter({i: n for (feed, i), n in counts.items() if feed == name})

    # 21 times 2.5 is 52: all 21 twice and a random 10
    assert sum(of(alone, "reviews").values()) == 52
    assert Counter(of(alone, "reviews").values()) == {2: 11, 3: 10}
    assert of(beside, "reviews") == of(alone, "reviews")
    assert of(renamed, "opinions") != of(alone, "reviews")


def test_a_pass_mixes_feeds_in_their_order() -> None:
    feeds = sizes_of({"news": 30, "reviews": 30})

    orders = [[name for name, _ in batch] for step in plan(feeds) for batch in step]

    assert ["news", "reviews"] in orders
    assert ["reviews", "news"] not in orders


def test_rows_of_a_pass_are_of_near_equal_length() -> None:
    feeds = {"news": FeedSize(np.arange(1, 65), np.ones(64, int))}

    ranges = sorted(
        (int(i.min()), int(i.max()))
        for step in plan(feeds, budget=128, accumulate=1)
        for batch in step
        for _, i in batch
    )

    assert all(high < low for (_, high), (low, _) in pairwise(ranges))


@given(_SIZES, st.lists(st.integers(1, 40), min_size=1, max_size=6))
def test_rounds_go_through_a_feed_before_anything_is_drawn_again(
    counts: dict[str, int], rounds: list[int]
) -> None:
    feeds, seen = sizes_of(counts), dict.fromkeys(counts, 0)
    found: Counter[tuple[str, int]] = Counter()
    for number, num in enumerate(rounds):
        at = Round(number, dict.fromkeys(counts, num), seen)
        found += drawn(plan_round(feeds, at, batch_tokens=48, accumulate=1, seed=7))
        seen = {name: seen[name] + num for name in counts}

    for name, size in counts.items():
        times = [found[name, place] for place in range(size)]
        assert sum(times) == sum(rounds)
        assert max(times) - min(times) <= 1


@given(_SIZES, st.integers(0, 500))
def test_whole_counts_add_up_and_are_never_off_by_one(counts: dict[str, int], total: int) -> None:
    shares = {name: count / sum(counts.values()) for name, count in counts.items()}

    found = whole_counts(shares, total)

    assert sum(found.values()) == total
    assert all(abs(found[name] - shares[name] * total) < 1 for name in counts)
    assert whole_counts(shares, sum(counts.values())) == counts

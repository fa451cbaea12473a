import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_records import records_of
from local_tokenizers import ours
from polytask.data import feed as feeds
from polytask.data.batching import Ragged
from polytask.data.cleaning import Cleaning
from polytask.data.feed import Feed, LiveRows, ragged, token_rows
from polytask.data.records import Record
from polytask.data.tokeniser import Tokeniser
from polytask.data.views import TextView, View

BACKEND = ours().backend_tokenizer
TOKENISER = Tokeniser(BACKEND, max_tokens=12, pad_id=0)
TEXT = st.text(st.sampled_from("please help 我的订单 ☃"), min_size=1)
WORDS = st.lists(st.sampled_from(["please", "help", "我", "订单", "☃"]), min_size=1, max_size=20)
ROWS = st.lists(
    st.fixed_dictionaries({"text": TEXT, "other": TEXT, "words": WORDS}), min_size=1, max_size=9
)
VIEWS: list[View] = [
    TextView(("text",)),
    TextView(("text", "other")),
    TextView(("text", "other"), has_towers=True),
    TextView(("words",), is_split=True),
]


def feed_of(rows: Sequence[Record], view: View, cache: Path, *, key: str = "k") -> Feed:
    records = records_of(rows, key=key)
    return Feed("reviews", records, view, tokeniser=TOKENISER, cleaning=None, cache=cache)


def live(rows: Sequence[Record], view: View) -> LiveRows:
    return LiveRows("reviews", rows, view, tokeniser=TOKENISER, cleaning=None)


def plain(rows: Ragged) -> list[tuple[list[int], int, list[int], int]]:
    return [
        (list(tokens), first, list(starts), owner)
        for tokens, first, starts, owner in zip(
            rows.token_ids, rows.num_first, rows.word_starts, rows.owners, strict=True
        )
    ]


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
@given(rows=ROWS, data=st.data())
def test_rows_come_back_from_the_cache_exactly_as_they_were_encoded(
    view: View, rows: list[Record], data: st.DataObject
) -> None:
    indices = np.array(data.draw(st.lists(st.integers(0, len(rows) - 1), min_size=1)), np.int64)

    with tempfile.TemporaryDirectory() as folder:
        feed = feed_of(rows, view, Path(folder))
        stored, lengths, num_rows = feed.rows(indices), feed.lengths.tolist(), feed.num_rows
        taken = feed.take(indices)

    made = list(token_rows(rows, view, TOKENISER, None))
    assert plain(stored) == plain(ragged([made[i] for i in indices]))
    assert lengths == [max(len(row.token_ids) for row in of_record) for of_record in made]
    assert num_rows.tolist() == [len(of_record) for of_record in made]
    assert taken == tuple({**rows[i]} for i in indices)


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
@given(rows=ROWS)
def test_prediction_tokenises_as_training_does(view: View, rows: list[Record]) -> None:
    everything = np.arange(len(rows))

    with tempfile.TemporaryDirectory() as folder:
        feed, given_now = feed_of(rows, view, Path(folder)), live(rows, view)

    assert plain(given_now.rows(everything)) == plain(feed.rows(everything))
    assert given_now.lengths.tolist() == feed.lengths.tolist()
    assert given_now.num_rows.tolist() == feed.num_rows.tolist()


def test_towers_are_two_rows_a_record(tmp_path: Path) -> None:
    rows = [{"text": "help", "other": "please help"}, {"text": "order", "other": "help"}]

    feed = feed_of(rows, TextView(("text", "other"), has_towers=True), tmp_path)

    drawn = feed.rows(np.array([1, 0]))
    assert feed.num_rows.tolist() == [2, 2]
    assert feed.lengths.tolist() == [4, 3]  # [CLS] please help [SEP]; [CLS] order [SEP]
    assert drawn.owners == [0, 0, 1, 1]
    assert [len(tokens) for tokens in drawn.token_ids] == [3, 3, 3, 4]


def test_records_are_found_across_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "_ROWS_PER_CHUNK", 3)
    rows = [{"text": "help " * (i % 5 + 1), "other": "please"} for i in range(10)]
    view = TextView(("text", "other"), has_towers=True)

    feed = feed_of(rows, view, tmp_path)

    order = np.array([9, 0, 4, 5, 1])
    made = list(token_rows(rows, view, TOKENISER, None))
    assert plain(feed.rows(order)) == plain(ragged([made[i] for i in order]))
    assert feed.num_rows.tolist() == [2] * 10


def test_counts_tell_what_was_cut_and_what_is_unknown(tmp_path: Path) -> None:
    # With the two marks: 3, 22 (cut to 12) and 5 tokens; "☃☃" is a word start and two unknowns.
    rows = [{"text": "help"}, {"text": "help " * 20}, {"text": "☃☃"}]

    counts = feed_of(rows, TextView(("text",)), tmp_path).counts()

    assert counts.lengths.tolist() == [3, 22, 5]
    assert (counts.num_truncated, counts.num_unknown, counts.num_tokens) == (1, 2, 30)


def test_the_cache_is_read_again_for_the_same_records_and_made_anew_for_others(
    tmp_path: Path,
) -> None:
    rows, view = [{"text": "help", "other": "please"}], VIEWS[0]
    records = records_of(rows)
    longer = Tokeniser(BACKEND, max_tokens=13, pad_id=0)

    def tables_after(feed: Feed) -> int:
        assert len(feed) == 1
        return len(list(tmp_path.glob("tokens-*.arrow")))

    assert tables_after(feed_of(rows, view, tmp_path)) == 1
    assert tables_after(feed_of(rows, view, tmp_path)) == 1
    assert tables_after(feed_of(rows, view, tmp_path, key="other content")) == 2
    assert tables_after(feed_of(rows, VIEWS[1], tmp_path)) == 3
    assert tables_after(feed_of(rows, VIEWS[2], tmp_path)) == 4
    cleaned = Feed(
        "r", records, view, tokeniser=TOKENISER, cleaning=Cleaning(html=True), cache=tmp_path
    )
    assert tables_after(cleaned) == 5
    assert (
        tables_after(Feed("r", records, view, tokeniser=longer, cleaning=None, cache=tmp_path)) == 6
    )


def test_a_cached_feed_is_not_tokenised_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, view = [{"text": "help"}], TextView(("text",))
    first = plain(feed_of(rows, view, tmp_path).rows(np.array([0])))

    def refuse(*rows: object) -> None:
        raise AssertionError("tokenised again")

    monkeypatch.setattr(feeds, "token_rows", refuse)
    assert plain(feed_of(rows, view, tmp_path).rows(np.array([0]))) == first


def test_rows_with_words_cover_rows_of_the_same_tokens_without_them() -> None:
    rows = [{"text": "please help", "words": ["please", "help"]}]
    with_words = live(rows, TextView(("words",), is_split=True))
    without = live(rows, TextView(("text",)))
    others = live([{"text": "please"}], TextView(("text",)))

    assert with_words.covers(without)
    assert with_words.covers(with_words)
    assert not without.covers(with_words)
    assert not without.covers(others)


def test_one_row_does_not_cover_two_towers() -> None:
    rows = [{"text": "help", "other": "help"}]

    towers = live(rows, TextView(("text", "other"), has_towers=True))

    assert not live(rows, TextView(("text",))).covers(towers)

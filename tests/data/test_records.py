import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polytask.data.records import LINE, Record, Records


def make_records(num_rows: int = 7, *, rows_per_batch: int = 3) -> Records:
    """Row i holds the text `t<i>`, i words (none: null) and stands on line 10 * i + 2."""
    rows = [
        {"text": f"t{i}", "words": ["w"] * i or None, LINE: 10 * i + 2} for i in range(num_rows)
    ]
    whole = pa.Table.from_pylist(rows)
    table = pa.Table.from_batches(whole.to_batches(max_chunksize=rows_per_batch))
    return Records(table, path="reviews/train.jsonl", key="k")


def texts(records: list[dict[str, object]]) -> list[object]:
    return [record["text"] for record in records]


def test_a_record_holds_its_columns_as_python_values() -> None:
    records = make_records()

    assert records.columns == ["text", "words"]
    assert records[0] == {"text": "t0", "words": None}
    assert records[4] == {"text": "t4", "words": ["w"] * 4}


def test_records_come_in_the_order_asked_for() -> None:
    assert texts(make_records().take([6, 0, 3, 0])) == ["t6", "t0", "t3", "t0"]


@given(st.integers(1, 20), st.integers(1, 5), st.integers(1, 25))
def test_batches_are_all_records_in_order(num_rows: int, stored: int, size: int) -> None:
    records = make_records(num_rows, rows_per_batch=stored)

    batches = list(records.batches(["text"], size))

    assert [len(batch) for batch in batches[:-1]] == [size] * (len(batches) - 1)
    flat: list[Record] = [row for batch in batches for row in batch]
    assert flat == [{"text": f"t{i}"} for i in range(num_rows)]


@given(st.lists(st.integers(0, 6), max_size=10), st.data())
def test_a_selection_of_a_selection_is_a_selection(first: list[int], data: st.DataObject) -> None:
    places = st.lists(st.integers(0, len(first) - 1)) if first else st.just([])
    second = data.draw(places)
    records = make_records()

    twice = records.select(first).select(second)

    once = records.select([first[i] for i in second])
    assert len(twice) == len(second)
    assert twice.take(range(len(twice))) == once.take(range(len(once)))
    assert twice.fingerprint == once.fingerprint


def test_where_a_record_stands_survives_selection() -> None:
    records = make_records().select([5, 2])

    assert records.where(1) == "reviews/train.jsonl:22"


def test_files_without_lines_are_counted_in_rows() -> None:
    table = pa.table({"text": ["a"], LINE: [17]})

    assert Records(table, path="a.parquet", key="k", unit="row").where(0) == "a.parquet, row 17"


def test_lengths_are_characters_or_items_and_nothing_where_missing() -> None:
    records = make_records(4)

    assert records.column_lengths("text").tolist() == [2, 2, 2, 2]
    assert records.column_lengths("words").tolist() == [0, 1, 2, 3]
    assert records.select([3, 1]).column_lengths("words").tolist() == [3, 1]


def test_the_fingerprint_tells_selections_apart() -> None:
    records = make_records()

    fingerprints = {
        records.fingerprint,
        records.select([0, 1]).fingerprint,
        records.select([1, 0]).fingerprint,
    }

    assert len(fingerprints) == 3
    assert records.select([0]).fingerprint == records.select(np.array([0])).fingerprint


@pytest.mark.parametrize("index", [-1, 2])
def test_a_place_outside_is_an_error(index: int) -> None:
    records = make_records().select([4, 5])

    with pytest.raises(IndexError):
        records.take([0, index])

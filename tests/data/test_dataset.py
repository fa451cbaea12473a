import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import datasets
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polytask.data.columns import LABEL, LABELS, TEXT, Need
from polytask.data.dataset import DataSet, Splits
from polytask.data.filters import Condition, Filter
from polytask.data.records import LINE, Records
from polytask.data.sampling import cut_off, sample
from polytask.errors import ConfigError, DataError

NEEDS = {"text": Need(TEXT, required=True), "label": Need(LABEL, required=False)}
CLASSES = ["joy"] * 40 + ["fear"] * 20 + ["awe"]


def write(path: Path, labels: Sequence[object]) -> None:
    rows = [{"text": f"t{i}", "label": label} for i, label in enumerate(labels)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def load(data: DataSet, base: Path, *, seed: int = 1, needs: Mapping[str, Need] = NEEDS) -> Splits:
    return data.load(needs, base=base, cache=base / "cache", seed=seed)


def column(records: Records, name: str) -> list[object]:
    return [row[name] for rows in records.batches([name]) for row in rows]


def made(texts: Sequence[str], labels: Sequence[str | None]) -> Records:
    lines = list(range(1, len(texts) + 1))
    labels_column = pa.array(labels, pa.string())
    table = pa.table({"text": list(texts), "label": labels_column, LINE: lines})
    return Records(table, path="train.jsonl", key="k")


def test_given_splits_are_read_as_they_are(tmp_path: Path) -> None:
    for name, labels in {"train": "ab", "dev": "a", "test": "bba"}.items():
        write(tmp_path / f"{name}.jsonl", list(labels))

    splits = load(DataSet(train="train.jsonl", dev="dev.jsonl", test="test.jsonl"), tmp_path)

    assert splits.test is not None
    sizes = (len(splits.train), len(splits.dev), len(splits.test))
    assert sizes == (2, 1, 3)
    assert splits.notes == []


def test_without_dev_a_share_of_train_is_set_apart_by_class(tmp_path: Path) -> None:
    write(tmp_path / "train.jsonl", CLASSES)

    splits = load(DataSet(train="train.jsonl", dev_share=0.1), tmp_path)

    # a tenth of 40, a tenth of 20, and the class seen once stays
    assert Counter(column(splits.dev, "label")) == {"joy": 4, "fear": 2}
    assert Counter(column(splits.train, "label")) == {"joy": 36, "fear": 18, "awe": 1}
    assert splits.notes == [
        "dev: 6 of 61 rows of train.jsonl set apart in the proportions of 'label'."
    ]


def test_splits_can_be_those_of_a_saved_data_set(tmp_path: Path) -> None:
    rows = datasets.Dataset.from_dict({"text": ["a", "b"], "label": ["x", "y"]})
    datasets.DatasetDict({"train": rows, "validation": rows}).save_to_disk(tmp_path / "saved")

    splits = load(DataSet(datasets="saved", train="train", dev="validation"), tmp_path)

    assert column(splits.dev, "text") == ["a", "b"]


@pytest.mark.parametrize(
    ("condition", "kept"),
    [
        ("joy", [0]),
        (["joy", "3"], [0, 2]),
        (3, [2]),
        (True, [3]),
        ({"not": "joy"}, [1, 2, 3, 4]),
        ({"not": ["joy", 3]}, [1, 3, 4]),
    ],
)
def test_a_filter_keeps_rows_by_label(
    condition: Condition, kept: list[int], tmp_path: Path
) -> None:
    write(tmp_path / "train.jsonl", ["joy", "fear", 3, True, None])
    data = DataSet(train="train.jsonl", dev="train.jsonl", where={"label": condition})

    splits = load(data, tmp_path)

    assert column(splits.train, "text") == [f"t{i}" for i in kept]
    assert column(splits.dev, "text") == [f"t{i}" for i in kept]
    assert splits.notes == [f"where: {len(kept)} of 5 rows of train.jsonl kept."] * 2


def test_a_column_may_be_used_by_a_filter_alone(tmp_path: Path) -> None:
    write(tmp_path / "train.jsonl", ["joy", "fear"])
    data = DataSet(train="train.jsonl", dev="train.jsonl", where={"label": "joy"})

    splits = load(data, tmp_path, needs={"text": NEEDS["text"]})

    assert column(splits.train, "text") == ["t0"]


def test_a_filter_that_leaves_nothing_is_an_error(tmp_path: Path) -> None:
    write(tmp_path / "train.jsonl", ["joy"])

    with pytest.raises(DataError) as fault:
        load(DataSet(train="train.jsonl", where={"label": "awe"}), tmp_path)

    assert str(fault.value) == (
        "train.jsonl: no row is left after the filters on 'label' (`where:`)."
    )


def test_a_filter_on_a_column_of_lists_is_refused(tmp_path: Path) -> None:
    needs = {**NEEDS, "label": Need(LABELS, required=False)}
    write(tmp_path / "train.jsonl", [["joy"]])

    with pytest.raises(ConfigError) as fault:
        load(DataSet(train="train.jsonl", where={"label": "joy"}), tmp_path, needs=needs)

    assert str(fault.value) == (
        "where.label: filters compare one label a row; a task reads it as labels."
    )


@given(st.lists(st.sampled_from("abc"), min_size=1), st.sampled_from("abcd") | st.none())
def test_a_filter_and_its_negation_part_the_rows(values: list[str], value: str | None) -> None:
    wanted: list[str | int | bool] = [*values]
    keeps = Filter.of("x", wanted).keeps(value)

    assert Filter.of("x", {"not": wanted}).keeps(value) is not keeps


def test_a_limit_caps_train_alone_and_says_so(tmp_path: Path) -> None:
    write(tmp_path / "train.jsonl", CLASSES)
    whole = load(DataSet(train="train.jsonl"), tmp_path)

    capped = load(DataSet(train="train.jsonl", limit=5), tmp_path)

    assert len(capped.train) == 5
    assert capped.dev.fingerprint == whole.dev.fingerprint
    assert capped.notes[-1] == "limit: 5 of 55 train rows."


@given(st.integers(1, 40), st.integers(1, 50), st.integers(1, 50), st.integers(0, 3))
def test_a_smaller_sample_is_part_of_a_larger_one(
    num_rows: int, size: int, other: int, seed: int
) -> None:
    records = made([str(i) for i in range(num_rows)], [None] * num_rows)

    small, large = (
        [int(str(text)) for text in column(sample(records, each, seed), "text")]
        for each in sorted((size, other))
    )

    assert set(small) <= set(large)
    assert small == sorted(small)
    assert len(small) == min(size, other, num_rows)


ROWS = st.lists(
    st.tuples(st.integers(0, 30), st.sampled_from("abcd") | st.none()), min_size=2, max_size=80
)


@settings(deadline=None)
@given(ROWS, st.floats(0.05, 0.9), st.integers(0, 2))
def test_a_cut_parts_the_rows_and_keeps_texts_together(
    rows: list[tuple[int, str | None]], share: float, seed: int
) -> None:
    records = made([str(text) for text, _ in rows], [label for _, label in rows])
    try:
        train, dev = cut_off(records, share, "dev", texts=["text"], label="label", seed=seed)
    except DataError:
        return

    assert sorted(map(str, column(train, LINE) + column(dev, LINE))) == sorted(
        map(str, column(records, LINE))
    )
    assert not set(column(train, "text")) & set(column(dev, "text"))
    assert set(column(records, "label")) == set(column(train, "label"))
    again = cut_off(records, share, "dev", texts=["text"], label="label", seed=seed)
    assert again[1].fingerprint == dev.fingerprint


@settings(deadline=None)
@given(st.lists(st.sampled_from("abcd"), min_size=2, max_size=200), st.floats(0.05, 0.5))
def test_each_class_gives_its_share_to_within_one_row(labels: list[str], share: float) -> None:
    records = made([str(i) for i in range(len(labels))], labels)
    try:
        _, dev = cut_off(records, share, "dev", texts=["text"], label="label", seed=0)
    except DataError:
        return

    taken = Counter(column(dev, "label"))
    for label, size in Counter(labels).items():
        assert abs(taken[label] - share * size) <= 1


def test_large_groups_take_nothing_from_the_classes_after_them() -> None:
    texts = ["same"] * 100 + [str(i) for i in range(10)] + ["rest", "end"]
    labels = ["a"] * 100 + ["b"] * 10 + ["a", "a"]

    _, dev = cut_off(made(texts, labels), 0.1, "dev", texts=["text"], label="label", seed=0)

    # of `a` the two rows of their own are worth one, of `b` a tenth of 10
    assert Counter(column(dev, "label"))["b"] == 1


def test_another_seed_cuts_other_rows() -> None:
    records = made([str(i) for i in range(100)], ["a"] * 100)

    first, second = (
        cut_off(records, 0.1, "dev", texts=["text"], label="label", seed=seed)[1] for seed in (0, 1)
    )

    assert len(first) == len(second) == 10
    assert first.fingerprint != second.fingerprint


def test_too_few_rows_for_a_dev_split_are_refused() -> None:
    with pytest.raises(DataError) as fault:
        cut_off(
            made(["x", "y", "z"], ["a", "b", "c"]),
            0.1,
            "dev",
            texts=["text"],
            label="label",
            seed=0,
        )

    assert str(fault.value) == (
        "train.jsonl: no rows could be set apart from its 3 rows for dev (dev_share: 0.1). Give a "
        "`dev:` file, more rows or a larger `dev_share:`."
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DataSet(train="a", limit=0), "limit: expected a number of at least 1, got 0."),
        (
            lambda: DataSet(train="a", dev_share=1.0),
            "dev_share: expected a number between 0 and 1, got 1.0.",
        ),
        (
            lambda: DataSet(train="a", dev="b", dev_share=0.1),
            "dev_share: has no effect with `dev:`. Drop one of them.",
        ),
        (
            lambda: DataSet(train="a", datasets="b", format="csv"),
            "format, columns: have no effect with `datasets:`. Drop them.",
        ),
        (
            lambda: DataSet(train="a", where={"x": {"nto": "y"}}),
            "where.x: expected the key `not` alone, got nto.",
        ),
        (
            lambda: DataSet(train="a", where={"x": []}),
            "where.x: expected at least one value, got an empty list.",
        ),
        (lambda: DataSet(train="a", where={"x": ""}), "where.x: is empty."),
    ],
)
def test_options_that_cannot_be_used_are_refused(make: object, message: str) -> None:
    assert callable(make)
    with pytest.raises(ConfigError) as fault:
        make()

    assert str(fault.value) == message

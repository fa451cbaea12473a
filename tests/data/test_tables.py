import json
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pytest

from polytask.data.columns import LABEL, LABELS, NUMBER, TEXT, WORDS, Need
from polytask.data.readers import open_source
from polytask.data.records import Records
from polytask.data.tables import cached_table, default_cache, read_records
from polytask.errors import DataError

NEEDS = {"text": Need(TEXT, required=True), "label": Need(LABEL, required=False)}


def read(
    base: Path,
    content: str,
    needs: dict[str, Need],
    *,
    name: str = "a.jsonl",
    columns: Sequence[str] | None = None,
) -> Records:
    (base / name).write_text(content)
    return read_records(open_source(name, base=base, columns=columns), needs, cache=base / "cache")


def cached(base: Path) -> list[Path]:
    return sorted((base / "cache").iterdir())


def test_only_needed_columns_are_kept(tmp_path: Path) -> None:
    content = '{"text": "a", "label": 1, "other": 3}\n{"text": "b"}\n{"text": "c", "label": null}\n'

    records = read(tmp_path, content, NEEDS)

    assert records.take([0, 1, 2]) == [
        {"text": "a", "label": "1"},
        {"text": "b", "label": None},
        {"text": "c", "label": None},
    ]


def test_cells_of_csv_are_typed_by_the_need_and_empty_ones_are_missing(tmp_path: Path) -> None:
    needs = NEEDS | {"score": Need(NUMBER, False), "topics": Need(LABELS, False)}
    content = "text,label,score,topics\na b,,2.5,x y\nc,l, ,\n"

    records = read(tmp_path, content, needs, name="a.csv")

    assert records.take([0, 1]) == [
        {"text": "a b", "label": None, "score": 2.5, "topics": ["x", "y"]},
        {"text": "c", "label": "l", "score": None, "topics": None},
    ]


def test_columns_of_conll_are_lists_of_words(tmp_path: Path) -> None:
    needs = {"words": Need(WORDS, True), "tags": Need(WORDS, False)}

    records = read(tmp_path, "a B\nb O\n", needs, name="a.conll", columns=["words", "tags"])

    assert records[0] == {"words": ["a", "b"], "tags": ["B", "O"]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            '{"text": "a", "label": 1.5}\n{"text": ["b"], "label": "x"}\n{"label": "x"}\n'
            '{"text": null}\n{"text": " "}\nbroken\n',
            "a.jsonl:1: column 'label': expected a label (text, a whole number or a boolean), got "
            "the number 1.5.\n"
            "a.jsonl:2: column 'text': expected text, got a list.\n"
            "a.jsonl:3: column 'text': is missing, and every row needs it.\n"
            "a.jsonl:4: column 'text': is null, and every row needs it.\n"
            "a.jsonl:5: column 'text': is empty.\n"
            "a.jsonl:6: not JSON: Expecting value at column 1.",
        ),
        (
            '{"text": "a", "lable": 1}\n',
            "a.jsonl: no row has the column 'label'. Did you mean 'lable'? Known: lable, text.",
        ),
        (
            '{"txt": "a", "label": 1}\n' * 2,
            "a.jsonl: none of the first 2 rows has the column 'text'. Did you mean 'txt'? Known: "
            "label, txt.",
        ),
        ("\n", "a.jsonl: the file holds no rows."),
    ],
)
def test_all_faults_of_a_file_come_together(content: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as fault:
        read(tmp_path, content, NEEDS)

    assert str(fault.value) == message
    assert not cached(tmp_path)


def test_an_empty_cell_of_a_text_column_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(DataError) as fault:
        read(tmp_path, "text,label\na,x\n,y\n", NEEDS, name="a.csv")

    assert str(fault.value) == "a.csv:3: column 'text': is empty."


def test_a_file_without_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError) as fault:
        read(tmp_path, "text,label\n", NEEDS, name="a.csv")

    assert str(fault.value) == "a.csv: the file holds no rows."


def test_more_rows_than_a_chunk_stay_in_order(tmp_path: Path) -> None:
    content = "".join(json.dumps({"text": f"t{i}", "label": None}) + "\n" for i in range(20_001))

    records = read(tmp_path, content, NEEDS)

    assert len(records) == 20_001
    assert records[20_000] == {"text": "t20000", "label": None}
    assert records.where(20_000) == "a.jsonl:20001"


def test_equal_content_is_read_once(tmp_path: Path) -> None:
    content = '{"text": "a", "label": 1}\n'
    first = read(tmp_path, content, NEEDS)
    stamp = cached(tmp_path)[0].stat().st_mtime_ns

    second = read(tmp_path, content, NEEDS, name="copy.jsonl")

    assert second.fingerprint == first.fingerprint
    assert second.path == "copy.jsonl"
    assert [path.stat().st_mtime_ns for path in cached(tmp_path)] == [stamp]


def test_other_content_or_other_needs_are_read_anew(tmp_path: Path) -> None:
    content = '{"text": "a", "label": 1}\n'

    fingerprints = {
        read(tmp_path, content, NEEDS).fingerprint,
        read(tmp_path, content + "\n", NEEDS).fingerprint,
        read(tmp_path, content, {"text": NEEDS["text"]}).fingerprint,
        read(tmp_path, content, {**NEEDS, "label": Need(LABEL, required=True)}).fingerprint,
    }

    assert len(fingerprints) == 4


@pytest.mark.parametrize("damage", [b"", b"ARROW1", b"\0" * 400])
def test_a_damaged_cache_file_is_made_anew(damage: bytes, tmp_path: Path) -> None:
    content = '{"text": "a", "label": 1}\n'
    read(tmp_path, content, NEEDS)
    cached(tmp_path)[0].write_bytes(damage)

    records = read(tmp_path, content, NEEDS)

    assert records[0] == {"text": "a", "label": "1"}


def test_a_table_whose_making_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    def broken() -> list[pa.RecordBatch]:
        raise DataError("no")

    with pytest.raises(DataError, match="no"):
        cached_table(tmp_path, "t", pa.schema([("x", pa.int64())]), lambda: iter(broken()))

    assert not list(tmp_path.iterdir())


def test_the_chunks_of_a_table_are_the_batches_given(tmp_path: Path) -> None:
    schema = pa.schema([("x", pa.int64())])
    batches = [pa.record_batch({"x": values}, schema=schema) for values in ([1, 2], [3])]

    table = cached_table(tmp_path, "t", schema, lambda: iter(batches))

    assert [batch.to_pydict() for batch in table.to_batches()] == [{"x": [1, 2]}, {"x": [3]}]


def test_a_cache_that_cannot_be_written_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "cache").touch()

    with pytest.raises(DataError) as fault:
        read(tmp_path, '{"text": "a", "label": 1}', NEEDS)

    assert str(fault.value) == (
        f"{tmp_path / 'cache'}: cannot be written: File exists. Free some space there, or set "
        "POLYTASK_CACHE to another folder."
    )


def test_the_environment_moves_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("POLYTASK_CACHE", raising=False)
    assert default_cache() == Path.home() / ".cache" / "polytask"

    monkeypatch.setenv("POLYTASK_CACHE", str(tmp_path))
    assert default_cache() == tmp_path

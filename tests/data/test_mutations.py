"""Files with bytes changed, cut out or put in: only ever a DataError."""

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from polytask.data.columns import LABEL, NUMBER, TEXT, WORDS, Need
from polytask.data.readers import open_source
from polytask.data.tables import read_records
from polytask.errors import DataError

ROWS = [
    {"text": "a “fine” day", "label": "good", "score": 1.5},
    {"text": "你好, 👍", "label": None, "score": None},
    {"text": "meh\nmeh", "label": "bad", "score": -2.0},
]
SENTENCES = "-DOCSTART- O\n\nTom B\nruns O\n\n你 O\n好 B\n"
ROW_NEEDS = {"text": Need(TEXT, True), "label": Need(LABEL, False), "score": Need(NUMBER, False)}
WORD_NEEDS = {"words": Need(WORDS, True), "tags": Need(WORDS, False)}


def jsonl() -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS).encode()


def csv() -> bytes:
    return 'text,label,score\n"a ""fine"" day",good,1.5\n你好,,\n"meh\nmeh",bad,-2\n'.encode()


def parquet() -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(ROWS), sink)
    return sink.getvalue().to_pybytes()


FILES = {
    "rows.jsonl": jsonl(),
    "rows.jsonl.gz": gzip.compress(jsonl(), mtime=0),
    "rows.csv": csv(),
    "rows.parquet": parquet(),
    "words.conll": SENTENCES.encode(),
}
PIECES = st.binary(max_size=4) | st.sampled_from(
    [
        b'"',
        b"{",
        b"[" * 3000,
        b"\n",
        b"\r",
        b"\0",
        b"\xff\xfe",
        b"NaN",
        b"1e999",
        b"9" * 5000,
        b"\\ud800",
    ]
)
MUTATIONS = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 8), PIECES), min_size=1, max_size=4)


@pytest.mark.parametrize("name", FILES)
@settings(
    max_examples=500,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(mutations=MUTATIONS)
def test_a_mutated_file_is_read_or_refused_with_a_sentence(
    name: str, mutations: list[tuple[float, int, bytes]], tmp_path: Path
) -> None:
    content = FILES[name]
    for place, num_cut, piece in mutations:
        start = int(place * len(content))
        content = content[:start] + piece + content[start + num_cut :]
    (tmp_path / name).write_bytes(content)
    is_conll = name == "words.conll"
    try:
        source = open_source(name, base=tmp_path, columns=["words", "tags"] if is_conll else None)
        records = read_records(
            source, WORD_NEEDS if is_conll else ROW_NEEDS, cache=tmp_path / "cache"
        )
    except DataError as fault:
        message = str(fault)
    else:
        message = name
        assert len(records.take(range(len(records)))) == len(records) > 0
    assert message.startswith(name)


@pytest.mark.parametrize("name", FILES)
def test_the_files_are_sound_before_they_are_changed(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(FILES[name])
    is_conll = name == "words.conll"
    source = open_source(name, base=tmp_path, columns=["words", "tags"] if is_conll else None)

    records = read_records(source, WORD_NEEDS if is_conll else ROW_NEEDS, cache=tmp_path)

    assert len(records) == (2 if is_conll else 3)

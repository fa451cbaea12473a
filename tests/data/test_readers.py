import gzip
import json
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from polytask.data.files import Faults, RawRow
from polytask.data.readers import Format, open_source
from polytask.errors import ConfigError, DataError, PolytaskError


def rows_of(
    name: str,
    content: str | bytes,
    base: Path,
    *,
    format: Format | None = None,
    columns: Sequence[str] | None = None,
) -> list[RawRow]:
    raw = content.encode() if isinstance(content, str) else content
    (base / name).write_bytes(raw)
    source = open_source(name, base=base, format=format, columns=columns)
    faults = Faults(source.name, source.unit)
    rows = list(source.rows(faults))
    faults.check()
    return rows


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.jsonl", '{"x": 1}\n\n{"x": null}', [(1, {"x": 1}), (3, {"x": None})]),
        ("a.ndjson", '\ufeff{"x": "\u2028"}\r\n', [(1, {"x": "\u2028"})]),
        ("a.json", '[{"x": 1},\n\n{"x": 2}]', [(1, {"x": 1}), (2, {"x": 2})]),
        ("a.json", '{"version": 2, "data": [{"x": 1}]}', [(1, {"x": 1})]),
        (
            "a.csv",
            'x,y\n1,"a\nb"\n\n2,\n',
            [(2, {"x": "1", "y": "a\nb"}), (5, {"x": "2", "y": ""})],
        ),
        ("a.tsv", 'x\ty\r\n"1"\ta, b\r\n', [(2, {"x": "1", "y": "a, b"})]),
    ],
)
def test_rows_come_with_their_place_in_the_file(
    name: str, content: str, expected: list[RawRow], tmp_path: Path
) -> None:
    assert rows_of(name, content, tmp_path) == expected


def test_names_given_for_a_csv_file_stand_for_the_missing_header(tmp_path: Path) -> None:
    rows = rows_of("a.csv", "1,2,3\n", tmp_path, columns=["x", "_", "y"])

    assert rows == [(1, {"x": "1", "y": "3"})]


def test_a_parquet_file_is_read_row_by_row(tmp_path: Path) -> None:
    table = pa.table({"x": ["a", None], "y": [[1], []]})
    pq.write_table(table, tmp_path / "made.parquet")

    rows = rows_of("a.parquet", (tmp_path / "made.parquet").read_bytes(), tmp_path)

    assert rows == [(1, {"x": "a", "y": [1]}), (2, {"x": None, "y": []})]


def test_a_sentence_of_conll_starts_at_its_first_line(tmp_path: Path) -> None:
    content = "-DOCSTART- -X- O\n\nTom  NNP B\nruns VBZ O\n \n\u3000\tSP\tO\n# NN O\n"

    rows = rows_of("a.conll", content, tmp_path, columns=["words", "_", "tags"])

    assert rows == [
        (3, {"words": ["Tom", "runs"], "tags": ["B", "O"]}),
        (6, {"words": ["\u3000", "#"], "tags": ["O", "O"]}),
    ]


def test_conllu_keeps_words_and_drops_ranges_and_empty_nodes(tmp_path: Path) -> None:
    lines = [
        "# sent_id = 1",
        "# text = Vámonos = ya",
        "1-2\tVámonos\t_\t_\t_\t_\t_\t_\t_\t_",
        "1\tVamos\tir\tVERB\t_\tMood=Imp\t0\troot\t_\t_",
        "2\tnos\tnosotros\tPRON\t_\t_\t1\tobj\t_\t_",
        "2.1\tx\t_\t_\t_\t_\t_\t_\t_\t_",
        "",
    ]

    rows = rows_of("a.conllu", "\n".join(lines), tmp_path)

    assert rows == [
        (
            1,
            {
                "text": "Vámonos = ya",
                "tokens": ["Vamos", "nos"],
                "lemma": ["ir", "nosotros"],
                "upos": ["VERB", "PRON"],
                "xpos": ["_", "_"],
                "feats": ["Mood=Imp", "_"],
                "head": ["0", "1"],
                "dep": ["root", "obj"],
            },
        )
    ]


@pytest.mark.parametrize("packed", [False, True])
def test_a_packed_file_reads_as_the_plain_one(packed: bool, tmp_path: Path) -> None:
    plain = b'{"x": 1}\n'

    rows = rows_of("a.jsonl.gz", gzip.compress(plain) if packed else plain, tmp_path)

    assert rows == [(1, {"x": 1})]


def test_a_given_format_goes_before_the_ending(tmp_path: Path) -> None:
    assert rows_of("a.txt", '{"x": 1}', tmp_path, format="jsonl") == [(1, {"x": 1})]


UTF16 = "x,y".encode("utf-16")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", b"", "a.jsonl: the file is empty."),
        ("a.json", b"", "a.json: the file is empty."),
        ("a.jsonl", '{"x": 1}\n{"x" 2}',
         "a.jsonl:2: not JSON: Expecting ':' delimiter at column 6."),
        ("a.jsonl", "[1]", "a.jsonl:1: expected a JSON object, got a list."),
        ("a.jsonl", '{"x": 1, "x": 2}', "a.jsonl:1: not JSON: the key 'x' stands twice."),
        ("a.jsonl", "[" * 100_000, "a.jsonl:1: not JSON: nested too deeply."),
        (
            "a.jsonl",
            b'{}\n{"x": "\xff"}',
            "a.jsonl:2: byte 8 of the line is not valid UTF-8 (0xff). Save it as UTF-8.",
        ),
        ("a.jsonl", '1\n{"x": 1}\n2', "a.jsonl:1: expected a JSON object, got the number 1.\n"
         "a.jsonl:3: expected a JSON object, got the number 2."),
        ("a.csv", UTF16, "a.csv: the file is UTF-16. Save it as UTF-8."),
        ("a.json", "{}", "a.json: expected a JSON list of objects, got an object "
         "without one under 'data'."),
        ("a.json", "3", "a.json: expected a JSON list of objects, got the number 3."),
        ("a.json", "[{}, 1]", "a.json, row 2: expected a JSON object, got the number 1."),
        ("a.json", "[\n{]", "a.json: not JSON: Expecting property name enclosed in double quotes "
         "at line 2, column 2."),
        ("a.json", b"[\n\xff", "a.json: line 2: byte 3 of the file is not valid UTF-8 (0xff). "
         "Save it as UTF-8."),
        ("a.csv", "x,y\n1\n1,2,3\n", "a.csv:2: expected 2 cells, found 1.\n"
         "a.csv:3: expected 2 cells, found 3."),
        ("a.csv", "x,x\n", "a.csv:1: the column 'x' stands twice in the header."),
        ("a.csv", 'x\n"a\nb\n', "a.csv:2: not CSV: unexpected end of data. Double the quotes "
         "inside a quoted cell, or save the file as JSON lines."),
        ("a.tsv", 'x\n1\n"a" b\n', "a.tsv:3: not TSV: '\t' expected after '\"'. Double the quotes "
         "inside a quoted cell, or save the file as JSON lines."),
        ("a.csv", b"x\n\xff\n1,2\n", "a.csv:2: byte 1 of the line is not valid UTF-8 (0xff). "
         "Save it as UTF-8.\na.csv:3: expected 1 cells, found 2."),
        ("a.conllu", "1\ta\n", "a.conllu:1: expected 10 columns between tabs, found 2."),
        ("a.conllu", "one" + "\t_" * 9, "a.conllu:1: expected the number of a word, got 'one'."),
    ],
)  # fmt: skip
def test_a_fault_names_file_line_and_reason(
    name: str, content: str | bytes, message: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError) as fault:
        rows_of(name, content, tmp_path)

    assert str(fault.value) == message


def test_a_line_of_conll_with_too_few_columns_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError) as fault:
        rows_of("a.conll", "Tom B\nruns\n\na b c\n", tmp_path, columns=["words", "tags"])

    assert str(fault.value) == (
        "a.conll:2: expected 2 columns (words, tags), found 1.\n"
        "a.conll:4: expected 2 columns (words, tags), found 3."
    )


def test_a_damaged_pack_is_refused(tmp_path: Path) -> None:
    packed = gzip.compress(json.dumps({"x": "a" * 100}).encode())

    with pytest.raises(DataError) as fault:
        rows_of("a.jsonl.gz", packed[:-9], tmp_path)

    assert str(fault.value) == (
        "a.jsonl.gz: damaged gzip file (Compressed file ended before the end-of-stream marker "
        "was reached). Pack it again."
    )


def test_a_damaged_parquet_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"^a\.parquet: not a sound Parquet file: Parquet magic"):
        rows_of("a.parquet", b"no parquet at all", tmp_path)


@pytest.mark.parametrize(
    ("name", "columns", "kind", "message"),
    [
        ("trian.jsonl", None, DataError, "trian.jsonl: no such file. Did you mean 'train.jsonl'? "
         "Known: notes.txt, train.conll, train.jsonl."),
        ("sub/a.csv", None, DataError, "sub/a.csv: no such file. There is no folder 'sub' either."),
        (".", None, DataError, ".: is a folder, not a file. Known: notes.txt, train.conll, "
         "train.jsonl."),
        ("notes.txt", None, DataError, "notes.txt: unknown ending '.txt'. Known: .jsonl, .ndjson, "
         ".json, .csv, .tsv, .parquet, .conll, .conllu. Or say `format:`."),
        ("train.conll", None, ConfigError, "columns: train.conll is CoNLL. Name its columns: "
         "`columns: [words, tags]`."),
        ("train.conll", ["a", "a"], ConfigError, "columns: the name 'a' stands twice. Skip a "
         "column with `_`."),
        ("train.jsonl", ["a"], ConfigError, "columns: train.jsonl is jsonl, which names its "
         "columns itself. Drop it."),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_opened_says_what_to_do(
    name: str,
    columns: list[str] | None,
    kind: type[PolytaskError],
    message: str,
    tmp_path: Path,
) -> None:
    for known in ("train.jsonl", "notes.txt", "train.conll"):
        (tmp_path / known).touch()

    with pytest.raises(kind) as fault:
        open_source(name, base=tmp_path, columns=columns)

    assert str(fault.value) == message


def test_after_twenty_faults_there_are_only_more(tmp_path: Path) -> None:
    with pytest.raises(DataError) as fault:
        rows_of("a.jsonl", "x\n" * 50, tmp_path)

    lines = str(fault.value).splitlines()
    assert len(lines) == 21
    assert lines[19:] == ["a.jsonl:20: not JSON: Expecting value at column 1.", "… and more"]


def test_rows_are_read_one_by_one(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"x": 1}\n' * 3 + "broken\n")
    source = open_source("a.jsonl", base=tmp_path)

    first = next(source.rows(Faults("a.jsonl", "line")))

    assert first == (1, {"x": 1})

"""Readers: one function for each file format, from a file to raw rows."""

import csv
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq

from polytask.data.columns import describe
from polytask.data.files import DataFile, Faults, RawRow, Source, find_file
from polytask.errors import ConfigError, DataError, did_you_mean

Format = Literal["jsonl", "json", "csv", "tsv", "parquet", "conll", "conllu"]
"""The file formats that can be read."""

IGNORED = "_"
"""A name in `columns` for a column that is not read."""

_Read = Callable[[DataFile, Faults], Iterator[RawRow]]

_CONLLU_COLUMNS = ("tokens", "lemma", "upos", "xpos", "feats", "head", "dep")
_BLANKS = re.compile(r"[ \t]+")
_FORMATS: dict[str, Format] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
    ".conll": "conll",
    ".conllu": "conllu",
}


def open_source(
    name: str, *, base: Path, format: Format | None = None, columns: Sequence[str] | None = None
) -> Source:
    """The rows of a file that the user calls `name`, seen from the folder `base`.

    The format follows from the ending (before `.gz`) unless given. `columns` names the columns of a
    CoNLL file, or of a CSV or TSV file without a header. Raises DataError, ConfigError.
    """
    file = find_file(name, base)
    known = format or _format_of(name)
    read = _reader(known, columns, name)
    options = f"{known} {list(columns) if columns is not None else ''}"
    return Source(
        name=name,
        unit="row" if known in ("json", "parquet") else "line",
        is_typed=known in ("jsonl", "json", "parquet"),
        digest=lambda: hashlib.sha256(f"{file.digest()} {options}".encode()).hexdigest(),
        rows=partial(read, file),
    )


def read_jsonl(file: DataFile, faults: Faults) -> Iterator[RawRow]:
    """One JSON object a line; blank lines are passed over."""
    decode = json.JSONDecoder(object_pairs_hook=_object).decode
    for number, line in file.lines(faults):
        if not line.strip():
            continue
        try:
            row = decode(line)
        except json.JSONDecodeError as fault:
            faults.add(number, f"not JSON: {fault.msg} at column {fault.colno}.")
        except (ValueError, RecursionError) as fault:
            faults.add(number, f"not JSON: {_reason(fault)}.")
        else:
            if isinstance(row, dict):
                yield number, row
            else:
                faults.add(number, f"expected a JSON object, got {describe(row)}.")


def read_json(file: DataFile, faults: Faults) -> Iterator[RawRow]:
    """A JSON list of objects, alone or under the key `data`; the file is held in memory."""
    text = file.text(faults)
    try:
        content = json.JSONDecoder(object_pairs_hook=_object).decode(text)
    except json.JSONDecodeError as fault:
        message = f"not JSON: {fault.msg} at line {fault.lineno}, column {fault.colno}."
        raise faults.fatal(message) from None
    except (ValueError, RecursionError) as fault:
        raise faults.fatal(f"not JSON: {_reason(fault)}.") from None
    rows = content.get("data") if isinstance(content, dict) else content
    if not isinstance(rows, list):
        found = f"{describe(content)} without one under 'data'" if content is not rows else ""
        raise faults.fatal(f"expected a JSON list of objects, got {found or describe(rows)}.")
    for number, row in enumerate(rows, start=1):
        if isinstance(row, dict):
            yield number, row
        else:
            faults.add(number, f"expected a JSON object, got {describe(row)}.")


def read_delimited(
    file: DataFile, faults: Faults, delimiter: str, names: Sequence[str] | None
) -> Iterator[RawRow]:
    """CSV or TSV; the first row names the columns unless `names` does."""
    pulled: list[int] = []  # lines that make up the current row: a quoted cell may span several

    def text(line: tuple[int, str]) -> str:
        pulled.append(line[0])
        return line[1]

    rows = csv.reader(map(text, file.lines(faults)), delimiter=delimiter, strict=True)
    try:
        for cells in rows:
            start = pulled[0]
            pulled.clear()
            if not cells:
                continue
            if names is None:
                names = _header(cells, faults)
            elif len(cells) != len(names):
                faults.add(start, f"expected {len(names)} cells, found {len(cells)}.")
            else:
                yield start, _named(names, cells)
    except csv.Error as fault:
        kind = "TSV" if delimiter == "\t" else "CSV"
        hint = "Double the quotes inside a quoted cell, or save the file as JSON lines."
        raise faults.fatal(f"not {kind}: {fault}. {hint}", pulled[0] if pulled else 1) from None


def read_parquet(file: DataFile, faults: Faults) -> Iterator[RawRow]:
    """The rows of a Parquet file."""
    with file.open() as stream:
        try:
            yield from number_rows(pq.ParquetFile(stream).iter_batches(batch_size=1024))
        except (pa.ArrowException, OSError, ValueError, OverflowError) as fault:
            reason = str(fault).partition("\n")[0] or type(fault).__name__
            raise faults.fatal(f"not a sound Parquet file: {reason}") from fault


def number_rows(batches: Iterable[pa.RecordBatch | pa.Table]) -> Iterator[RawRow]:
    """The rows of Arrow batches with their numbers."""
    number = 0
    for batch in batches:
        for row in batch.to_pylist():
            number += 1
            yield number, row


def read_conll(file: DataFile, faults: Faults, names: Sequence[str]) -> Iterator[RawRow]:
    """Sentences of one word a line, blank lines between; each column becomes a list.

    Cells stand between tabs if the line has any, else between blanks. `-DOCSTART-` lines end a
    sentence and are dropped.
    """
    for block in _blocks(file.lines(faults)):
        words = []
        for number, line in block:
            cells = line.split("\t") if "\t" in line else _BLANKS.split(line.strip(" "))
            if len(cells) == len(names):
                words.append(cells)
            else:
                expected = f"{len(names)} columns ({', '.join(names)})"
                faults.add(number, f"expected {expected}, found {len(cells)}.")
        if len(words) == len(block):
            yield block[0][0], _named(names, [list(column) for column in zip(*words, strict=True)])


def read_conllu(file: DataFile, faults: Faults) -> Iterator[RawRow]:
    """Sentences of Universal Dependencies: a list for each column, and `text` if a comment has it.

    Multi-word ranges and empty nodes are dropped.
    """
    for block in _blocks(file.lines(faults)):
        row: dict[str, object] = {}
        words = []
        for number, line in block:
            if line.startswith("#"):
                key, _, value = line[1:].partition("=")
                if key.strip() == "text":
                    row["text"] = value.strip()
                continue
            cells = line.split("\t")
            if len(cells) != 10:
                faults.add(number, f"expected 10 columns between tabs, found {len(cells)}.")
            elif cells[0].isdecimal():
                words.append(cells[1:8])
            elif not re.fullmatch(r"\d+[-.]\d+", cells[0]):
                faults.add(number, f"expected the number of a word, got '{cells[0]}'.")
        if words:
            columns = [list(column) for column in zip(*words, strict=True)]
            yield block[0][0], row | _named(_CONLLU_COLUMNS, columns)


def _format_of(name: str) -> Format:
    path = Path(name.removesuffix(".gz"))
    if path.suffix not in _FORMATS:
        hint = did_you_mean(path.suffix, _FORMATS)
        ending = f"unknown ending '{path.suffix}'" if path.suffix else "has no ending"
        raise DataError(f"{name}: {ending}. {hint} Or say `format:`.")
    return _FORMATS[path.suffix]


def _reader(format: Format, columns: Sequence[str] | None, name: str) -> _Read:
    if columns is not None and format not in ("conll", "csv", "tsv"):
        raise ConfigError(f"columns: {name} is {format}, which names its columns itself. Drop it.")
    if columns is not None:
        _check_names(columns)
    if format == "conll":
        if not columns:
            raise ConfigError(
                f"columns: {name} is CoNLL. Name its columns: `columns: [words, tags]`."
            )
        return partial(read_conll, names=columns)
    readers: dict[Format, _Read] = {
        "jsonl": read_jsonl,
        "json": read_json,
        "csv": partial(read_delimited, delimiter=",", names=columns),
        "tsv": partial(read_delimited, delimiter="\t", names=columns),
        "parquet": read_parquet,
        "conllu": read_conllu,
    }
    return readers[format]


def _check_names(names: Sequence[str]) -> None:
    repeated = _repeated([name for name in names if name != IGNORED])
    if repeated is not None:
        raise ConfigError(f"columns: the name '{repeated}' stands twice. Skip a column with `_`.")


def _header(cells: list[str], faults: Faults) -> list[str]:
    repeated = _repeated(cells)
    if repeated is not None:
        raise faults.fatal(f"the column '{repeated}' stands twice in the header.", line=1)
    return cells


def _repeated(names: Sequence[str]) -> str | None:
    return next((name for i, name in enumerate(names) if name in names[:i]), None)


def _named(names: Sequence[str], values: Sequence[object]) -> dict[str, object]:
    pairs = zip(names, values, strict=True)
    return {name: value for name, value in pairs if name != IGNORED}


def _blocks(lines: Iterable[tuple[int, str]]) -> Iterator[list[tuple[int, str]]]:
    block: list[tuple[int, str]] = []
    for number, line in lines:
        if line.strip(" \t\r\n") and not line.startswith("-DOCSTART-"):
            block.append((number, line.rstrip("\r\n")))
        elif block:
            yield block
            block = []
    if block:
        yield block


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    row = dict(pairs)
    if len(row) != len(pairs):
        raise ValueError(f"the key '{_repeated([key for key, _ in pairs])}' stands twice")
    return row


def _reason(fault: Exception) -> str:
    return "nested too deeply" if isinstance(fault, RecursionError) else str(fault)

"""Typed tables on disk: written once for each content, then memory-mapped."""

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

import pyarrow as pa

from polytask.data.columns import Need
from polytask.data.files import Faults, RawRow, Source
from polytask.data.records import LINE, Records
from polytask.errors import DataError, did_you_mean

ROWS_PER_CHUNK = 10_000
"""So many rows are held in memory while a file is read."""

_LAYOUT = "1"


def default_cache() -> Path:
    """The folder of cached tables: `$POLYTASK_CACHE`, else `~/.cache/polytask`."""
    return Path(os.environ.get("POLYTASK_CACHE") or "~/.cache/polytask").expanduser()


def read_records(source: Source, needs: Mapping[str, Need], *, cache: Path) -> Records:
    """The needed columns of a source, typed and checked; read once for each content.

    Raises DataError with up to 20 faults of the rows.
    """
    columns = [[name, needs[name].type.name, needs[name].required] for name in sorted(needs)]
    text = json.dumps([_LAYOUT, source.digest(), columns])
    key = hashlib.sha256(text.encode()).hexdigest()
    fields = [(name, needs[name].type.arrow) for name in sorted(needs)]
    schema = pa.schema([*fields, (LINE, pa.int64())])
    table = cached_table(cache, f"records-{key}", schema, lambda: _Ingest(source, needs).batches())
    return Records(table, path=source.name, key=key, unit=source.unit)


def cached_table(
    cache: Path, name: str, schema: pa.Schema, make: Callable[[], Iterator[pa.RecordBatch]]
) -> pa.Table:
    """The memory-mapped table `name` of the cache, made from batches if it is not there.

    A damaged file is made anew. The chunks of the table are the batches.
    """
    path = cache / f"{name}.arrow"
    table = _open_table(path, schema)
    if table is None:
        _write_table(path, schema, make)
        table = _open_table(path, schema)
    if table is None:
        raise DataError(f"{path}: cannot be read back. Set POLYTASK_CACHE to another folder.")
    return table


def _open_table(path: Path, schema: pa.Schema) -> pa.Table | None:
    if not path.is_file():
        return None
    try:
        table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
        table.validate(full=True)
    except (pa.ArrowException, OSError):
        return None
    return table if table.schema.equals(schema) else None


def _write_table(
    path: Path, schema: pa.Schema, make: Callable[[], Iterator[pa.RecordBatch]]
) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".tmp-", delete=False) as sink:
            draft = Path(sink.name)
            try:
                with pa.ipc.new_file(sink, schema) as writer:
                    for batch in make():
                        writer.write_batch(batch)
                sink.flush()
                os.fsync(sink.fileno())
                draft.replace(path)
            finally:
                draft.unlink(missing_ok=True)
    except OSError as fault:
        hint = "Free some space there, or set POLYTASK_CACHE to another folder."
        raise DataError(f"{path.parent}: cannot be written: {fault.strerror}. {hint}") from fault


class _Ingest:
    """One reading of a source, from raw rows to typed batches."""

    def __init__(self, source: Source, needs: Mapping[str, Need]) -> None:
        self._source = source
        self._needs = needs
        self._faults = Faults(source.name, source.unit)
        self._seen: set[str] = set()

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Typed batches of all the rows. Raises DataError."""
        rows = self._source.rows(self._faults)
        num_rows = 0
        while chunk := list(islice(rows, ROWS_PER_CHUNK)):
            num_rows += len(chunk)
            for _, row in chunk:
                self._seen.update(row)
            self._check_columns(f"none of the first {num_rows} rows has", are_all=False)
            yield self._batch(chunk)
        self._faults.check()
        if not num_rows:
            raise self._faults.fatal("the file holds no rows.")
        self._check_columns("no row has", are_all=True)

    def _check_columns(self, claim: str, *, are_all: bool) -> None:
        for name, need in self._needs.items():
            if name not in self._seen and (need.required or are_all):
                hint = did_you_mean(name, sorted(self._seen))
                raise self._faults.fatal(f"{claim} the column '{name}'. {hint}")

    def _batch(self, chunk: Sequence[RawRow]) -> pa.RecordBatch:
        columns: dict[str, pa.Array] = {}
        for name in sorted(self._needs):
            need = self._needs[name]
            columns[name] = pa.array(self._column(chunk, name, need), need.type.arrow)
        columns[LINE] = pa.array([line for line, _ in chunk], pa.int64())
        return pa.record_batch(columns)

    def _column(self, chunk: Sequence[RawRow], name: str, need: Need) -> list[object]:
        convert = need.type.parse if self._source.is_typed else _from_cell(need)
        values: list[object] = []
        for line, row in chunk:
            value = row.get(name)
            try:
                if value is not None:
                    value = convert(value)
                if value is None and need.required:
                    raise ValueError(_absent(row, name))
            except ValueError as fault:
                self._faults.add(line, f"column '{name}': {fault}.")
                value = None
            values.append(value)
        return values


def _from_cell(need: Need) -> Callable[[object], object]:
    def convert(value: object) -> object:
        if not isinstance(value, str):
            return need.type.parse(value)
        return need.type.parse(need.type.split(value)) if value.strip() else None

    return convert


def _absent(row: Mapping[str, object], name: str) -> str:
    if name not in row:
        return "is missing, and every row needs it"
    return "is null, and every row needs it" if row[name] is None else "is empty"

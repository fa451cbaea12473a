"""Data files: opening them, their lines, and the faults found in them."""

import difflib
import gzip
import hashlib
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from polytask.data.records import Unit, place
from polytask.errors import DataError, did_you_mean

MAX_FAULTS = 20
"""So many faults of one file are reported together."""

RawRow = tuple[int, dict[str, object]]
"""Where a row stands in its file, counted from 1, and its values as the file has them."""

_GZIP_MARK = b"\x1f\x8b"
_UTF8_MARK = b"\xef\xbb\xbf"
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


class Faults:
    """Collects the faults of a file's rows, to report them together in one DataError."""

    def __init__(self, name: str, unit: Unit) -> None:
        self.name = name
        self._unit = unit
        self._found: list[tuple[int, str]] = []

    def add(self, line: int, message: str) -> None:
        """Notes a fault of one row; raises once there are more than can be reported."""
        self._found.append((line, message))
        if len(self._found) > MAX_FAULTS:
            self.check()

    def fatal(self, message: str, line: int | None = None) -> DataError:
        """The error to raise where reading cannot go on: all the faults so far, then this one."""
        where = self.name if line is None else place(self.name, line, self._unit)
        return DataError("\n".join([*self._lines(), f"{where}: {message}"]))

    def check(self) -> None:
        """Raises DataError if any fault was found."""
        if self._found:
            more = ["… and more"] if len(self._found) > MAX_FAULTS else []
            raise DataError("\n".join(self._lines() + more))

    def _lines(self) -> list[str]:
        shown = sorted(self._found[:MAX_FAULTS])
        return [f"{place(self.name, line, self._unit)}: {message}" for line, message in shown]


@dataclass(frozen=True, slots=True)
class Source:
    """Where raw rows come from: a file, or a split of a Hugging Face data set.

    `name` is what the user wrote; `digest` changes whenever the rows could; `rows` reads them
    lazily. Without types (`is_typed` false), every value is text as it stands in the file.
    """

    name: str
    unit: Unit
    is_typed: bool
    digest: Callable[[], str]
    rows: Callable[[Faults], Iterator[RawRow]]


@dataclass(frozen=True, slots=True)
class DataFile:
    """A file that was found on disk: its place, and its name as the user wrote it."""

    path: Path
    name: str

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """The bytes of the file, unpacked if it is gzip. Raises DataError for a damaged one."""
        try:
            with self.path.open("rb") as packed:
                is_gzip = packed.read(2) == _GZIP_MARK
                packed.seek(0)
                yield cast(BinaryIO, gzip.GzipFile(fileobj=packed)) if is_gzip else packed
        except (EOFError, gzip.BadGzipFile, zlib.error) as fault:
            raise DataError(f"{self.name}: damaged gzip file ({fault}). Pack it again.") from fault
        except OSError as fault:
            raise DataError(f"{self.name}: cannot be read: {fault.strerror or fault}.") from fault

    def digest(self) -> str:
        """SHA-256 of the file as it lies on disk."""
        try:
            with self.path.open("rb") as stream:
                return hashlib.file_digest(stream, "sha256").hexdigest()
        except OSError as fault:
            raise DataError(f"{self.name}: cannot be read: {fault.strerror or fault}.") from fault

    def lines(self, faults: Faults) -> Iterator[tuple[int, str]]:
        """Lines of UTF-8 text with their numbers, line ends kept."""
        with self.open() as stream:
            for number, raw in enumerate(_without_mark(stream, faults), start=1):
                try:
                    text = raw.decode()
                except UnicodeDecodeError as fault:
                    faults.add(number, _not_utf8(fault, "line"))
                else:
                    yield number, text

    def text(self, faults: Faults) -> str:
        """The whole file as UTF-8 text."""
        with self.open() as stream:
            raw = b"".join(_without_mark(stream, faults))
        try:
            return raw.decode()
        except UnicodeDecodeError as fault:
            line = raw.count(b"\n", 0, fault.start) + 1
            raise faults.fatal(f"line {line}: {_not_utf8(fault, 'file')}") from None


def find_file(name: str, base: Path) -> DataFile:
    """The file that the user calls `name`, seen from `base`. Raises DataError."""
    path = base / Path(name).expanduser()
    if path.is_dir():
        raise DataError(f"{name}: is a folder, not a file.{_known(path, '')}")
    if not path.exists():
        raise DataError(f"{name}: no such file.{_known(path.parent, path.name)}")
    if not path.is_file():
        raise DataError(f"{name}: is not a regular file.")
    return DataFile(path, name)


def _known(folder: Path, name: str) -> str:
    if not folder.is_dir():
        return f" There is no folder '{folder.name}' either."
    names = sorted(entry.name for entry in folder.iterdir() if entry.is_file())
    if len(names) > MAX_FAULTS:
        names = difflib.get_close_matches(name, names, n=MAX_FAULTS)
    return f" {did_you_mean(name, names)}" if names else ""


def _without_mark(stream: BinaryIO, faults: Faults) -> Iterator[bytes]:
    first = stream.readline()
    if not first:
        raise faults.fatal("the file is empty.")
    if first.startswith(_UTF16_MARKS):
        raise faults.fatal("the file is UTF-16. Save it as UTF-8.")
    yield first.removeprefix(_UTF8_MARK)
    yield from stream


def _not_utf8(fault: UnicodeDecodeError, what: str) -> str:
    where = f"byte {fault.start + 1} of the {what}"
    return f"{where} is not valid UTF-8 (0x{fault.object[fault.start]:02x}). Save it as UTF-8."

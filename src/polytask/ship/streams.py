"""What `predict` reads and writes line by line: UTF-8, from files or standard streams."""

import json
import sys
from codecs import BOM_UTF8
from collections.abc import Iterator
from pathlib import Path
from typing import IO, BinaryIO

from polytask.errors import DataError
from polytask.ship.items import Item


def read_items(file: Path | None) -> Iterator[tuple[str, Item]]:
    """What stands in each line that is not blank, after its place. Raises DataError."""
    name = file or "standard input"
    with _reading(file) as stream:
        for number, line in enumerate(stream, start=1):
            place = f"{name}:{number}"
            try:
                text = (line.removeprefix(BOM_UTF8) if number == 1 else line).decode().strip()
            except UnicodeDecodeError as error:
                raise DataError(
                    f"{place}: byte {error.start + 1} of the line is not valid UTF-8 "
                    f"(0x{error.object[error.start]:02x}). Save it as UTF-8."
                ) from error
            if not text:
                continue
            try:
                yield place, json.loads(text) if text.startswith("{") else text
            except (ValueError, RecursionError) as error:
                raise DataError(f"{place}: not JSON: {error}") from error


def _reading(file: Path | None) -> BinaryIO:
    if file is None:
        return sys.stdin.buffer
    if not file.is_file():
        raise DataError(f"{file}: no such file")
    try:
        return file.open("rb")
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror}") from error


def writing(out: Path | None) -> IO[str]:
    """Where answers go: a file, or standard output. Raises DataError."""
    if out is None:
        return _open_utf8(sys.stdout.fileno(), is_ours=False)
    try:
        return _open_utf8(out)
    except OSError as error:
        raise DataError(f"{out}: cannot be written: {error.strerror}") from error


def _open_utf8(file: Path | int, *, is_ours: bool = True) -> IO[str]:
    """For JSON: half a surrogate pair, which UTF-8 cannot write, becomes its escape."""
    return open(file, "w", encoding="utf-8", errors="backslashreplace", closefd=is_ours)

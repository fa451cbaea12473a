"""An experiment file as it was read: its values, and where and how each was written."""

import codecs
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

from polytask.config.faults import Fault, KeyPath, Place, dotted, raise_faults, shown
from polytask.config.nodes import MAX_DEPTH, Node, parse_node, text_problem
from polytask.errors import ConfigError, did_you_mean

MAX_BYTES = 2**20
_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@final
@dataclass(frozen=True, slots=True)
class Document:
    """The values of an experiment file, each with its line and the way it was written."""

    file: Path
    root: Node

    @property
    def folder(self) -> Path:
        """The absolute folder of the file, from which its relative paths start."""
        return self.file.absolute().parent

    @property
    def data(self) -> dict[str, object]:
        """The whole file as dictionaries, lists and scalars."""
        return {key: node.plain() for key, node in self.root.entries.items()}

    def where(self, path: KeyPath) -> str:
        """`service.yaml:7` for a key path; the nearest key above it if the file has no such key."""
        return self._reach(path)[-1].place.text

    def written(self, path: KeyPath) -> str | None:
        """A scalar as it was written (`3e-5`, `no`), variables filled in; None if there is none."""
        reached = self._reach(path)
        return reached[-1].written if len(reached) == len(path) + 1 else None

    def _reach(self, path: KeyPath) -> list[Node]:
        reached = [self.root]
        for key in path:
            child = _child(reached[-1], key)
            if child is None:
                break
            reached.append(child)
        return reached


def read_document(path: Path, overrides: Sequence[str] = ()) -> Document:
    """Read an experiment file, then set each of `overrides` (`train.lr=0.0001`, the value in YAML).

    `${NAME}` and `${NAME:-default}` in values come from the environment; `$${` stands for `${`. An
    unquoted value is read again once filled in, so `lr: ${LR:-0.1}` is a number.
    Raises one ConfigError with all faults of the file and the overrides.
    """

    def locate(line: int) -> Place:
        return Place(line, f"{path}:{line}")

    text = _read_text(path)
    if not text.strip():
        raise ConfigError(f"{path}:1: the file is empty.")
    faults: list[Fault] = []
    root = parse_node(text, (), locate, faults)
    if root.form != "section":
        raise ConfigError(f"{root.place.text}: expected keys and values, such as 'tasks:'.")
    first_rank = text.count("\n") + 2
    for rank, override in enumerate(overrides, first_rank):
        _override(root, override, rank, faults)
    raise_faults(faults)
    return Document(path, root)


def _read_text(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        near = did_you_mean(path.name, sorted(file.name for file in path.parent.glob("*.y*ml")))
        raise ConfigError(f"{path}: there is no such file. {near}".rstrip()) from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}.") from error
    if len(raw) > MAX_BYTES:
        raise ConfigError(f"{path}:1: larger than 1 MiB. Is this an experiment file?")
    if raw.startswith(_MARKS):
        raise ConfigError(f"{path}:1: starts with a byte-order mark. Save it as UTF-8 without one.")
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            f"{path}:{line}: not UTF-8: found the byte 0x{raw[error.start]:02x}. Save it as UTF-8."
        ) from None


def _override(root: Node, override: str, rank: int, faults: list[Fault]) -> None:
    dotted_path, sign, value = override.partition("=")
    place = Place(rank, f"--set {shown(dotted_path)}")
    keys = dotted_path.split(".")
    parent = root
    try:
        if not sign or "" in keys:
            raise ValueError("expected key=value, such as train.lr=0.001.")
        if problem := text_problem(dotted_path):
            raise ValueError(problem)
        if len(keys) > MAX_DEPTH:
            raise ValueError(f"more than {MAX_DEPTH} levels of nesting.")
        for key in keys[:-1]:
            index = _index(parent, key)
            child = _child(parent, index)
            if child is None or child.form == "nothing":
                child = Node((*parent.path, index), place, "section")
                _put(parent, child)
            parent = child
        index = _index(parent, keys[-1])
    except ValueError as error:
        faults.append(Fault(place, (), str(error)))
        return
    _put(parent, parse_node(value, (*parent.path, index), lambda _: place, faults))


def _index(parent: Node, key: str) -> str | int:
    """The key, or the index if `parent` is a list, of a value; ValueError if it can hold none."""
    if parent.form == "section":
        return key
    name = dotted(parent.path)
    if parent.form != "list":
        raise ValueError(f"{name} is a {parent.form}, not a section.")
    if re.fullmatch("[0-9]{1,6}", key) and int(key) < len(parent.items):
        return int(key)
    raise ValueError(f"{name} is a list of {len(parent.items)}; '{shown(key)}' is no index of it.")


def _child(parent: Node, key: str | int) -> Node | None:
    if isinstance(key, str):
        return parent.entries.get(key)
    return parent.items[key] if 0 <= key < len(parent.items) else None


def _put(parent: Node, child: Node) -> None:
    key = child.path[-1]
    if isinstance(key, str):
        parent.entries[key] = child
    else:
        parent.items[key] = child

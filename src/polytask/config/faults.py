"""Faults of an experiment file, gathered so that all of them are told at once."""

from collections.abc import Iterable
from dataclasses import dataclass

from polytask.errors import ConfigError

KeyPath = tuple[str | int, ...]

_MOST_TOLD = 100


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value was written: `service.yaml:7` or `--set train.lr`; ranks give the order."""

    rank: int
    text: str


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong: where, at which key, and the sentence that says it."""

    place: Place
    path: KeyPath
    message: str

    def __str__(self) -> str:
        """`service.yaml:7: tasks.entities.kind: unknown kind 'tagg'.` on one line."""
        where, key = self.place.text, dotted(self.path)
        told_by_place = not key or where == f"--set {key}"
        return printable(
            f"{where}: {self.message}" if told_by_place else f"{where}: {key}: {self.message}"
        )


def raise_faults(faults: Iterable[Fault]) -> None:
    """Raise one ConfigError with all faults, a line each, in the order of the file, if any."""
    lines = [str(fault) for fault in sorted(faults, key=lambda fault: fault.place.rank)]
    if len(lines) > _MOST_TOLD:
        lines[_MOST_TOLD:] = [f"… and {len(lines) - _MOST_TOLD} more."]
    if lines:
        raise ConfigError("\n".join(lines))


def dotted(path: KeyPath) -> str:
    """A key path as people write it: `tasks.entities.kind`."""
    return ".".join(shown(str(key)) for key in path)


def shown(text: str) -> str:
    """A text short enough to stand in a message."""
    return printable(text if len(text) <= 60 else f"{text[:59]}…")


def printable(text: str) -> str:
    """The text with line breaks and control characters turned into spaces."""
    return "".join(character if character.isprintable() else " " for character in text)

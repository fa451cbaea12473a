"""Everything that can be the user's fault, and the sentence that says so."""

import difflib
from collections.abc import Iterable


class PolytaskError(Exception):
    """The user's fault: where, what was found, what to do. The command line exits with 2."""


class ConfigError(PolytaskError):
    """An experiment file or an option that cannot be used: every fault found, one per line."""


class DataError(PolytaskError):
    """A data file, or a row of one, that cannot be used."""


class RunError(PolytaskError):
    """A run or model folder that cannot be used: missing, damaged, of another version, finished."""


class DiskError(RunError):
    """The disk refuses what a run writes. The command line exits with 74."""


class TrainingError(PolytaskError):
    """Training cannot go on: a loss, gradient or weight that is not finite."""


class MissingExtra(PolytaskError):
    """An optional package is not installed."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"{package} is not installed. Run: pip install 'polytask[{extra}]'")
        self._named = package, extra

    def __reduce__(self) -> tuple[type["MissingExtra"], tuple[str, str]]:
        """Copies between processes are made from the names."""
        return type(self), self._named


class Interrupted(Exception):
    """The run was stopped by Ctrl-C or SIGTERM, which is nobody's fault; its state is saved."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint to put after a fault: the nearest known word, then all of them."""
    words = [str(item) for item in known]
    nearest = difflib.get_close_matches(word, words, n=1)
    hint = f"Did you mean '{nearest[0]}'? " if nearest else ""
    return f"{hint}Known: {', '.join(words)}." if words else hint.strip()

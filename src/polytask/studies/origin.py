"""Where a study comes from: the command that makes it again, and the versions it was made with."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from polytask.build import versions
from polytask.studies.language import Language


@dataclass(frozen=True, slots=True)
class Origin:
    """A command as it is said in a terminal, and versions by package."""

    command: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)

    def told(self, say: Language) -> list[str]:
        """Sentences."""
        lines = [say("The command: {command}", command=self.command)] if self.command else []
        shown = ", ".join(f"{name} {version}" for name, version in self.versions.items())
        return [*lines, say("Versions: {versions}", versions=shown)] if shown else lines


UNKNOWN = Origin()


def origin(
    verb: str, path: Path, options: Mapping[str, object], overrides: Sequence[str]
) -> Origin:
    """Of what is made now. An option of several values is said several times, one of True alone."""
    words = ["polytask", verb, str(path)]
    for name, value in [*options.items(), *(("set", one) for one in overrides)]:
        for one in value if isinstance(value, list | tuple) else [value]:
            if one is not False:
                words += [f"--{name}"] if one is True else [f"--{name}", str(one)]
    return Origin(shlex.join(words), versions())

"""What the benchmarks share: targets, the closing line, sections of a results file."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

ROOT = Path(__file__).resolve().parent.parent
RECIPES = ROOT / "recipes"


@dataclass(frozen=True, slots=True)
class Target:
    """What a figure must be: `Target(">=", 1.8)`."""

    sign: Literal[">=", ">", "<=", "<"]
    bar: float

    def __str__(self) -> str:
        return f"{self.sign} {self.bar:g}"

    def is_met_by(self, figure: float) -> bool:
        """Whether a figure reaches the target; one that is not a number does not."""
        return {
            ">=": figure >= self.bar,
            ">": figure > self.bar,
            "<=": figure <= self.bar,
            "<": figure < self.bar,
        }[self.sign]


def print_closing_line(figures: Mapping[str, float], targets: Mapping[str, Target]) -> None:
    """Prints one JSON line: the figures, the targets, and whether all of these are met."""
    rounded = {name: round(f, 4) if math.isfinite(f) else None for name, f in figures.items()}
    met = all(target.is_met_by(figures[name]) for name, target in targets.items())
    shown = {name: str(target) for name, target in targets.items()}
    print(json.dumps({"figures": rounded, "targets": shown, "met": met}))


def write_section(file: Path, heading: str, body: str) -> None:
    """Puts a section `## heading` into a Markdown file, in place of an earlier one of that name."""
    before = file.read_text(encoding="utf-8") if file.is_file() else ""
    section = f"## {heading}\n\n{body.strip()}\n"
    earlier = re.compile(rf"^## {re.escape(heading)}\n.*?(?=^## |\Z)", re.DOTALL | re.MULTILINE)
    if found := earlier.search(before):
        rest = before[found.end() :]
        after = before[: found.start()] + section + (f"\n{rest}" if rest else "")
    else:
        after = f"{before.rstrip()}\n\n{section}".lstrip()
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(after, encoding="utf-8")

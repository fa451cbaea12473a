"""How long a start takes, and how much an installation weighs.

Times whole processes, Python's own start included: `polytask --help` and `import polytask`, each
after one run that warms the disk cache. Then counts the packages that polytask needs, itself among
them, and their files. What a download weighs cannot be measured from an installation.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib.metadata import Distribution, distribution
from pathlib import Path
from statistics import median

from _common import Target, print_closing_line
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

TARGETS = {
    "help_seconds": Target("<", 0.4),
    "import_seconds": Target("<=", 0.25),
    "packages": Target("<=", 60),
}
NUM_SHOWN = 6


def main() -> None:
    """Prints both times, the number of packages and their size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=10)
    repeats = parser.parse_args().repeats
    script = Path(sys.executable).with_name("polytask")
    start = [str(script)] if script.is_file() else [sys.executable, "-m", "polytask"]
    packages = closure("polytask")
    sizes = {name: megabytes(package) for name, package in packages.items()}
    figures = {
        "help_seconds": median_seconds([*start, "--help"], repeats),
        "import_seconds": median_seconds([sys.executable, "-c", "import polytask"], repeats),
        "python_seconds": median_seconds([sys.executable, "-c", ""], repeats),
        "packages": len(packages),
        "disk_mb": sum(sizes.values()),
    }
    for name, figure in figures.items():
        print(f"{name}: {figure:.3g}" if figure < 10 else f"{name}: {figure:.0f}")
    largest = sorted(sizes.items(), key=lambda entry: -entry[1])[:NUM_SHOWN]
    print("largest: " + ", ".join(f"{name} {size:.0f} MB" for name, size in largest))
    print_closing_line(figures, TARGETS)


def median_seconds(command: Sequence[str], repeats: int) -> float:
    """Median time of a process over `repeats` runs after a first one."""
    seconds: list[float] = []
    for _ in range(repeats + 1):
        started = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        seconds.append(time.perf_counter() - started)
    return median(seconds[1:])


def closure(root: str) -> dict[str, Distribution]:
    """A package and everything it needs, by name. Raises PackageNotFoundError for one missing."""
    found: dict[str, Distribution] = {}
    waiting = [(canonicalize_name(root), "")]
    done = set(waiting)
    while waiting:
        name, extra = waiting.pop()
        found[name] = distribution(name)
        for line in found[name].requires or ():
            need = Requirement(line)
            if need.marker is None or need.marker.evaluate({"extra": extra}):
                wanted = {(canonicalize_name(need.name), each) for each in ("", *need.extras)}
                waiting += wanted - done
                done |= wanted
    return found


def megabytes(package: Distribution) -> float:
    """Size on disk of the files that a package installed."""
    paths = (Path(str(file.locate())) for file in package.files or ())
    return sum(path.stat().st_size for path in paths if path.is_file()) / 1e6


if __name__ == "__main__":
    main()

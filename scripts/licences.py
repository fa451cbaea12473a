"""Fails if an installed package is under the GPL or the AGPL; the LGPL is no fault."""

import re
import sys
from importlib.metadata import Distribution, distributions

_COPYLEFT = re.compile(r"\bA?GPL|\bGNU (?:Affero )?General Public", re.IGNORECASE)


def licence_of(package: Distribution) -> str:
    """The licence that a package declares: SPDX expression, else classifiers, else free text."""
    about = package.metadata
    expression = about["License-Expression"]
    classifiers = [
        line.rpartition(" :: ")[2]
        for line in about.get_all("Classifier") or []
        if line.startswith("License :: ") and line != "License :: OSI Approved"
    ]
    first_line = (about["License"] or "not stated").strip().partition("\n")[0]
    return expression or " OR ".join(classifiers) or first_line


def is_copyleft(licence: str) -> bool:
    """Whether every licence that one may choose is the GPL or the AGPL."""
    return all(_COPYLEFT.search(choice) is not None for choice in licence.split(" OR "))


def main() -> int:
    """Prints what was found; 1 if a package is under the GPL or the AGPL."""
    licences = {package.name: licence_of(package) for package in distributions()}
    refused = sorted(name for name, licence in licences.items() if is_copyleft(licence))
    for name in refused:
        print(f"{name}: {licences[name]}", file=sys.stderr)
    print(f"Licences of {len(licences)} packages: {len(refused)} under the GPL or AGPL")
    return int(bool(refused))


if __name__ == "__main__":
    sys.exit(main())

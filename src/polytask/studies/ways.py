"""Other ways of sharing, to be tried on the same experiment: balancing, mixing, tuned weights."""

import random
from collections.abc import Mapping, Sequence

TUNED = "static weights, tuned"
_MOST = 3.0
"""Tuned weights lie between one over this and this, evenly in their logarithm."""

Ways = Mapping[str, Mapping[str, str]]
"""By way its trials by name, each an override; dev chooses among those of a way."""


def asked_for(balancing: Sequence[str], mixing: Sequence[str], tasks: Sequence[str]) -> Ways:
    """Each kind, or section in braces, as one trial, and static weights with as many trials.

    A text may name several kinds with commas between.
    """
    ways: dict[str, dict[str, str]] = {}
    for section, texts in (("balancing", balancing), ("mixing", mixing)):
        for one in (one for text in texts for one in _parted(text)):
            given = one if one.startswith("{") else f"{{kind: {one}}}"
            ways[f"{section} {one}"] = {one: f"{section}={given}"}
    if not ways:
        return {}
    return {**ways, TUNED: dict(_weights(tasks, trial) for trial in range(len(ways)))}


def _parted(text: str) -> list[str]:
    if text.strip().startswith("{"):
        return [text.strip()]
    return [one.strip() for one in text.split(",") if one.strip()]


def _weights(tasks: Sequence[str], trial: int) -> tuple[str, str]:
    draw = random.Random(trial)  # noqa: S311
    weights = {task: round(_MOST ** draw.uniform(-1, 1), 2) for task in tasks}
    shown = ", ".join(f"{task}: {weight}" for task, weight in weights.items())
    return shown, f"balancing={{kind: static, weights: {{{shown}}}}}"

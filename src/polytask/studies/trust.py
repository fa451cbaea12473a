"""What a page says of how far the scores of a run can be trusted."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from polytask.errors import RunError
from polytask.studies.charts import Points, unit_square
from polytask.studies.mistakes import SHOWN, mistakes_file
from polytask.training.folder import RunFolder

_SPLITS = ("test", "dev")
_LONGEST = 200
_SHOWN_OF_A_MISTAKE = ("where", "text", "gold", "answer")


@dataclass(frozen=True, slots=True)
class Listed:
    """A table: its heads and its cells, of which the last `num_numbers` of a row are numbers."""

    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    num_numbers: int


@dataclass(frozen=True, slots=True)
class Trust:
    """Of one task: sentences, a drawing of its reliability, tables of its mistakes."""

    task: str
    told: Sequence[str]
    drawing: Markup | None
    tables: Sequence[Listed]


def trust_of(folder: RunFolder, metrics: Mapping[str, Any]) -> tuple[str, list[Trust]]:
    """What is known of the tasks on test, or on dev if test was not scored; and which it was.

    Raises RunError for a damaged file of mistakes.
    """
    split = next((one for one in _SPLITS if one in metrics), "")
    mistakes = _mistakes(folder, split)
    found = [
        Trust(task, _told(entry), _reliability(entry), list(_tables(mistakes.get(task, {}))))
        for task, entry in metrics.get(split, {}).items()
    ]
    return split, [one for one in found if one.drawing or one.tables]


def _mistakes(folder: RunFolder, split: str) -> Mapping[str, Any]:
    file = mistakes_file(folder, split)
    if not split or not file.is_file():
        return {}
    try:
        held: Mapping[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise RunError(f"{file}: is damaged: {error}") from error
    return held


def _told(entry: Mapping[str, Any]) -> list[str]:
    told = entry.get("calibration")
    if not told:
        return []
    before, after = told["before"], told["after"]
    lines = [
        f"Expected calibration error {after['error']:.4f} ({before['error']:.4f} as training left "
        f"it), Brier score {after['brier']:.4f} ({before['brier']:.4f}), over {after['count']:,} "
        "answers."
    ]
    if given := told["given"]:
        lines.append(
            f"{given['answered']:.1%} of the answers are sure; {given['wrong']:.1%} of these are "
            "wrong."
        )
    scores = entry["metrics"]
    if scores.get("out_of_scope_auroc") is not None:
        lines.append(
            f"Out of scope: AUROC {scores['out_of_scope_auroc']:.4f}; "
            f"{scores['out_of_scope_recall']:.1%} found at {scores['false_rejects']:.1%} false "
            "rejects."
        )
    return lines


def _reliability(entry: Mapping[str, Any]) -> Markup | None:
    told = entry.get("calibration")
    if not told:
        return None
    lines: dict[str, Points] = {
        name: [(one["stated"], one["right"]) for one in told[when]["bins"]]
        for when, name in (("before", "as training left them"), ("after", "made true on dev"))
    }
    return unit_square(lines)


def _tables(found: Mapping[str, Any]) -> Iterator[Listed]:
    for by, groups in found.get("groups", {}).items():
        rows = [[one["name"], f"{one['count']:,}", _number(one["score"])] for one in groups]
        yield Listed(f"By {by}", (by, "rows", found["metric"]), rows, 2)
    if pairs := found.get("confusions"):
        rows = [[gold, answer, str(num)] for gold, answer, num in pairs[:SHOWN]]
        yield Listed("What is taken for what", ("gold", "answer", "times"), rows, 1)
    histogram = found.get("histogram") or []
    if histogram:
        size = len(histogram)
        rows = [
            [f"{place / size:.2f} to {(place + 1) / size:.2f}", str(right), str(wrong)]
            for place, (right, wrong) in enumerate(histogram)
            if right or wrong
        ]
        yield Listed("Answers by what they stated", ("stated", "right", "wrong"), rows, 2)
    for title, key in (
        ("The surest mistakes", "surest"),
        ("The largest losses", "worst"),
        ("Gold labels that are probably wrong", "label_errors"),
    ):
        if some := found.get(key):
            rows = [
                [
                    *(_cut(one[name]) for name in _SHOWN_OF_A_MISTAKE),
                    _number(one["loss"] if key == "worst" else one["sureness"]),
                ]
                for one in some[:SHOWN]
            ]
            last = "loss" if key == "worst" else "stated"
            yield Listed(title, (*_SHOWN_OF_A_MISTAKE, last), rows, 1)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"

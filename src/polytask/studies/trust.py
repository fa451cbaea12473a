"""What a report says of how far the scores of a run can be trusted."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from polytask.errors import RunError
from polytask.studies.charts import Points, unit_square
from polytask.studies.document import Chart, Section
from polytask.studies.language import Language
from polytask.studies.listed import Listed
from polytask.studies.maps import matrix
from polytask.studies.mistakes import SHOWN, mistakes_file
from polytask.training.folder import RunFolder

_SPLITS = ("test", "dev")
_LONGEST = 200
_MOST_LABELS = 24
"""Of a confusion matrix that is drawn; of more the pairs are listed that are confused most."""
_SHOWN_OF_A_MISTAKE = ("where", "text", "gold", "answer")


def trust_of(
    folder: RunFolder, metrics: Mapping[str, Any], say: Language, whose: str = ""
) -> list[Section]:
    """What is known of the tasks on test, or on dev if test was not scored.

    whose: a sentence on what model it is, where there are several.

    Raises RunError for a damaged file of mistakes.
    """
    split = next((one for one in _SPLITS if one in metrics), "")
    mistakes = _mistakes(folder, split)
    parts = [
        Section(
            task,
            told=_told(entry, say),
            charts=[*_reliability(entry, say), *_confusion(entry, say)],
            tables=list(_tables(entry, mistakes.get(task, {}), say)),
        )
        for task, entry in metrics.get(split, {}).items()
    ]
    parts = [one for one in parts if one.charts or one.tables]
    if not parts:
        return []
    about = say(
        "How often answers are right by what they state: on the diagonal they are as sure as they "
        "should be. And which labels are taken for which: of the gold label of a row, the share "
        "that got the label of a column."
    )
    title = say("How far the scores on {split} can be trusted", split=split)
    return [Section(title, f"{whose} {about}".strip(), parts=parts)]


def _mistakes(folder: RunFolder, split: str) -> Mapping[str, Any]:
    file = mistakes_file(folder, split)
    if not split or not file.is_file():
        return {}
    try:
        held: Mapping[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise RunError(f"{file}: is damaged: {error}") from error
    return held


def _told(entry: Mapping[str, Any], say: Language) -> list[str]:
    told = entry.get("calibration")
    if not told:
        return []
    before, after = told["before"], told["after"]
    lines = [
        say(
            "Expected calibration error {after:.4f} ({before:.4f} as training left it), Brier "
            "score {brier:.4f} ({brier_before:.4f}), over {count:,} answers.",
            after=after["error"],
            before=before["error"],
            brier=after["brier"],
            brier_before=before["brier"],
            count=after["count"],
        )
    ]
    if given := told["given"]:
        lines.append(
            say(
                "{answered:.1%} of the answers are sure; {wrong:.1%} of these are wrong.",
                answered=given["answered"],
                wrong=given["wrong"],
            )
        )
    scores = entry["metrics"]
    if scores.get("out_of_scope_auroc") is not None:
        lines.append(
            say(
                "Out of scope: AUROC {auroc:.4f}; {recall:.1%} found at {rejects:.1%} false "
                "rejects.",
                auroc=scores["out_of_scope_auroc"],
                recall=scores["out_of_scope_recall"],
                rejects=scores["false_rejects"],
            )
        )
    return lines


def _reliability(entry: Mapping[str, Any], say: Language) -> Iterator[Chart]:
    if told := entry.get("calibration"):
        names = {"before": say("as training left them"), "after": say("made true on dev")}
        lines: dict[str, Points] = {
            name: [(one["stated"], one["right"]) for one in told[when]["bins"]]
            for when, name in names.items()
        }
        yield Chart(unit_square(lines), lines, say("Right by stated"))


def _confusion(entry: Mapping[str, Any], say: Language) -> Iterator[Chart]:
    labels, counts = entry.get("labels", []), entry.get("confusion", [])
    if 1 < len(labels) <= _MOST_LABELS:
        shares = {
            (gold, answer): 100 * num / sum(row)
            for gold, row in zip(labels, counts, strict=True)
            for answer, num in zip(labels, row, strict=True)
            if num
        }
        data = {"labels": labels, "counts": counts}
        yield Chart(matrix(labels, labels, shares, digits=0), data, say("Confusion, per cent"))


def _confused(entry: Mapping[str, Any], found: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
    """Gold, answer, how often, the most frequent first."""
    labels = entry.get("labels", [])
    pairs = found.get("confusions") or [
        (gold, answer, num)
        for gold, row in zip(labels, entry.get("confusion", []), strict=True)
        for answer, num in zip(labels, row, strict=True)
        if num and gold != answer
    ]
    return sorted(pairs, key=lambda one: -one[2])[:SHOWN]


def _tables(entry: Mapping[str, Any], found: Mapping[str, Any], say: Language) -> Iterator[Listed]:
    by = {
        "words in the text": say("words in the text"),
        "words not in train": say("words not in train"),
        "examples of the label in train": say("examples of the label in train"),
    }
    for name, groups in found.get("groups", {}).items():
        shown = by.get(name, name)
        rows = [[one["name"], f"{one['count']:,}", _number(one["score"])] for one in groups]
        yield Listed(say("By {name}", name=shown), [shown, say("rows"), found["metric"]], rows)
    if pairs := _confused(entry, found):
        rows = [[gold, answer, str(num)] for gold, answer, num in pairs]
        heads = say.each("gold", "answer", "times")
        yield Listed(say("What is taken for what"), heads, rows, 2)
    yield from _histogram(found, say)
    lists = {
        "surest": say("The surest mistakes"),
        "worst": say("The largest losses"),
        "label_errors": say("Gold labels that are probably wrong"),
    }
    for key, title in lists.items():
        if some := found.get(key):
            rows = [
                [
                    *(_cut(one[name]) for name in _SHOWN_OF_A_MISTAKE),
                    _number(one["loss"] if key == "worst" else one["sureness"]),
                ]
                for one in some[:SHOWN]
            ]
            last = say("loss") if key == "worst" else say("stated")
            yield Listed(title, [*say.each("where", "text", "gold", "answer"), last], rows, 4)


def _histogram(found: Mapping[str, Any], say: Language) -> Iterator[Listed]:
    if histogram := found.get("histogram"):
        size = len(histogram)
        rows = [
            [f"{place / size:.2f} – {(place + 1) / size:.2f}", str(right), str(wrong)]
            for place, (right, wrong) in enumerate(histogram)
            if right or wrong
        ]
        heads = say.each("stated", "right", "wrong")
        yield Listed(say("Answers by what they stated"), heads, rows)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"

"""The journal of a run: one JSON object a line, for people and programs."""

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from polytask.errors import RunError
from polytask.heads import Scores
from polytask.training.checkpoint import writing
from polytask.training.folder import RunFolder
from polytask.training.observer import EvaluationReport, Look, Observer, StepReport

Event = Mapping[str, Any]
"""A line of a journal."""

TIME_FIELDS = ("seconds", "look_seconds", "look_share")
"""The fields that differ between two runs of the same seed."""


class Journal(Observer):
    """Appends every event to `journal.jsonl`. Raises DiskError if the disk refuses."""

    def __init__(self, file: Path) -> None:
        self._path = file
        with writing(file):
            self._file = file.open("a", encoding="utf-8")
        self._num_tokens = 0
        self._num_padded = 0
        self._seconds = self._look_seconds = 0.0

    @property
    def look_share(self) -> float:
        """Share of the time of training that went into looks at gradients."""
        return self._look_seconds / max(self._seconds + self._look_seconds, 1e-9)

    @property
    def padding(self) -> float:
        """Share of the encoder's input that was padding, over the steps seen since the start."""
        return 1 - self._num_tokens / max(self._num_padded, 1)

    @property
    def position(self) -> int:
        """Bytes safe on disk: where a resumed run cuts the file."""
        with writing(self._path):
            self._file.flush()
            os.fsync(self._file.fileno())
            return self._file.tell()

    def cut(self, position: int) -> None:
        """Forgets what was written after `position`, and a line that is torn there."""
        kept = self._num_tokens = self._num_padded = 0
        self._seconds = self._look_seconds = 0.0
        with writing(self._path):
            self._file.flush()
        with self._path.open("rb") as lines:
            for line in lines:
                if kept + len(line) > position or not line.endswith(b"\n"):
                    break
                kept += len(line)
                self._count(line)
        with writing(self._path):
            self._file.truncate(kept)
            self._file.seek(kept)
        if kept < position:
            self.note(f"The journal is shorter than it was: {position - kept} bytes are lost.")

    def _count(self, line: bytes) -> None:
        try:
            event = json.loads(line.decode())
            if event["event"] == "step":
                self._num_tokens += event["tokens"]
                self._num_padded += event["padded_tokens"]
                self._seconds += event["seconds"]
                self._look_seconds += event.get("look_seconds", 0.0)
        except (ValueError, KeyError, TypeError) as error:
            raise RunError(
                f"{self._path}: is damaged: {error}. Remove the file to go on without it."
            ) from error

    def write(self, event: str, fields: Mapping[str, object]) -> None:
        """Adds one event. Numbers that are not finite become null.

        Raises DiskError, too, if the file is no longer where it was.
        """
        line = json.dumps(finite({"event": event, **fields}), ensure_ascii=False)
        with writing(self._path):
            self._path.stat()
            self._file.write(line + "\n")
            self._file.flush()

    def note(self, text: str) -> None:
        """A plain sentence."""
        self.write("note", {"text": text})

    def step(self, report: StepReport) -> None:
        """Losses, weights and sizes of a step."""
        self._num_tokens += report.num_tokens
        self._num_padded += report.num_padded
        look: dict[str, object] = {}
        if report.look is not None:
            look = {"look": _plain(report.look), "look_seconds": round(report.look.seconds, 4)}
        self._seconds += report.seconds
        self._look_seconds += report.look.seconds if report.look else 0.0
        self.write(
            "step",
            {
                "step": report.step,
                "epoch": report.epoch,
                "losses": report.losses,
                "weights": report.weights,
                "counts": report.counts,
                "learning_rate": report.learning_rate,
                "gradient_norms": report.gradient_norms,
                "examples": report.num_examples,
                "tokens": report.num_tokens,
                "padded_tokens": report.num_padded,
                "seconds": round(report.seconds, 4),
                **look,
            },
        )

    def evaluation(self, report: EvaluationReport) -> None:
        """All metrics of all tasks on dev."""
        self.write(
            "evaluation",
            {
                "step": report.step,
                "epoch": report.epoch,
                "selected": report.selected,
                "is_best": report.is_best,
                "seen": report.passes,
                "metrics": {task: scores.metrics for task, scores in report.scores.items()},
            },
        )

    def close(self) -> None:
        """Closes the file."""
        with writing(self._path):
            self._file.close()


def _plain(look: Look) -> dict[str, object]:
    return {
        "norms": look.norms,
        "cosines": {pair: round(cosine, 4) for pair, cosine in look.cosines.items()},
        "progress": look.progress,
        **({"ahead": look.ahead} if look.ahead else {}),
    }


def finite(value: object) -> object:
    """The same plain value, with null for numbers that JSON cannot write."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value


def scores_as_json(scores: Scores) -> dict[str, object]:
    """Metrics, table of classes and confusion matrix of one task, ready for JSON."""
    found: dict[str, object] = {"records": scores.count, "metrics": dict(scores.metrics)}
    if scores.table is not None:
        found["classes"] = scores.table.to_json()
    if scores.confusion:
        found["labels"] = list(scores.labels)
        found["confusion"] = [list(row) for row in scores.confusion]
    found_finite = finite(found)
    assert isinstance(found_finite, dict)  # noqa: S101
    return found_finite


def read_journal(folder: RunFolder) -> list[Event]:
    """The events of a run; a line that is torn at the end is left out. Raises RunError."""
    if not folder.journal.is_file():
        raise RunError(f"{folder.path}: has no journal, so it is no run folder")
    found: list[Event] = []
    lines = folder.journal.read_text(encoding="utf-8", errors="replace").split("\n")
    for number, line in enumerate(lines, 1):
        if not line:
            continue
        try:
            found.append(json.loads(line))
        except ValueError as error:
            if number < len(lines):
                raise RunError(f"{folder.journal}:{number}: is damaged: {error}") from error
    return found

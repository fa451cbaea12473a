"""The life of a run folder: absent, unfinished, finished."""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from polytask.errors import RunError
from polytask.training.checkpoint import write_synced

_STATUS_FILE = "run.json"
Status = Literal["unfinished", "finished"]


@dataclass(frozen=True, slots=True)
class RunFolder:
    """Where everything of one run lies."""

    path: Path

    @property
    def model(self) -> Path:
        """The best model so far."""
        return self.path / "model"

    @property
    def checkpoints(self) -> Path:
        """Full states of training."""
        return self.path / "checkpoints"

    @property
    def journal(self) -> Path:
        """One event a line."""
        return self.path / "journal.jsonl"

    @property
    def metrics(self) -> Path:
        """Scores by split and task."""
        return self.path / "metrics.json"

    @property
    def card(self) -> Path:
        """The model card."""
        return self.path / "README.md"

    def predictions(self, split: str, task: str) -> Path:
        """Predictions of one task on one split."""
        return self.path / "predictions" / f"{split}.{task}.jsonl"

    def mark(self, status: Status, plain: Mapping[str, object]) -> None:
        """Writes down how far the run is, and of which experiment it is."""
        text = json.dumps({"status": status, "experiment": plain}, ensure_ascii=False, indent=2)
        write_synced(self.path / _STATUS_FILE, text)

    def claim(self, plain: Mapping[str, object], *, overwrite: bool) -> bool:
        """Makes the folder ready to train in; true if an unfinished run is to be gone on with.

        Raises RunError if the folder holds something else, a finished run, or an unfinished run of
        another experiment.
        """
        status, before = self._read()
        if status == "unfinished" and not (self.checkpoints.exists() or self.model.exists()):
            status = None
        if overwrite and self.path.exists():
            shutil.rmtree(self.path)
            status = None
        if status == "finished":
            raise RunError(
                f"{self.path}: this run is finished. "
                "Use another --out, or --overwrite to train anew."
            )
        if status == "unfinished" and before != plain:
            changed = ", ".join(_differences(before, plain))
            raise RunError(
                f"{self.path}: holds an unfinished run of another experiment "
                f"(differs in {changed}). Use another --out, or --overwrite to train anew."
            )
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            (self.path / "predictions").mkdir(exist_ok=True)
        except OSError as error:
            raise RunError(f"{self.path}: cannot be written: {error.strerror}") from error
        if not os.access(self.path, os.W_OK):
            raise RunError(f"{self.path}: cannot be written: permission denied")
        self.mark("unfinished", plain)
        return status == "unfinished"

    def _read(self) -> tuple[Status | None, dict[str, object]]:
        file = self.path / _STATUS_FILE
        if not self.path.exists() or (self.path.is_dir() and not any(self.path.iterdir())):
            return None, {}
        if not file.is_file():
            raise RunError(f"{self.path}: is not empty and not a run folder. Use another --out.")
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
            return found["status"], found["experiment"]
        except (ValueError, KeyError, TypeError) as error:
            raise RunError(
                f"{file}: is damaged. Use another --out, or remove the folder."
            ) from error


def _differences(before: object, after: object, path: str = "") -> list[str]:
    if not (isinstance(before, Mapping) and isinstance(after, Mapping)):
        return [] if before == after else [path]
    one, other = cast(Mapping[str, object], before), cast(Mapping[str, object], after)
    found: list[str] = []
    for key in dict.fromkeys([*one, *other]):
        inner = f"{path}.{key}" if path else str(key)
        found += _differences(one.get(key), other.get(key), inner)
    return found

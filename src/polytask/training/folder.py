"""The life of a run folder: absent, unfinished, finished."""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from polytask.errors import DiskError, RunError
from polytask.training.checkpoint import tidy, write_synced, writing

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
        with writing(self.path / _STATUS_FILE):
            write_synced(self.path / _STATUS_FILE, text)

    def status(self, plain: Mapping[str, object]) -> Status | None:
        """How far a run of this experiment is here; None if there is none, or another's."""
        if not (self.path / _STATUS_FILE).is_file():
            return None
        status, before = self._read()
        return status if before == plain else None

    def claim(self, plain: Mapping[str, object], *, overwrite: bool) -> bool:
        """Makes the folder ready to train in; true if an unfinished run is to be gone on with.

        With `overwrite` an earlier run is put aside, until `forget_earlier` or `restore_earlier`.
        Raises RunError if the folder holds something else, a finished run, or an unfinished run of
        another experiment; DiskError if it cannot be written.
        """
        self._recover()
        status, before = self._read()
        if status is not None or (self.path.is_dir() and self._is_bare()):
            tidy(self.path)
        if status == "unfinished" and not self._has_started():
            status = None
        if overwrite:
            self._put_aside()
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
            self.path.resolve().mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DiskError(f"{self.path}: cannot be written: {error.strerror}") from error
        if not os.access(self.path, os.W_OK):
            raise DiskError(f"{self.path}: cannot be written: permission denied")
        self.mark("unfinished", plain)
        with writing(self.path):
            (self.path / "predictions").mkdir(exist_ok=True)
        return status == "unfinished"

    def forget_earlier(self) -> None:
        """Removes the run that was put aside, now that its successor trains."""
        shutil.rmtree(self._removed, ignore_errors=True)
        if self._aside.exists():
            self._aside.rename(self._removed)  # at once, so that no half of it is ever put back
            shutil.rmtree(self._removed, ignore_errors=True)

    def restore_earlier(self) -> None:
        """Puts back the run that was put aside, if its successor has not begun to train."""
        place = self.path.resolve()
        if not self._aside.exists():
            return
        if (place / _STATUS_FILE).exists():
            shutil.rmtree(place, ignore_errors=True)
        elif place.exists() and any(place.iterdir()):
            raise RunError(f"{self.path}: holds what is no run; the run before is {self._aside}")
        self._aside.rename(place)

    @property
    def _aside(self) -> Path:
        place = self.path.resolve()
        return place.with_name(f".earlier-{place.name}")

    @property
    def _removed(self) -> Path:
        return self._aside.with_name(f".removed{self._aside.name}")

    def _is_bare(self) -> bool:
        """Whether nothing was ever finished here: a kill may have left a file half written."""
        return all(one.name.startswith(".staged-run.json-") for one in self.path.iterdir())

    def _has_started(self) -> bool:
        return self.checkpoints.exists() or self.model.exists()

    def _recover(self) -> None:
        if self._has_started():
            self.forget_earlier()
        else:
            self.restore_earlier()

    def _put_aside(self) -> None:
        place = self.path.resolve()
        if not place.exists():
            return
        try:
            if Path.cwd().is_relative_to(place):
                raise OSError(0, "it is the current folder")
            place.rename(self._aside)
        except OSError as error:
            raise RunError(f"{self.path}: cannot be put aside: {error.strerror}") from error

    def _read(self) -> tuple[Status | None, dict[str, object]]:
        file = self.path / _STATUS_FILE
        if not self.path.exists() or (self.path.is_dir() and self._is_bare()):
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

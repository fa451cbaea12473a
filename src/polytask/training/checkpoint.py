"""The full state of training on disk: written whole or not at all, checked before it is used."""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from polytask.build import file_digest
from polytask.errors import DiskError
from polytask.processes import first_does

_MANIFEST = "manifest.json"
_STATE = "state.json"
_PREFIX = "step-"
_DAMAGED = ".damaged-"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that training needs to go on: named tensors in groups, and plain JSON values."""

    step: int
    tensors: Mapping[str, Mapping[str, Tensor]]
    values: Mapping[str, object]


def save_checkpoint(folder: Path, snapshot: Snapshot, *, keep: int) -> Path:
    """Writes a snapshot below `folder` and drops all but it and the newest `keep` - 1 before it.

    A checkpoint of a later step is of a course that training has left, and is dropped too.

    Staged beside its final place, synced, its manifest of hashes last, then renamed: at every
    instant each checkpoint is whole. Raises DiskError if the disk refuses.
    """
    final = folder / f"{_PREFIX}{snapshot.step:09d}"
    staged = folder / f".staged-{final.name}-{os.getpid()}"
    try:
        folder.mkdir(exist_ok=True)
        staged.mkdir()
        for name, tensors in snapshot.tensors.items():
            save_file(
                {k: t.contiguous() for k, t in tensors.items()}, staged / f"{name}.safetensors"
            )
        write_synced(staged / _STATE, json.dumps({"step": snapshot.step, **snapshot.values}))
        digests = {file.name: file_digest(file) for file in sorted(staged.iterdir())}
        write_synced(staged / _MANIFEST, json.dumps(digests, indent=2))
        replace_folder(staged, final)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(staged, ignore_errors=True)
        raise DiskError(
            f"{folder}: cannot save a checkpoint: {error}. Earlier ones are whole."
        ) from error
    earlier = [one for one in _all(folder) if one.name < final.name]
    kept = {final, *earlier[: keep - 1]}
    for old in (*_all(folder), *folder.glob(f"{_DAMAGED}*")):
        if old not in kept:
            shutil.rmtree(old, ignore_errors=True)
    return final


def newest_checkpoint(folder: Path, device: torch.device) -> tuple[Snapshot | None, list[str]]:
    """The newest checkpoint that is whole, and a sentence for each newer one that is not.

    One that is not whole is put aside until the next is saved.
    """
    newest, skipped = first_does(lambda: _newest(folder))
    return None if newest is None else _read(newest, device), skipped


def _newest(folder: Path) -> tuple[Path | None, list[str]]:
    tidy(folder)
    skipped: list[str] = []
    for candidate in _all(folder):
        fault = _fault(candidate)
        if fault is None:
            return candidate, skipped
        skipped.append(f"{candidate.name} is not used: {fault}.")
        with suppress(OSError):
            candidate.rename(candidate.with_name(f"{_DAMAGED}{candidate.name}"))
    return None, skipped


def _all(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"{_PREFIX}*"), reverse=True) if folder.is_dir() else []


def _fault(folder: Path) -> str | None:
    try:
        digests = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
        for name, digest in digests.items():
            if file_digest(folder / Path(name).name) != digest:
                return f"{name} is damaged"
    except (OSError, ValueError, AttributeError) as error:
        return f"{error}"
    return None


def _read(folder: Path, device: torch.device) -> Snapshot:
    values = cast(dict[str, object], json.loads((folder / _STATE).read_text(encoding="utf-8")))
    tensors = {
        file.stem: load_file(file, device=str(device)) for file in folder.glob("*.safetensors")
    }
    return Snapshot(cast(int, values.pop("step")), tensors, values)


def replace_folder(staged: Path, final: Path) -> None:
    """Puts a complete folder in its final place, over an older one if there is one."""
    for file in staged.iterdir():
        _sync(file)
    _sync(staged)
    old = final.with_name(f".old-{final.name}-{os.getpid()}")
    if final.exists():
        final.rename(old)
    staged.rename(final)
    _sync(final.parent)
    shutil.rmtree(old, ignore_errors=True)


def tidy(parent: Path) -> None:
    """Ends what a killed process had begun in `parent`: half folders go, older ones come back."""
    for staged in parent.glob(".staged-*"):
        if staged.is_dir():
            shutil.rmtree(staged, ignore_errors=True)
        else:
            staged.unlink(missing_ok=True)
    for old in parent.glob(".old-*"):
        final = parent / old.name.removeprefix(".old-").rpartition("-")[0]
        if final.exists():
            shutil.rmtree(old, ignore_errors=True)
        else:
            old.rename(final)


def write_synced(file: Path, text: str) -> None:
    """Writes a text file whole or not at all."""
    staged = file.with_name(f".staged-{file.name}-{os.getpid()}")
    try:
        staged.write_text(text if text.endswith("\n") else text + "\n", encoding="utf-8")
        _sync(staged)
        staged.replace(file)
    except OSError:
        staged.unlink(missing_ok=True)
        raise


def write_text(file: Path, text: str) -> None:
    """The same. Raises DiskError if the disk refuses."""
    with writing(file.parent):
        write_synced(file, text)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns a disk that refuses what is written to `path` into a DiskError."""
    try:
        yield
    except OSError as error:
        raise DiskError(
            f"{path}: cannot be written: {error.strerror or error}. Make room and run the same "
            "command again."
        ) from error


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

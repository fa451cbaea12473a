"""Splits of Hugging Face data sets: a saved folder, or a name on the hub."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from polytask.data.files import RawRow, Source
from polytask.data.readers import number_rows
from polytask.errors import DataError, did_you_mean

if TYPE_CHECKING:
    from datasets import Dataset

_ROWS_PER_BATCH = 1000


def open_split(name: str, split: str, *, base: Path) -> Source:
    """The rows of one split of a folder seen from `base`, or of a data set on the hub.

    A name on the hub may end in `:subset`. Class numbers become class names. Raises DataError.
    """
    folder = base / Path(name).expanduser()
    loaded = _saved(folder, name, split) if folder.is_dir() else _fetched(name, split)
    return Source(
        name=f"{name}[{split}]",
        unit="row",
        is_typed=True,
        digest=lambda: _digest(loaded, split),
        rows=lambda _: _rows(loaded),
    )


def _saved(folder: Path, name: str, split: str) -> "Dataset":
    from datasets import Dataset, load_from_disk

    try:
        loaded = load_from_disk(str(folder))
    except (OSError, ValueError, KeyError, TypeError) as fault:
        hint = "Expected a folder written by datasets.save_to_disk."
        raise DataError(f"{name}: cannot be loaded: {_first_line(fault)} {hint}") from fault
    if isinstance(loaded, Dataset):
        loaded = {str(loaded.split or "train"): loaded}
    if split not in loaded:
        raise DataError(f"{name}: no split '{split}'. {did_you_mean(split, loaded)}")
    return loaded[split]


def _fetched(name: str, split: str) -> "Dataset":
    from datasets import load_dataset
    from datasets.exceptions import DatasetsError

    repository, _, subset = name.partition(":")
    try:
        return load_dataset(repository, subset or None, split=split)
    except (OSError, ValueError, RuntimeError, DatasetsError) as fault:
        raise DataError(
            f"{name}: no such folder, and the split '{split}' could not be fetched from the "
            f"Hugging Face hub: {_first_line(fault)} Check the names. Without a network, write the "
            "data set with datasets.save_to_disk where there is one, and name that folder."
        ) from fault


def _digest(loaded: "Dataset", split: str) -> str:
    whole = hashlib.sha256(f"{split} {loaded.num_rows} {loaded.features}".encode())
    for entry in loaded.cache_files:
        with Path(entry["filename"]).open("rb") as stream:
            whole.update(hashlib.file_digest(stream, "sha256").digest())
    return whole.hexdigest()


def _rows(loaded: "Dataset") -> Iterator[RawRow]:
    class_names = {
        column: names
        for column, feature in loaded.features.items()
        if (names := _class_names(feature)) is not None
    }
    batches = loaded.with_format("arrow").iter(batch_size=_ROWS_PER_BATCH)
    for number, row in number_rows(batches):
        for column, names in class_names.items():
            row[column] = _named(row[column], names)
        yield number, row


def _class_names(feature: object) -> list[str] | None:
    names = getattr(getattr(feature, "feature", feature), "names", None)
    return names if isinstance(names, list) else None


def _named(value: object, names: list[str]) -> object:
    if isinstance(value, list):
        return [_named(item, names) for item in value]
    # The hub writes -1 where the label of a test row is kept secret.
    return names[value] if isinstance(value, int) and value >= 0 else None


def _first_line(fault: Exception) -> str:
    return (str(fault).partition("\n")[0] or type(fault).__name__).rstrip(".") + "."

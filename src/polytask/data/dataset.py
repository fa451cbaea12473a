"""The `data:` section of an experiment file: where its splits lie and which rows are used."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from polytask.data.cleaning import Cleaning
from polytask.data.columns import LABEL, TEXT, Need
from polytask.data.files import Source
from polytask.data.filters import Condition, Filter, filtered
from polytask.data.hub import open_split
from polytask.data.readers import Format, open_source
from polytask.data.records import Records
from polytask.data.sampling import cut_off, sample
from polytask.data.tables import read_records
from polytask.errors import ConfigError

_DEV_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class Splits:
    """The records to train on, to choose by and, if there are any, to report on.

    unlimited: train before `limit`; labels and scales are learned from it, so that none is unknown
    only because its rows were not drawn.
    notes: what was done to the files' rows, in plain sentences. watched: rows of train set apart
    for a balancing that follows losses there; None unless asked for.
    """

    train: Records
    unlimited: Records
    dev: Records
    test: Records | None
    notes: list[str]
    watched: Records | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSet:
    """Where the splits of a data set lie, and which of their rows are used.

    train, dev, test: files; with `datasets`, the names of splits.
    datasets: a folder written by datasets.save_to_disk, or a name on the Hugging Face hub.
    format, columns: for endings that do not say it, and for files without a header.
    where: keeps the rows of all splits whose column has the given value or one of the given
    values, or none of them with `not:`.
    limit: so many rows of train, drawn at random; fewer are always among more.
    dev_share: the share of train that becomes dev if no dev is given, 0.1 unless said.
    """

    train: str
    dev: str | None = None
    test: str | None = None
    datasets: str | None = None
    format: Format | None = None
    columns: list[str] | None = None
    where: dict[str, Condition] | None = None
    limit: int | None = None
    dev_share: float | None = None
    clean: Cleaning | None = None
    language: str | None = None
    licence: str | None = None
    about: str | None = None

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 1:
            raise ConfigError(f"limit: expected a number of at least 1, got {self.limit}.")
        if self.dev_share is not None and not 0 < self.dev_share < 1:
            raise ConfigError(
                f"dev_share: expected a number between 0 and 1, got {self.dev_share}."
            )
        if self.dev_share is not None and self.dev is not None:
            raise ConfigError("dev_share: has no effect with `dev:`. Drop one of them.")
        if self.datasets is not None and (self.format is not None or self.columns is not None):
            raise ConfigError("format, columns: have no effect with `datasets:`. Drop them.")
        self._filters()

    def load(
        self,
        needs: Mapping[str, Need],
        *,
        base: Path,
        cache: Path,
        seed: int,
        watch_share: float | None = None,
    ) -> Splits:
        """Reads the needed columns of all splits; paths are seen from `base`.

        With `watch_share` so much of train is set apart to be watched.

        The rows drawn for dev and for `limit` depend on the seed and on the rows of train alone.
        Raises DataError, ConfigError.
        """
        notes: list[str] = []
        train = self._read(self.train, needs, base, cache, notes)
        test = None if self.test is None else self._read(self.test, needs, base, cache, notes)
        if self.dev is not None:
            dev = self._read(self.dev, needs, base, cache, notes)
        else:
            train, dev = self._cut(train, needs, seed, notes)
        unlimited = train
        if self.limit is not None:
            notes.append(f"limit: {min(self.limit, len(train))} of {len(train)} train rows.")
            train = sample(train, self.limit, seed)
        watched = None
        if watch_share is not None:
            size = len(train)
            texts = [name for name, need in needs.items() if need.required]
            train, watched = cut_off(
                train, watch_share, "watched", texts=texts, label=None, seed=seed
            )
            notes.append(f"balancing: {len(watched)} of {size} train rows set apart to watch.")
        return Splits(train, unlimited, dev, test, notes, watched)

    def _filters(self) -> list[Filter]:
        return [Filter.of(column, given) for column, given in (self.where or {}).items()]

    def _read(
        self, name: str, needs: Mapping[str, Need], base: Path, cache: Path, notes: list[str]
    ) -> Records:
        filters = self._filters()
        for each in filters:
            need = needs.get(each.column)
            if need is not None and need.type not in (LABEL, TEXT):
                found = f"a task reads it as {need.type.name}"
                raise ConfigError(f"where.{each.column}: filters compare one label a row; {found}.")
        only_filtered = {each.column: Need(LABEL, required=False) for each in filters}
        records = read_records(self._open(name, base), {**only_filtered, **needs}, cache=cache)
        kept = filtered(records, filters)
        if filters:
            notes.append(f"where: {len(kept)} of {len(records)} rows of {records.path} kept.")
        return kept

    def _open(self, name: str, base: Path) -> Source:
        if self.datasets is not None:
            return open_split(self.datasets, name, base=base)
        return open_source(name, base=base, format=self.format, columns=self.columns)

    def _cut(
        self, train: Records, needs: Mapping[str, Need], seed: int, notes: list[str]
    ) -> tuple[Records, Records]:
        label = next((name for name, need in needs.items() if need.type is LABEL), None)
        texts = [name for name, need in needs.items() if need.required]
        share = _DEV_SHARE if self.dev_share is None else self.dev_share
        rest, dev = cut_off(train, share, "dev", texts=texts, label=label, seed=seed)
        manner = "" if label is None else f" in the proportions of '{label}'"
        notes.append(f"dev: {len(dev)} of {len(train)} rows of {train.path} set apart{manner}.")
        return rest, dev

"""A toy experiment: two data sets of 40 rows, three tasks, two views, some labels missing."""

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from safetensors.torch import load_file
from torch import Tensor

from polytask.build import (
    fit_heads,
    load_data,
    make_feeds,
    make_model,
    read_experiment,
    split_records,
)
from polytask.data.tables import default_cache
from polytask.training.folder import RunFolder
from polytask.training.journal import TIME_FIELDS
from polytask.training.loop import Hooks, Loop
from polytask.training.observer import Observer
from polytask.training.run import Trained, train_run

EXPERIMENT = """\
encoder: {kind: scratch, layers: 2, width: 16, attention_heads: 2, vocabulary: 200, max_tokens: 32}
data:
  messages:
    {train: messages.train.jsonl, dev: messages.dev.jsonl, test: messages.test.jsonl,
     language: en, licence: CC0-1.0, about: toy orders}
  reviews: {train: reviews.train.jsonl, dev: reviews.dev.jsonl, test: reviews.test.jsonl}
tasks:
  intent: {kind: classify, data: messages, text: text, label: intent}
  items: {kind: tag, data: messages, words: words, tags: tags}
  stars: {kind: regress, data: reviews, text: text, value: stars}
train: {epochs: 3, batch_tokens: 256, precision: float32, device: cpu}
optimizer: {lr: 0.003, head_lr: 0.01}
"""

_THINGS = ("lamp", "red lamp", "table", "green chair", "clock", "shelf")
_CITIES = ("Oslo", "Rome", "Lima", "Bergen")
_VERBS = {"order": "send me", "refund": "take back", "track": "where is"}
_MOODS = ("awful", "poor", "fair", "good", "superb")


def message(number: int) -> dict[str, object]:
    """A row with an intent (every seventh has none) and BIO tags (every fifth has none)."""
    intent = list(_VERBS)[number % 3]
    thing, city = _THINGS[number % 6].split(), _CITIES[number % 4]
    verb = [*_VERBS[intent].split(), "the"]
    rest = [*["please"] * (number % 5), str(number)]
    words = [*verb, *thing, "in", city, *rest]
    inside = ["B-item", "I-item"][: len(thing)]
    tags = [*["O"] * len(verb), *inside, "O", "B-city", *["O"] * len(rest)]
    row: dict[str, object] = {"text": " ".join(words), "words": words}
    row |= {} if number % 7 == 6 else {"intent": intent}
    return row | ({} if number % 5 == 4 else {"tags": tags})


def review(number: int) -> dict[str, object]:
    """A row with a number of stars (every sixth has none)."""
    mood = number * 7 % 5
    stress = " very" * (number % 3)
    text = f"the {_THINGS[number % 6]} was{stress} {_MOODS[mood]} {number}"
    return {"text": text, **({} if number % 6 == 5 else {"stars": mood + 1.0})}


def write_toy(folder: Path) -> Path:
    """Writes the data and the experiment file; two test texts also stand in train."""
    folder.mkdir(parents=True, exist_ok=True)
    spans = {"train": range(40), "dev": range(41, 53), "test": [*range(58, 68), 1, 2]}
    for name, make in (("messages", message), ("reviews", review)):
        for split, numbers in spans.items():
            write_rows(folder / f"{name}.{split}.jsonl", [make(number) for number in numbers])
    file = folder / "toy.yaml"
    file.write_text(EXPERIMENT, encoding="utf-8")
    return file


def write_rows(file: Path, rows: Sequence[Mapping[str, object]]) -> Path:
    """A JSON Lines file."""
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def read_rows(file: Path) -> list[dict[str, Any]]:
    """The rows of a JSON Lines file."""
    return [json.loads(line) for line in file.read_text(encoding="utf-8").split("\n") if line]


def train_toy(experiment: Path, out: Path, *overrides: str, overwrite: bool = False) -> Trained:
    """Trains without a word."""
    console = Console(file=io.StringIO())
    return train_run(experiment, out, overrides=overrides, overwrite=overwrite, console=console)


def toy_loop(experiment: Path, *overrides: str, observers: Sequence[Observer] = ()) -> Loop:
    """The loop of an experiment, ready to run."""
    found = read_experiment(experiment, overrides)
    data = load_data(found, cache=default_cache())
    fit_heads(found, data, lambda text: None)
    torch.manual_seed(found.train.seed)
    model = make_model(found, data, lambda text: None)
    splits = split_records(data)
    return Loop(
        found,
        model,
        train=make_feeds(found, model, splits["train"], cache=default_cache()),
        dev=make_feeds(found, model, splits["dev"], cache=default_cache()),
        watched=make_feeds(found, model, splits["watched"], cache=default_cache()),
        precision=found.train.precision,
        device=torch.device("cpu"),
        observers=observers,
    )


NO_HOOKS = Hooks(keep_best=lambda results: None, after_step=lambda: False, rollback=lambda: None)
STOP_AFTER_ONE = Hooks(
    keep_best=lambda results: None, after_step=lambda: True, rollback=lambda: None
)


def events(run: Path, event: str | None = None) -> list[dict[str, Any]]:
    """The journal without the fields that differ between runs of a seed."""
    rows = [row for row in read_rows(RunFolder(run).journal) if event in (None, row["event"])]
    return [{key: row[key] for key in row if key not in TIME_FIELDS} for row in rows]


def notes(run: Path) -> list[str]:
    """The plain sentences of the journal."""
    return [row["text"] for row in events(run, "note")]


def best_weights(run: Path) -> dict[str, Tensor]:
    """The weights of the model folder, by file and name."""
    return {
        f"{file.name}:{name}": tensor
        for file in sorted(RunFolder(run).model.glob("*.safetensors"))
        for name, tensor in load_file(file).items()
    }


def bits(weights: Mapping[str, Tensor]) -> dict[str, bytes]:
    """The bytes of each weight: equal only if bitwise equal, nan included."""
    return {name: tensor.detach().cpu().numpy().tobytes() for name, tensor in weights.items()}

"""Comparisons of tasks of which it is known whether sharing helps."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from polytask import api
from polytask.studies.comparison import Comparison
from toys import write_rows

pytestmark = pytest.mark.slow

SEEDS = 5
EXPERIMENT = """\
encoder: {{kind: bilstm, layers: 0, width: {width}, vocabulary: 600, max_tokens: 32}}
data:
  one: {{train: one.train.jsonl, dev: one.dev.jsonl, test: one.test.jsonl}}
  other: {{train: other.train.jsonl, dev: other.dev.jsonl, test: other.test.jsonl}}
tasks:
  one: {{kind: classify, data: one, text: text, label: label}}
  other: {{kind: classify, data: other, text: text, label: label}}
train: {{epochs: {epochs}, batch_tokens: 512, precision: float32, device: cpu, look_every: null}}
optimizer: {{lr: 0.02, head_lr: 0.02}}
"""
KEYS = [f"{a}{b}" for a in ("ka", "lo", "mi", "nu", "pe", "ro", "sa", "te") for b in range(10, 25)]
FILLERS = [f"{a}{b}" for a in "bdfg" for b in ("ada", "elo", "imu", "oni")]


def compared(
    folder: Path, sizes: dict[str, int], label: Callable[[str, str, str], str], **options: int
) -> Comparison:
    """Texts of two key words among fillers; `label` sees the name of the set and both keys."""
    for name, size in sizes.items():
        for split, num in (("train", size), ("dev", 400), ("test", 400)):
            draw = random.Random(f"{name} {split}")  # noqa: S311
            rows = []
            for _ in range(num):
                first, second = draw.choice(KEYS), draw.choice(KEYS)
                words = [*draw.choices(FILLERS, k=draw.randint(2, 6)), f"x{first}", f"y{second}"]
                draw.shuffle(words)
                rows.append({"text": " ".join(words), "label": label(name, first, second)})
            write_rows(folder / f"{name}.{split}.jsonl", rows)
    file = folder / "experiment.yaml"
    file.write_text(EXPERIMENT.format(**options), encoding="utf-8")
    return api.compare(file, seeds=SEEDS, out=folder / "out", console=Console(quiet=True))


def test_two_tasks_with_nothing_in_common_on_two_numbers_are_hurt(tmp_path: Path) -> None:
    found = compared(
        tmp_path,
        {"one": 1200, "other": 1200},
        lambda name, first, second: (first if name == "one" else second)[:2],
        width=2,
        epochs=10,
    )

    assert list(found.verdicts.values()) == ["hurt", "hurt"], found.summary()


def test_a_small_task_beside_a_large_copy_with_other_names_is_helped(tmp_path: Path) -> None:
    found = compared(
        tmp_path,
        {"one": 300, "other": 10_000},
        lambda name, first, second: f"{name} {first[:2]}",
        width=16,
        epochs=3,
    )

    assert found.verdicts["one"] == "helped", found.summary()
    assert found.verdicts["other"] in ("no evidence", "equivalent"), found.summary()


def test_unrelated_tasks_with_enough_data_and_room_are_neither(tmp_path: Path) -> None:
    found = compared(
        tmp_path,
        {"one": 4000, "other": 4000},
        lambda name, first, second: (first if name == "one" else second)[:2],
        width=64,
        epochs=3,
    )

    assert set(found.verdicts.values()) <= {"no evidence", "equivalent"}, found.summary()

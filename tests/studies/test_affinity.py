"""`polytask affinity`: how tasks act on each other while they train together."""

import json
import random
from pathlib import Path

import pytest
from rich.console import Console

from polytask import api
from polytask.errors import ConfigError, RunError
from polytask.studies.affinity import Affinity, affinity_of
from polytask.training.folder import RunFolder
from toys import train_toy, write_rows

QUIET = Console(quiet=True)
WORDS = ["lamp", "table", "chair", "clock", "shelf", "door"]
FILLERS = ["the", "my", "new", "old"]
EXPERIMENT = """\
encoder:
  {kind: scratch, layers: 1, width: 16, attention_heads: 2, vocabulary: 64, max_tokens: 16,
   dropout: 0.0}
data:
  one: {train: one.jsonl, dev: one.jsonl, test: one.jsonl}
  same: {train: same.jsonl, dev: same.jsonl, test: same.jsonl}
  noise: {train: noise.jsonl, dev: noise.jsonl, test: noise.jsonl}
tasks:
  one: {kind: classify, data: one, text: text, label: label, dropout: 0.0}
  same: {kind: classify, data: same, text: text, label: label, dropout: 0.0}
  noise: {kind: classify, data: noise, text: text, label: label, dropout: 0.0}
train: {epochs: 8, batch_tokens: 512, precision: float32, device: cpu}
optimizer: {lr: 0.003, head_lr: 0.01}
"""


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two tasks that ask for the same word, and one whose labels are drawn by chance."""
    folder = tmp_path_factory.mktemp("planted")
    draw = random.Random(0)  # noqa: S311
    for name in ("one", "same", "noise"):
        rows = []
        for _ in range(300):
            thing = draw.choice(WORDS)
            text = " ".join([draw.choice(FILLERS), thing, draw.choice(FILLERS)])
            label = draw.choice(WORDS) if name == "noise" else thing
            rows.append({"text": text, "label": f"{label}!" if name == "same" else label})
        write_rows(folder / f"{name}.jsonl", rows)
    file = folder / "planted.yaml"
    file.write_text(EXPERIMENT, encoding="utf-8")
    return file


def test_tasks_that_are_the_same_help_each_other_more_than_chance_does(
    planted: Path, tmp_path: Path
) -> None:
    found = api.affinity(planted, every=2, out=tmp_path / "out", console=QUIET)

    assert found.tasks == ["noise", "one", "same"]
    assert found.cosines["one", "same"] == found.cosines["same", "one"]
    for one, other in (("one", "same"), ("same", "one")):
        helped, chance = found.ahead[one, other], found.ahead[one, "noise"]
        assert helped.mean - helped.margin > 0
        assert helped.mean > chance.mean + chance.margin
        assert found.ahead[one, one].mean > helped.mean
    assert 0 < found.share < 1
    held = json.loads((tmp_path / "out" / "affinity.json").read_text(encoding="utf-8"))
    assert held["looks"] == found.num_looks
    assert len(held["ahead"]) == len(held["linear"]) == 9
    assert found.linear["same", "one"].mean > found.linear["noise", "one"].mean
    assert Affinity.from_json(json.dumps(held)) == found
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert page.count("<svg") == 3


def test_a_run_without_looks_ahead_has_no_affinity(toy: Path, tmp_path: Path) -> None:
    train_toy(toy, tmp_path / "run", "train.epochs=1")

    with pytest.raises(RunError, match="holds 0 looks ahead, but 2 are needed"):
        affinity_of(RunFolder(tmp_path / "run"))


def test_one_task_alone_acts_on_none(planted: Path, tmp_path: Path) -> None:
    alone = tmp_path / "alone.yaml"
    text = planted.read_text(encoding="utf-8")
    kept = [line for line in text.splitlines() if not line.startswith(("  same:", "  noise:"))]
    alone.write_text("\n".join(kept), encoding="utf-8")

    with pytest.raises(ConfigError, match="there is one alone"):
        api.affinity(alone, out=tmp_path / "out", console=QUIET)

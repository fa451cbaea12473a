"""Tasks of which two are the same and one is chance."""

import random
from pathlib import Path

from toys import write_rows

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


def write_planted(folder: Path) -> Path:
    """Two tasks that ask for the same word, and one whose labels are drawn by chance."""
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

"""Seven tasks on one text: one reading of it serves them all."""

import json
from pathlib import Path

from polytask.api import load, train
from polytask.build import read_experiment

ROWS = [
    {
        "words": ["Printers", "are", "failing"],
        "pos": ["NOUN", "AUX", "VERB"],
        "tags": ["B-device", "O", "O"],
        "lemma": ["printer", "be", "fail"],
        "head": [3, 3, 0],
        "dep": ["nsubj", "aux", "root"],
        "genre": "mail",
        "topics": ["printing"],
        "stars": 2,
    },
    {
        "words": ["Two", "screens", "are", "flickering"],
        "pos": ["NUM", "NOUN", "AUX", "VERB"],
        "tags": ["O", "B-device", "O", "O"],
        "lemma": ["two", "screen", "be", "flicker"],
        "head": [2, 4, 4, 0],
        "dep": ["nummod", "nsubj", "aux", "root"],
        "genre": "chat",
        "topics": [],
        "stars": 1,
    },
    {
        "words": ["屏幕", "坏", "了"],
        "pos": ["NOUN", "VERB", "AUX"],
        "tags": ["B-device", "O", "O"],
        "lemma": ["屏幕", "坏", "了"],
        "head": [2, 0, 2],
        "dep": ["nsubj", "root", "aux"],
        "genre": "chat",
        "topics": ["screen"],
        "stars": 3,
    },
] * 4
EXPERIMENT = """\
encoder: {kind: scratch, layers: 1, width: 16, vocabulary: 128, max_tokens: 32}
data: {texts: {train: rows.jsonl, dev: rows.jsonl}}
tasks:
  pos: {kind: tag, data: texts, words: words, tags: [pos, tags]}
  devices: {kind: spans, data: texts, words: words}
  lemma: {kind: lemma, data: texts, words: words}
  tree: {kind: parse, data: texts, words: words}
  genre: {kind: classify, data: texts, words: words, label: genre}
  topics: {kind: multilabel, data: texts, words: words, labels: topics}
  stars: {kind: regress, data: texts, words: words, value: stars}
train: {max_steps: 2, device: cpu}
"""


def test_many_heads_on_one_text_share_one_pass(tmp_path: Path) -> None:
    text = "".join(json.dumps(row) + "\n" for row in ROWS)
    (tmp_path / "rows.jsonl").write_text(text, encoding="utf-8")
    (tmp_path / "many.yaml").write_text(EXPERIMENT, encoding="utf-8")
    assert list(read_experiment(tmp_path / "many.yaml").tasks_by_feed()) == ["texts"]
    train(tmp_path / "many.yaml", out=tmp_path / "run")
    model = load(tmp_path / "run")
    passes: list[int] = []
    model.model.encoder.register_forward_hook(
        lambda module, args, output: passes.append(len(output))
    )

    answer = model("Printers are 坏了")
    many = model([{"words": row["words"]} for row in ROWS])

    assert passes == [1, len(ROWS)]
    assert list(answer) == ["pos", "devices", "lemma", "tree", "genre", "topics", "stars"]
    assert all(one.keys() == answer.keys() for one in many)

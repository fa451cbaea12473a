"""What `long:` makes of texts above `max_tokens`, from the file to the answer."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from polytask import api
from polytask.build import open_model
from polytask.ship.predictor import Predictor

WORDS = [*"打印机坏了请帮忙", "please", "fix", "the", "printer", "in", "Berlin", "👍🏽", "now"] * 3
ROWS: list[dict[str, object]] = [
    {
        "words": WORDS[:num],
        "text": " ".join(WORDS[:num]),
        "other": "the printer" if num % 2 else "the screen",
        "tags": ["B-city" if word == "Berlin" else "O" for word in WORDS[:num]],
        "lemma": [word.lower() for word in WORDS[:num]],
        "head": [0, *[1] * (num - 1)],
        "dep": ["root", *["dep"] * (num - 1)],
        "genre": "chat" if num % 2 else "mail",
        "stars": num,
        "level": num % 3 + 1,
        "choices": ["the printer", "the screen"],
        "choice": num % 2,
        "e1": {"start": 0, "end": 1},
        "e2": {"start": 2, "end": 3},
    }
    for num in (3, 30, 47, 12, 45, 48)
]
TASKS = """\
  tags: {kind: tag, words: words, tags: tags, decoder: crf%s}
  places: {kind: spans, words: words%s}
  lemma: {kind: lemma, words: words%s}
  tree: {kind: parse, words: words%s}
  genre: {kind: classify, words: words, label: genre, reads: [tags]%s}
  stars: {kind: regress, text: [text, other], value: stars%s}
  level: {kind: ordinal, text: [text, other], label: level%s}
  alike: {kind: classify, text: [text, other], label: genre, pair: towers%s}
  reply: {kind: choose, text: text, candidates: choices, label: choice%s}
  fact: {kind: relate, text: text, spans: [e1, e2], label: genre%s}
"""


def experiment_in(folder: Path, *, max_tokens: int, long: str) -> Path:
    """A file whose encoder looks at each token alone, and all its tasks treat long texts alike."""
    text = "".join(json.dumps(row) + "\n" for row in ROWS)
    (folder / "rows.jsonl").write_text(text, encoding="utf-8")
    tasks = TASKS.replace("%s", f", data: rows, long: {long}")
    file = folder / f"{long}.yaml"
    file.write_text(
        "encoder: {kind: bilstm, layers: 0, width: 16, vocabulary: 200, dropout: 0.0, "
        f"max_tokens: {max_tokens}}}\n"
        f"data: {{rows: {{train: rows.jsonl, dev: rows.jsonl}}}}\ntasks:\n{tasks}"
        "train: {epochs: 12, device: cpu, batch_tokens: 64}\n"
        "optimizer: {lr: 0.05, head_lr: 0.05}\n",
        encoding="utf-8",
    )
    return file


def answers(model: Predictor) -> Sequence[Mapping[str, object]]:
    items = [
        {name: value for name, value in row.items() if name not in ("tags", "lemma", "genre")}
        for row in ROWS
    ]
    return model(items)


def rounded(value: object) -> object:
    """The same with numbers that differ by rounding alone made equal."""
    if isinstance(value, Mapping):
        return {key: rounded(one) for key, one in value.items()}
    if isinstance(value, list):
        return [rounded(one) for one in value]
    return pytest.approx(value, abs=1e-4) if isinstance(value, float) else value


def test_windows_answer_as_one_long_row_where_context_does_not_matter(tmp_path: Path) -> None:
    file = experiment_in(tmp_path, max_tokens=16, long="windows")
    api.train(file, out=tmp_path / "run")
    model = api.load(tmp_path / "run")
    cut = [f"tasks.{task}.long=truncate" for task in model.tasks]
    wide = Predictor(*open_model(tmp_path / "run" / "model", ["encoder.max_tokens=512", *cut]))

    found = answers(model)

    assert found == rounded(list(answers(wide)))
    for row, answer in zip(ROWS, found, strict=True):
        for task, key in (("tags", "tags"), ("lemma", "lemmas"), ("tree", "relations")):
            said = answer[task]
            assert isinstance(said, Mapping)
            assert len(said[key]) == len(row["words"])
            assert None not in said[key]


@pytest.mark.parametrize("long", ["truncate", "head_tail"])
def test_words_that_are_cut_have_no_answer_and_all_others_one(tmp_path: Path, long: str) -> None:
    api.train(experiment_in(tmp_path, max_tokens=16, long=long), out=tmp_path / "run")

    found = answers(api.load(tmp_path / "run"))

    said = found[-1]["tags"]
    assert isinstance(said, Mapping)
    is_there = [tag is not None for tag in said["tags"]]
    assert len(is_there) == 48
    assert is_there[0]
    assert is_there[-1] is (long == "head_tail")
    assert 4 <= sum(is_there) <= 14


def test_vectors_of_long_texts_are_made_as_the_task_says(tmp_path: Path) -> None:
    api.train(experiment_in(tmp_path, max_tokens=16, long="windows"), out=tmp_path / "run")
    model = api.load(tmp_path / "run")
    texts = ["please fix " * 30 + ending for ending in ("printer", "Berlin")]

    cut, read = model.embed(texts), model.embed(texts, task="stars")

    assert (cut[0] == cut[1]).all()
    assert abs(read[0] - read[1]).max() > 1e-4

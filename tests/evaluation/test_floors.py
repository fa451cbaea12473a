"""Simple models of a task: what each kind gives, by hand and on the toy."""

from dataclasses import replace
from pathlib import Path

import pytest

from polytask.build import fit_heads, load_data, read_experiment
from polytask.data.dataset import Splits
from polytask.data.tables import default_cache
from polytask.encoders import Encoder
from polytask.evaluation.floors import Floor, floors
from polytask.tasks import Task
from toys import write_rows, write_toy

ENCODER = "encoder: {kind: scratch, layers: 1, width: 32, attention_heads: 2, vocabulary: 300}\n"


def opened(file: Path) -> tuple[Task, Splits, Encoder]:
    """The first task of an experiment, its data, and an encoder that is not trained."""
    experiment = read_experiment(file)
    data = load_data(experiment, cache=default_cache())
    fit_heads(experiment, data, lambda text: None)
    texts = ["the red green blue lamp table good bad 好 坏 的 灯 书"]
    encoder = experiment.source.create(lambda: iter(texts), base=file.parent, note=print)
    return experiment.tasks[0], data[experiment.tasks[0].data], encoder


def found(folder: Path, task: str, rows: list[dict[str, object]]) -> dict[str, float]:
    """The floors of a task on rows that are train, dev and test alike."""
    write_rows(folder / "rows.jsonl", rows)
    file = folder / "experiment.yaml"
    data = "data:\n  rows: {train: rows.jsonl, dev: rows.jsonl, test: rows.jsonl}\n"
    file.write_text(f"{ENCODER}{data}tasks:\n  task: {task}\n", encoding="utf-8")
    task_of, splits, encoder = opened(file)
    return {one.name: one.score for one in floors(task_of, splits, None, encoder)}


def test_one_label_for_a_text(tmp_path: Path) -> None:
    rows = [{"text": f"{word} lamp", "label": word} for word in ("red", "green", "blue")] * 3

    scores = found(tmp_path, "{kind: classify, data: rows, text: text, label: label}", rows)

    assert scores == {"TF-IDF": 1.0, "untrained encoder": 1.0}


def test_chinese_is_read_by_character(tmp_path: Path) -> None:
    rows = [{"text": f"这个灯很{word}的", "label": word} for word in "好坏"] * 3

    scores = found(tmp_path, "{kind: classify, data: rows, text: text, label: label}", rows)

    assert scores["TF-IDF"] == 1.0


def test_any_number_of_labels_with_thresholds_fitted_to_dev(tmp_path: Path) -> None:
    words = (["red"], ["green"], ["red", "green"], [])
    rows = [{"text": " ".join([*labels, "lamp"]), "labels": labels} for labels in words] * 4

    scores = found(tmp_path, "{kind: multilabel, data: rows, text: text, labels: labels}", rows)

    assert scores["TF-IDF"] == 1.0


def test_numbers_and_levels(tmp_path: Path) -> None:
    words = {"bad": 1.0, "fair": 2.0, "good": 3.0}
    rows = [
        {"text": f"{word} {thing}", "score": value, "level": str(int(value))}
        for word, value in words.items()
        for thing in ("lamp", "table", "book")
    ]

    number = "{kind: regress, data: rows, text: text, value: score}"
    levels = '{kind: ordinal, data: rows, text: text, label: level, levels: ["1", "2", "3"]}'
    assert found(tmp_path, number, rows)["TF-IDF"] > 0.99
    assert found(tmp_path, levels, rows)["TF-IDF"] == 1.0


def test_two_numbers_of_which_one_may_be_missing(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [
        {"text": f"{word} lamp {i}", "one": value, "two": -value if i else None}
        for word, value in (("bad", 1.0), ("good", 3.0))
        for i in range(4)
    ]

    task = "{kind: regress, data: rows, text: text, value: [one, two]}"
    assert found(tmp_path, task, rows)["TF-IDF"] > 0.9


def test_a_pair_is_known_by_its_cosine(tmp_path: Path) -> None:
    texts = ["red lamp", "green table", "blue book", "good bad"]
    rows = [
        {"a": one, "b": other, "score": float(one == other)} for one in texts for other in texts
    ]

    scores = found(tmp_path, "{kind: regress, data: rows, text: [a, b], value: score}", rows)

    assert scores["TF-IDF"] > 0.99
    assert scores["untrained encoder"] > 0.5


def test_the_most_frequent_label_of_each_word(tmp_path: Path) -> None:
    toy = write_toy(tmp_path)
    text = toy.read_text(encoding="utf-8").replace("  intent:", "  late:")
    lines = [line for line in text.splitlines() if not line.startswith(("  late:", "  stars:"))]
    toy.write_text("\n".join(lines), encoding="utf-8")
    train = [["the", "lamp"], ["the", "lamp"], ["lamp", "works"]]
    tags = [["O", "B-thing"], ["O", "B-thing"], ["O", "O"]]
    rows = [{"words": w, "tags": t, "text": "x"} for w, t in zip(train, tags, strict=True)]
    write_rows(tmp_path / "messages.train.jsonl", rows)
    test = [{"words": ["a", "lamp"], "tags": ["O", "B-thing"], "text": "x"}]
    write_rows(tmp_path / "messages.test.jsonl", test)
    write_rows(tmp_path / "messages.dev.jsonl", test)

    task, splits, encoder = opened(toy)

    assert floors(task, splits, None, encoder) == [Floor("most frequent label", 1.0)]


@pytest.mark.parametrize("kind", ["parse, heads: heads, relations: relations", "lemma"])
def test_a_task_that_simple_models_cannot_do_has_none(kind: str, tmp_path: Path) -> None:
    tree = {"heads": [2, 0], "relations": ["det", "root"]}
    rows: list[dict[str, object]] = [{"words": ["lamps", "cups"], "lemma": ["lamp", "cup"], **tree}]
    task = f"{{kind: {kind}, data: rows, words: words}}"

    assert found(tmp_path, task, rows) == {}


def test_texts_without_words_and_a_single_label_are_no_fault(tmp_path: Path) -> None:
    rows = [{"text": text, "label": label} for text, label in (("😀", "a"), ("x", "b"))] * 3
    assert found(tmp_path, "{kind: classify, data: rows, text: text, label: label}", rows)

    rows = [{"text": "a lamp", "labels": ["one"]}, {"text": "a table", "labels": []}] * 3
    task = "{kind: multilabel, data: rows, text: text, labels: labels}"
    assert found(tmp_path, task, rows)["TF-IDF"] == 1.0


def test_numbers_that_never_stand_together_are_learned_apart(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [
        {"text": f"{word} lamp", column: value, other: None}
        for word, value in (("bad", 1.0), ("good", 3.0))
        for column, other in (("one", "two"), ("two", "one"))
    ] * 3
    task = "{kind: regress, data: rows, text: text, value: [one, two]}"

    assert found(tmp_path, task, rows)["TF-IDF"] > 0.9


def test_train_of_one_label_alone_gives_none(tmp_path: Path) -> None:
    rows = [{"text": "x y", "label": label} for label in "ab"] * 3
    found(tmp_path, "{kind: classify, data: rows, text: text, label: label}", rows)
    write_rows(tmp_path / "rare.jsonl", rows[:1])
    file = tmp_path / "experiment.yaml"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("dev: rows", "dev: rare"), encoding="utf-8")
    task, splits, encoder = opened(file)

    assert floors(task, replace(splits, train=splits.dev), None, encoder) == []

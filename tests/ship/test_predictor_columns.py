"""Tasks that read the same columns under other names or in another order."""

import pytest

import polytask
from polytask.ship.predictor import Predictor
from toys import train_toy, write_rows, write_toy


@pytest.fixture(scope="module")
def crossed(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    """Two tasks that read the same two columns in opposite order, and two word columns."""
    folder = tmp_path_factory.mktemp("crossed")
    toy = write_toy(folder)
    rows = [
        {"a": f"lamp {n}", "b": f"is it {n % 5} or more", "same": ["yes", "no"][n % 2]}
        for n in range(20)
    ]
    write_rows(folder / "pairs.jsonl", rows)
    tagged = [{"tokens": ["red", "lamp"], "kinds": ["O", "B-item"]} for _ in range(20)]
    write_rows(folder / "tagged.jsonl", tagged)
    text = toy.read_text(encoding="utf-8").split("tasks:")[0]
    toy.write_text(
        f"{text}  pairs: {{train: pairs.jsonl, dev: pairs.jsonl}}\n"
        "  tagged: {train: tagged.jsonl, dev: tagged.jsonl}\n"
        "tasks:\n"
        "  forth: {kind: classify, data: pairs, text: [a, b], label: same}\n"
        "  back: {kind: classify, data: pairs, text: [b, a], label: same}\n"
        "  items: {kind: tag, data: messages, words: words, tags: tags}\n"
        "  kinds: {kind: tag, data: tagged, words: tokens, tags: kinds}\n"
        "train: {max_steps: 2, precision: float32, device: cpu}\n",
        encoding="utf-8",
    )
    train_toy(toy, folder / "run")
    return polytask.load(folder / "run", "cpu")


def test_a_pair_keeps_its_order_whatever_the_columns_are_called(crossed: Predictor) -> None:
    pair = ("lamp 3", "is it 4 or more")

    both = crossed(pair)

    assert both == {name: crossed(pair, tasks=[name])[name] for name in ("forth", "back")}


def test_a_record_of_columns_is_read_by_each_task_in_its_own_order(crossed: Predictor) -> None:
    first, second = "lamp 3", "is it 4 or more"

    both = crossed({"a": first, "b": second})

    assert both["forth"] == crossed((first, second), tasks=["forth"])["forth"]
    assert both["back"] == crossed((second, first), tasks=["back"])["back"]


def test_one_text_is_split_for_tasks_with_other_names_of_the_words(crossed: Predictor) -> None:
    answer = crossed("the red lamp")

    assert [answer[name]["words"] for name in ("items", "kinds")] == [["the", "red", "lamp"]] * 2

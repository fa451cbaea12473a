"""A trained model that answers: the same as was scored, from one pass a text."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest
import torch

import polytask
from polytask.data import feed
from polytask.data.cleaning import Cleaning
from polytask.data.records import Record
from polytask.data.tokeniser import Tokeniser, TokenRow
from polytask.data.views import View
from polytask.errors import ConfigError, DataError, RunError
from polytask.ship.items import Item
from polytask.ship.predictor import Answer, Predictor, in_chunks
from toys import read_rows, train_toy, write_rows, write_toy


@pytest.fixture(scope="module")
def model(toy_run: Path) -> Predictor:
    return polytask.load(toy_run)


@pytest.fixture(scope="module")
def paired(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    """A model with one task that reads one text and one that reads a pair."""
    folder = tmp_path_factory.mktemp("paired")
    toy = write_toy(folder)
    rows = [
        {"text": f"the lamp {n}", "question": f"is it {n % 5}", "same": ["yes", "no"][n % 2]}
        for n in range(20)
    ]
    write_rows(folder / "pairs.jsonl", rows)
    text = toy.read_text(encoding="utf-8").split("tasks:")[0]
    toy.write_text(
        f"{text}  pairs: {{train: pairs.jsonl, dev: pairs.jsonl}}\n"
        "tasks:\n"
        "  intent: {kind: classify, data: messages, text: text, label: intent}\n"
        "  same: {kind: classify, data: pairs, text: [text, question], label: same}\n"
        "train: {max_steps: 1, precision: float32, device: cpu}\n",
        encoding="utf-8",
    )
    train_toy(toy, folder / "run")
    return polytask.load(folder / "run")


def words_of(answer: Answer) -> list[str]:
    return cast(list[str], answer["items"]["words"])


@contextmanager
def counted_passes(model: Predictor) -> Iterator[list[int]]:
    """The number of encoder rows of each forward of the encoder."""
    passes: list[int] = []
    hook = model.model.encoder.register_forward_hook(
        lambda module, args, output: passes.append(len(output))
    )
    try:
        yield passes
    finally:
        hook.remove()


def test_reloaded_answers_equal_the_evaluated_ones_exactly(toy: Path, toy_run: Path) -> None:
    model = polytask.load(toy_run, "cpu")
    for name, tasks in (("messages", ["intent", "items"]), ("reviews", ["stars"])):
        rows = read_rows(toy.parent / f"{name}.test.jsonl")

        answers = model(rows, tasks=tasks)

        for task in tasks:
            scored = read_rows(toy_run / "predictions" / f"test.{task}.jsonl")
            expected = [{k: v for k, v in row.items() if k != "where"} for row in scored]
            assert [json.loads(json.dumps(answer[task])) for answer in answers] == expected


def test_one_text_is_answered_for_every_task_from_one_pass(model: Predictor) -> None:
    with counted_passes(model) as passes:
        answer = model("send me the red lamp in Oslo")

    assert list(answer) == ["intent", "items", "stars"]
    assert passes == [1]
    assert set(answer["intent"]) == {"label", "probability"}
    assert answer["items"]["words"] == ["send", "me", "the", "red", "lamp", "in", "Oslo"]


def test_a_list_is_answered_in_order_from_one_pass(model: Predictor) -> None:
    texts = ["a clock please in Rome and one more", "send me", "where is the table in Lima"]

    with counted_passes(model) as passes:
        answers = model(texts)

    assert passes == [3]
    assert [" ".join(words_of(answer)) for answer in answers] == texts
    for text, answer in zip(texts, answers, strict=True):
        alone = model(text)
        assert alone["intent"]["label"] == answer["intent"]["label"]
        assert alone["stars"]["value"] == pytest.approx(answer["stars"]["value"], abs=1e-4)


def test_an_empty_list_is_answered_with_an_empty_list(model: Predictor) -> None:
    assert model([]) == []


def test_only_the_tasks_asked_for_are_answered(model: Predictor) -> None:
    assert set(model("send me the lamp", tasks=["stars"])) == {"stars"}


def test_words_are_taken_as_they_are_by_the_tasks_that_read_words(model: Predictor) -> None:
    answer = model({"words": ["red lamp", "Oslo"]})

    assert set(answer) == {"items"}
    assert answer["items"]["words"] == ["red lamp", "Oslo"]


def test_a_row_of_the_data_is_read_under_its_column_names(toy: Path, model: Predictor) -> None:
    row = read_rows(toy.parent / "messages.test.jsonl")[0]

    assert model(row)["items"]["words"] == row["words"]


def test_pairs_go_to_the_tasks_that_read_pairs(paired: Predictor) -> None:
    assert set(paired(("the lamp", "is it 3"))) == {"same"}
    assert set(paired("the lamp")) == {"intent"}
    assert [set(one) for one in paired(["a", ("a", "b"), "c"])] == [
        {"intent"},
        {"same"},
        {"intent"},
    ]


@pytest.mark.parametrize("name", ["intent", "same"])
def test_a_task_that_cannot_read_the_item_says_what_it_reads(paired: Predictor, name: str) -> None:
    item = ("a", "b") if name == "intent" else "a"

    with pytest.raises(DataError) as caught:
        paired([item], tasks=[name])

    assert (
        str(caught.value)
        == {
            "intent": "item 1: task intent reads one text, not a pair of texts",
            "same": "item 1: task same reads a pair of texts, not one text",
        }[name]
    )


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ("", "item 2: the text is empty"),
        ("  ", "item 2: the text is empty"),
        (("a", "b"), "item 2: no task reads a pair of texts"),
        (("a", "b", "c"), "item 2: no task reads 3 texts"),
        ({"title": "a"}, "item 2: no task reads a record with title"),
        ({}, "item 2: no task reads a record with no keys"),
        ({"text": 3}, "item 2: expected text or a list of words, got the number 3"),
        ({"text": None}, "item 2: expected text or a list of words, got null"),
        (
            {"words": ["a", 3]},
            "item 2: the list of words: item 2: expected text, got the number 3",
        ),
        ({"words": []}, "item 2: the list of words: is empty"),
        ({"text": "a\0"}, "item 2: the text holds a NUL character at position 2"),
        ("\ud800", "item 2: the text holds half a surrogate pair: \\ud800"),
        (
            {"words": ["a", "\ud800"]},
            "item 2: the list of words: item 2: holds half a surrogate pair: \\ud800",
        ),
    ],
)
def test_an_item_that_cannot_be_read_is_named(model: Predictor, item: Item, message: str) -> None:
    with pytest.raises(DataError) as caught:
        model(["fine", item])

    assert str(caught.value) == message


def test_a_list_of_words_for_a_task_of_raw_text_is_refused(model: Predictor) -> None:
    with pytest.raises(DataError) as caught:
        model({"words": ["a", "b"]}, tasks=["intent"])

    assert str(caught.value) == "item 1: task intent reads text, not a list of words"


def test_an_unknown_task_is_refused_with_the_nearest(model: Predictor) -> None:
    with pytest.raises(DataError) as caught:
        model("a", tasks=["intnet"])

    assert str(caught.value) == (
        "no task 'intnet'. Did you mean 'intent'? Known: intent, items, stars."
    )


def test_a_run_folder_and_its_model_folder_give_the_same_model(toy_run: Path) -> None:
    text = "where is the shelf in Bergen"

    assert polytask.load(toy_run)(text) == polytask.load(str(toy_run / "model"))(text)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunError) as caught:
        polytask.load(tmp_path / "nothing")

    assert str(caught.value) == f"{tmp_path / 'nothing'}: no such folder"


def test_a_run_without_a_model_yet_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{}", encoding="utf-8")

    with pytest.raises(RunError) as caught:
        polytask.load(tmp_path)

    assert str(caught.value) == (
        f"{tmp_path}: this run has no model yet. Go on with: polytask train"
    )


def test_spans_point_into_the_users_text_with_cleaning_on_and_off(
    toy: Path, tmp_path: Path
) -> None:
    strong = ("train.epochs=12", "optimizer.lr=0.01", "train.select=items")
    text = "send me the ｒｅｄ <b>lamp</b> in   Oslo please"
    for name, options in (
        ("off", ()),
        ("on", ("data.messages.clean={full_width: true, html: true}",)),
    ):
        train_toy(toy, tmp_path / name, *strong, *options)

        answer: dict[str, Any] = polytask.load(tmp_path / name)(text)["items"]

        assert answer["spans"] != []
        for span in answer["spans"]:
            assert text[span["start"] : span["end"]] == span["text"]
    assert "ｒｅｄ" in " ".join(answer["words"])


def test_a_chinese_text_without_spaces_is_answered(model: Predictor) -> None:
    answer = model("请把红色台灯送到上海😀")

    assert "".join(words_of(answer)) == "请把红色台灯送到上海😀"


def test_a_text_longer_than_the_encoder_is_answered(model: Predictor) -> None:
    answer = model("lamp " * 500)

    tags = cast(list[str | None], answer["items"]["tags"])
    assert len(tags) == 500
    assert tags[-1] is None


def test_the_model_moves_to_a_device(toy_run: Path) -> None:
    moved = polytask.load(toy_run).to("cpu")

    assert next(moved.model.parameters()).device == torch.device("cpu")
    assert moved.tasks == ["intent", "items", "stars"]


def test_a_device_that_is_not_there_is_named(toy_run: Path) -> None:
    with pytest.raises(ConfigError, match=r"^device: cannot use 'abacus': "):
        polytask.load(toy_run, "abacus")  # type: ignore[arg-type]


def test_a_generator_is_answered_as_a_list_is(model: Predictor) -> None:
    texts = ["send me the lamp", "where is the table"]

    assert model(text for text in texts) == model(texts)


def test_a_list_inside_a_list_is_no_item(model: Predictor) -> None:
    with pytest.raises(DataError) as caught:
        model([["a", "b"]])  # type: ignore[list-item]

    assert str(caught.value) == ("item 1: expected a text, a pair of texts or a record, got a list")


def test_tasks_of_one_view_are_tokenised_once(
    model: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    views: list[str] = []
    make = feed.token_rows

    def counted(
        records: Sequence[Record], view: View, tokeniser: Tokeniser, cleaning: Cleaning | None
    ) -> Iterator[list[TokenRow]]:
        views.append(view.name)
        return make(records, view, tokeniser, cleaning)

    monkeypatch.setattr(feed, "token_rows", counted)

    assert set(model("send me the lamp")) == {"intent", "items", "stars"}
    assert views == ["words", "text"]


def test_chunks_hold_at_most_so_many_items() -> None:
    assert [len(chunk) for chunk in in_chunks(["a"] * 5, 2)] == [2, 2, 1]

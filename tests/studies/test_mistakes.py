"""`polytask mistakes`: what is wrong with answers, and with gold labels."""

import json
import sys
from pathlib import Path

import pytest
from rich.console import Console

from polytask import api
from polytask.evaluation.mistakes import MOST
from toys import message, train_toy, write_rows, write_toy

# By place in dev, each in place of the label that follows from its text.
WRONG = {10: "order", 22: "refund", 30: "order", 40: "order", 50: "track", 60: "track"}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose dev has labels that are plainly wrong."""
    folder = tmp_path_factory.mktemp("mistakes")
    toy = write_toy(folder / "toy")
    rows = [message(number) for number in range(300)]
    write_rows(folder / "toy" / "messages.train.jsonl", rows)
    dev = [message(number) for number in range(301, 401)]
    for place, label in WRONG.items():
        dev[place] = {**dev[place], "intent": label}
    write_rows(folder / "toy" / "messages.dev.jsonl", dev)
    train_toy(toy, folder / "run", "train.epochs=6")
    return folder / "run"


def test_every_task_is_looked_at_and_the_file_holds_it_all(run: Path) -> None:
    found = api.mistakes(run)

    assert list(found.tasks) == ["intent", "items", "stars"]
    held = json.loads(found.file.read_text(encoding="utf-8"))
    assert held.keys() == found.tasks.keys()
    assert held["items"]["metric"] == "entity_f1"
    assert held["stars"]["surest"] == []  # it states no probability


def test_scores_by_length_cover_all_rows(run: Path) -> None:
    intent = api.mistakes(run, split="dev").tasks["intent"]

    for groups in intent.groups.values():
        assert sum(group.count for group in groups) == intent.count
    mean = sum(group.count * group.score for group in intent.groups["words in the text"])
    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))["dev"]["intent"]
    assert mean / intent.count == pytest.approx(metrics["metrics"]["accuracy"])
    assert sum(map(sum, intent.histogram)) == intent.count


def test_wrong_gold_labels_are_found_and_are_sure_mistakes(run: Path) -> None:
    intent = api.mistakes(run, split="dev").tasks["intent"]

    assert intent.label_errors is not None
    wrong = {str(place + 1) for place in WRONG}
    for some in (intent.label_errors, intent.surest, intent.worst[: len(WRONG)]):
        assert {one.where.rpartition(":")[2] for one in some} == wrong
    assert intent.surest[0].gold != intent.surest[0].answer
    assert len(intent.surest) <= MOST
    assert sum(num for _, _, num in intent.confusions) == len(intent.surest)


def test_without_cleanlab_everything_else_is_told(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "cleanlab", None)
    monkeypatch.setitem(sys.modules, "cleanlab.filter", None)

    found = api.mistakes(run)
    found.show(Console(width=200))

    assert found.tasks["intent"].label_errors is None
    assert "pip install 'polytask[labels]'" in capsys.readouterr().out

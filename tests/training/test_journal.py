"""The journal, and trackers by their own libraries."""

import json
import math
import sys
from pathlib import Path

import pytest

from polytask.config.options import Tracker
from polytask.errors import MissingExtra
from polytask.training.journal import Journal
from polytask.training.observer import StepReport
from polytask.training.trackers import open_tracker
from toys import events, notes, train_toy


def report(step: int, loss: float, *, tokens: int = 30) -> StepReport:
    return StepReport(
        step=step,
        num_steps=9,
        epoch=1,
        losses={"intent": loss},
        weights={"intent": 1.0},
        counts={"intent": 4},
        learning_rate=0.1,
        gradient_norms={"encoder": loss},
        num_examples=4,
        num_tokens=tokens,
        num_padded=40,
        seconds=0.25,
    )


def lines(file: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").split("\n") if line]


def test_a_number_that_is_not_finite_is_written_as_null(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    journal.step(report(1, math.nan))
    journal.close()

    assert lines(tmp_path / "journal.jsonl") == [
        {
            "event": "step",
            "step": 1,
            "epoch": 1,
            "losses": {"intent": None},
            "weights": {"intent": 1.0},
            "counts": {"intent": 4},
            "learning_rate": 0.1,
            "gradient_norms": {"encoder": None},
            "examples": 4,
            "tokens": 30,
            "padded_tokens": 40,
            "seconds": 0.25,
        }
    ]


def test_a_journal_that_is_cut_forgets_what_came_after_and_what_it_counted(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    journal.note("a note with a line separator \u2028 in it")
    journal.step(report(1, 0.5))
    position = journal.position
    journal.step(report(2, 0.5, tokens=10))
    journal.close()

    resumed = Journal(tmp_path / "journal.jsonl")
    resumed.cut(position)
    resumed.step(report(2, 0.5, tokens=40))
    resumed.close()

    assert [line.get("tokens") for line in lines(tmp_path / "journal.jsonl")] == [None, 30, 40]
    assert resumed.padding == pytest.approx(1 - 70 / 80)


def test_the_journal_of_a_run_tells_sizes_losses_scores_and_the_end(toy_run: Path) -> None:
    steps = events(toy_run, "step")

    assert [step["step"] for step in steps] == list(range(1, len(steps) + 1))
    # 120 records an epoch, 3 epochs
    assert sum(step["examples"] for step in steps) == 360
    assert all(step["padded_tokens"] <= 256 for step in steps)
    assert [e["epoch"] for e in events(toy_run, "evaluation")] == [1, 2, 3]
    assert events(toy_run)[-1]["event"] == "end"
    assert any("Feed reviews, read by stars: 40 train records" in str(n) for n in notes(toy_run))


def test_a_label_missing_in_train_counts_for_no_task(toy_run: Path) -> None:
    steps = events(toy_run, "step")

    # every seventh of the 40 messages has no intent: 35; every sixth of the 40 reviews no stars: 34
    intents = sum(step["counts"].get("intent", 0) for step in steps)
    stars = sum(step["counts"].get("stars", 0) for step in steps)
    assert (intents, stars) == (3 * 35, 3 * 34)


def test_tensorboard_gets_an_event_file_with_the_curves_of_every_task(
    toy: Path, tmp_path: Path
) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train_toy(toy, tmp_path / "run", "train.epochs=1", "train.trackers=[tensorboard]")

    written = EventAccumulator(str(tmp_path / "run" / "tensorboard")).Reload()
    curves = written.Tags()["scalars"]
    assert {"loss/intent", "weight/intent", "learning_rate", "dev/items/entity_f1"} <= set(curves)
    losses = [
        s["losses"]["stars"] for s in events(tmp_path / "run", "step") if "stars" in s["losses"]
    ]
    assert [e.value for e in written.Scalars("loss/stars")] == pytest.approx(losses)


@pytest.mark.parametrize("name", ["tensorboard", "wandb", "mlflow"])
def test_a_tracker_whose_library_is_missing_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: Tracker
) -> None:
    monkeypatch.setitem(sys.modules, name, None)

    with pytest.raises(MissingExtra) as caught:
        open_tracker(name, tmp_path, {})

    assert str(caught.value) == (f"{name} is not installed. Run: pip install 'polytask[{name}]'")

"""The journal, and trackers by their own libraries."""

import json
import math
import sys
from pathlib import Path

import pytest

from polytask.config.options import Tracker
from polytask.errors import MissingExtra, RunError
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


def test_a_journal_that_is_shorter_than_the_place_to_cut_says_so(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    journal.note("first")
    size = journal.position

    journal.cut(size + 50)
    journal.close()

    assert [line["text"] for line in lines(tmp_path / "journal.jsonl")] == [
        "first",
        "The journal is shorter than it was: 50 bytes are lost.",
    ]


def test_a_last_line_that_is_torn_is_dropped(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    journal.step(report(1, 0.5))
    journal.close()
    with (tmp_path / "journal.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"event": "st')

    resumed = Journal(tmp_path / "journal.jsonl")
    resumed.cut(10_000)
    resumed.close()

    assert [line["event"] for line in lines(tmp_path / "journal.jsonl")] == ["step", "note"]
    assert resumed.padding == pytest.approx(1 - 30 / 40)


def test_a_line_that_is_damaged_is_named(tmp_path: Path) -> None:
    (tmp_path / "journal.jsonl").write_bytes(b"\0\0\0\n")
    journal = Journal(tmp_path / "journal.jsonl")

    with pytest.raises(RunError) as caught:
        journal.cut(4)
    journal.close()

    assert str(caught.value) == (
        f"{tmp_path / 'journal.jsonl'}: is damaged: Expecting value: line 1 column 1 (char 0). "
        "Remove the file to go on without it."
    )


def test_a_full_disk_stops_the_journal_with_a_sentence() -> None:
    journal = Journal(Path("/dev/full"))

    with pytest.raises(RunError) as caught:
        journal.note("a")
    with pytest.raises(RunError):
        journal.close()

    assert str(caught.value) == (
        "/dev/full: cannot be written: No space left on device. Make room and run the same "
        "command again."
    )


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


def test_wandb_and_mlflow_write_into_the_run_folder_without_a_server(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("wandb")
    pytest.importorskip("mlflow")
    monkeypatch.setenv("WANDB_MODE", "offline")
    for name in ("MLFLOW_ALLOW_FILE_STORE", "MLFLOW_TRACKING_URI"):
        monkeypatch.setenv(name, "")  # so that it is put back
        monkeypatch.delenv(name)

    for run in ("other", "run"):
        train_toy(toy, tmp_path / run, "train.max_steps=2", "train.trackers=[wandb,mlflow]")

    [curve] = (tmp_path / "run" / "mlruns").glob("*/*/metrics/learning_rate")
    assert len(curve.read_text(encoding="utf-8").splitlines()) == 2
    assert len(list((tmp_path / "run" / "wandb").glob("offline-run-*/*.wandb"))) == 1


def test_a_tracker_that_does_not_start_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "nowhere://at.all")

    with pytest.raises(RunError, match=r"^the tracker mlflow does not start: "):
        open_tracker("mlflow", tmp_path, {})


@pytest.mark.parametrize("name", ["tensorboard", "wandb", "mlflow"])
def test_a_tracker_whose_library_is_missing_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: Tracker
) -> None:
    monkeypatch.setitem(sys.modules, name, None)

    with pytest.raises(MissingExtra) as caught:
        open_tracker(name, tmp_path, {})

    assert str(caught.value) == (f"{name} is not installed. Run: pip install 'polytask[{name}]'")

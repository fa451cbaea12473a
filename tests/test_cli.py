"""Every command: what it prints, where, and its exit code."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import polytask
from commands import Command, command_in
from polytask.heads import HEADS
from toys import read_rows, write_rows


@pytest.fixture
def command(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> Command:
    """Runs a command in an empty folder, with a terminal of 120 columns."""
    return command_in(tmp_path, monkeypatch, capfd)


def test_train_says_where_to_go_next_and_exits_with_0(toy: Path, command: Command) -> None:
    done = command("train", toy, "--set", "train.epochs=1", "--set", "train.max_steps=2")

    assert done.code == 0
    assert done.out.startswith("Trained 2 steps in ")
    assert done.out.endswith(
        "the best model is that of step 2. Scores on test: polytask evaluate runs/toy\n"
    )
    assert Path("runs/toy/README.md").is_file()
    assert "epoch 1 dev: intent accuracy " in done.err


def test_train_on_a_finished_run_is_a_fault_of_the_users(
    toy_run: Path, toy: Path, command: Command
) -> None:
    done = command("train", toy, "--out", toy_run)

    assert (done.code, done.out) == (2, "")
    assert done.err == (
        f"{toy_run}: this run is finished. Use another --out, or --overwrite to train anew.\n"
    )


def test_train_with_overwrite_trains_anew(toy_run: Path, toy: Path, command: Command) -> None:
    shutil.copytree(toy_run, "copy")

    done = command("train", toy, "--out", "copy", "--overwrite", "--set", "train.max_steps=1")

    assert done.code == 0
    assert done.out.startswith("Trained 1 steps in ")


def test_a_fault_in_the_experiment_is_one_line_with_its_place(toy: Path, command: Command) -> None:
    file = toy.parent / "fault.yaml"
    file.write_text(toy.read_text(encoding="utf-8").replace("kind: tag", "kind: tagg"), "utf-8")

    done = command("train", file)

    assert (done.code, done.out) == (2, "")
    assert done.err == (
        f"{file}:9: tasks.items.kind: unknown kind 'tagg'. "
        f"Did you mean 'tag'? Known: {', '.join(sorted(HEADS))}.\n"
    )


def test_an_experiment_that_is_not_there_is_a_fault_of_the_users(command: Command) -> None:
    done = command("check", "nothing.yaml")

    assert done.code == 2
    assert done.err.startswith("nothing.yaml: ")
    assert "Traceback" not in done.err


@pytest.mark.parametrize("arguments", [["trian"], ["train"], ["evaluate", "a", "--split", "dev2"]])
def test_a_wrong_command_line_exits_with_2(command: Command, arguments: list[str]) -> None:
    done = command(*arguments)

    assert (done.code, done.out) == (2, "")
    assert "Usage: " in done.err


def test_evaluate_prints_every_class_and_every_task(toy_run: Path, command: Command) -> None:
    done = command("evaluate", toy_run)

    assert (done.code, done.err) == (0, "")
    for word in (
        "refund",
        "city",
        "accuracy",
        "entity_f1",
        "pearson",
        "Scores on test",
        "not in train",
    ):
        assert word in done.out


def test_evaluate_of_dev_says_so(toy_run: Path, command: Command, tmp_path: Path) -> None:
    shutil.copytree(toy_run, tmp_path / "copy")

    done = command("evaluate", "copy", "--split", "dev")

    assert "Scores on dev" in done.out


def test_evaluate_as_json_prints_what_the_metrics_file_holds_of_the_split(
    toy_run: Path, command: Command
) -> None:
    done = command("evaluate", toy_run, "--json")

    metrics = json.loads((toy_run / "metrics.json").read_text(encoding="utf-8"))
    assert json.loads(done.out) == {"test": metrics["test"]}


def test_evaluate_of_another_file_by_an_override(
    toy: Path, toy_run: Path, command: Command, tmp_path: Path
) -> None:
    shutil.copytree(toy_run, tmp_path / "copy")
    rows = read_rows(toy.parent / "reviews.test.jsonl")[:3]
    write_rows(tmp_path / "few.jsonl", rows)

    done = command("evaluate", "copy", "--json", "--set", f"data.reviews.test={tmp_path}/few.jsonl")

    assert json.loads(done.out)["test"]["stars"]["records"] == sum("stars" in row for row in rows)


def test_evaluate_of_a_folder_that_is_no_run(command: Command, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()

    assert command("evaluate", "none").err == "none: no such folder\n"
    assert command("evaluate", "empty").err == (
        "empty: no model folder in it, so not a run that was trained\n"
    )


@pytest.mark.parametrize("arguments", [["train", "a.yaml"], ["quickstart"]])
def test_a_stopped_training_says_how_to_go_on(
    command: Command, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    def stopped(*arguments: object, **options: object) -> None:
        raise polytask.Interrupted("Stopped at step 2 of 9.")

    monkeypatch.setattr("polytask.api.train", stopped)
    monkeypatch.setattr("polytask.api.samples.train", stopped)

    done = command(*arguments)

    assert (done.code, done.out) == (130, "")
    assert done.err == (
        "Stopped at step 2 of 9. The state is saved: "
        "run the same command, without --overwrite, to go on.\n"
    )


def test_check_prints_a_table_a_task_and_the_warnings(toy: Path, command: Command) -> None:
    done = command("check", toy)

    assert done.code == 0
    for word in ("intent", "items", "stars", "texts also in train", "stars 34"):
        assert word in done.out
    assert "Warning: task stars, test: 2 texts also stand in the training data of reviews." in (
        done.out
    )


def test_schema_prints_the_json_schema_of_an_experiment_file(command: Command) -> None:
    done = command("schema")

    assert json.loads(done.out) == polytask.schema()


def test_info_tells_versions_and_devices(command: Command) -> None:
    plain, as_json = command("info"), command("info", "--json")

    assert plain.code == as_json.code == 0
    assert "python: 3." in plain.out
    assert json.loads(as_json.out)["packages"]["polytask"] == "0.1.0"


def test_version_prints_the_version(command: Command) -> None:
    assert command("--version").out == "0.1.0\n"


def test_quickstart_trains_the_sample_and_says_what_to_try(
    toy: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("polytask.api.samples.sample", lambda: toy)

    done = command("quickstart", "--out", "first")

    assert done.code == 0
    assert "Scores on test" in done.out
    assert "polytask predict first" in done.out


def test_ctrl_c_outside_training_exits_with_130_and_no_traceback(
    toy: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("polytask.api.check", interrupted)

    done = command("check", toy)

    assert (done.code, done.err) == (130, "")


def test_the_module_runs_as_the_command_does(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "polytask", "predict", "none", "a text"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )

    assert (done.returncode, done.stdout, done.stderr) == (2, "", "none: no such folder\n")

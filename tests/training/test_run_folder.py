"""A run folder through overwriting, faults and new models: no good is lost, nothing stale stays."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from polytask.errors import DataError, RunError, TrainingError
from polytask.training.folder import RunFolder
from polytask.training.random import random_state
from polytask.training.results import read_metrics
from polytask.training.state import restore_weights, take_snapshot
from toys import STOP_AFTER_ONE, bits, notes, toy_loop, train_toy

SHORT = ("train.batch_tokens=192", "train.accumulate=2", "train.epochs=2")


def content(folder: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def spoil_loss(monkeypatch: pytest.MonkeyPatch, call: int) -> None:
    own = nn.functional.cross_entropy
    calls = [0]

    def cross_entropy(logits: Tensor, target: Tensor, **options: Any) -> Tensor:
        calls[0] += 1
        loss = own(logits, target, **options)
        return loss * float("nan") if calls[0] >= call else loss

    monkeypatch.setattr("torch.nn.functional.cross_entropy", cross_entropy)


def test_overwriting_with_data_that_cannot_be_read_keeps_the_earlier_run(
    toy: Path, tmp_path: Path
) -> None:
    train_toy(toy, tmp_path / "run", "train.max_steps=1")
    before = content(tmp_path / "run")

    with pytest.raises(DataError):
        train_toy(toy, tmp_path / "run", "data.reviews.train=typo.jsonl", overwrite=True)

    assert content(tmp_path / "run") == before
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_overwriting_leaves_nothing_beside_the_new_run(toy: Path, tmp_path: Path) -> None:
    train_toy(toy, tmp_path / "run", "train.max_steps=1")

    train_toy(toy, tmp_path / "run", "train.max_steps=2", overwrite=True)

    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_run_put_aside_by_a_process_that_was_killed_comes_back(toy: Path, tmp_path: Path) -> None:
    train_toy(toy, tmp_path / "run", "train.max_steps=1")
    before = content(tmp_path / "run")
    RunFolder(tmp_path / "run").claim({}, overwrite=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".earlier-run", "run"]

    with pytest.raises(RunError, match="this run is finished"):
        train_toy(toy, tmp_path / "run", "train.max_steps=1")

    assert content(tmp_path / "run") == before


def test_the_current_folder_is_not_overwritten(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_toy(toy, tmp_path / "run", "train.max_steps=1")
    monkeypatch.chdir(tmp_path / "run")

    with pytest.raises(RunError) as caught:
        train_toy(toy, Path(), overwrite=True)

    assert str(caught.value) == ".: cannot be put aside: it is the current folder"


def test_a_model_that_a_kill_left_between_two_renames_comes_back(toy: Path, tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    run.claim({"a": 1}, overwrite=False)
    (run.path / ".old-model-77").mkdir()

    assert run.claim({"a": 1}, overwrite=False)
    assert run.model.is_dir()


def test_a_full_disk_that_refuses_the_status_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, *rest: object, **options: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", refuse)
    run = tmp_path / "run"

    with pytest.raises(RunError) as caught:
        RunFolder(run).claim({}, overwrite=False)

    assert str(caught.value) == (
        f"{run / 'run.json'}: cannot be written: No space left on device. Make room and run the "
        "same command again."
    )
    monkeypatch.undo()
    assert RunFolder(run).claim({}, overwrite=False) is False


def test_scores_on_test_of_a_model_that_was_replaced_are_forgotten(
    toy: Path, toy_run: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(toy_run, run)
    shutil.rmtree(run / "checkpoints")
    status = (run / "run.json").read_text(encoding="utf-8")
    (run / "run.json").write_text(status.replace('"finished"', '"unfinished"', 1))
    assert list(read_metrics(RunFolder(run))) == ["dev", "test"]

    train_toy(toy, run)

    assert list(content(run / "predictions")) == [
        "dev.intent.jsonl",
        "dev.items.jsonl",
        "dev.stars.jsonl",
    ]
    assert list(read_metrics(RunFolder(run))) == ["dev"]


def test_a_checkpoint_is_saved_after_each_evaluation_but_the_last(
    toy: Path, tmp_path: Path
) -> None:
    train_toy(toy, tmp_path / "run", *SHORT)  # 4 steps an epoch

    assert [path.name for path in (tmp_path / "run" / "checkpoints").iterdir()] == [
        "step-000000004"
    ]


def test_training_that_fails_leaves_the_state_before_the_step_that_failed(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_toy(toy, tmp_path / "whole", *SHORT)
    with monkeypatch.context() as spoiled:
        spoil_loss(spoiled, 8)
        with pytest.raises(TrainingError, match=r"^step \d: ") as caught:
            train_toy(toy, tmp_path / "run", *SHORT)
    step = int(str(caught.value)[5]) - 1
    assert step > 0

    train_toy(toy, tmp_path / "run", *SHORT)

    told = notes(tmp_path / "run")
    at = told.index(str(caught.value))
    assert told[at + 1] == f"Going on from step {step}."
    models = [content(tmp_path / name / "model") for name in ("run", "whole")]
    assert models[0] == models[1]


def test_rollback_before_any_checkpoint_goes_back_to_the_first_weights(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil_loss(monkeypatch, 1)

    with pytest.raises(TrainingError):
        train_toy(toy, tmp_path / "run", *SHORT, "train.on_nan=rollback", "train.max_skipped=1")

    assert "Rolled back to the weights of step 0." in notes(tmp_path / "run")


def test_rollback_takes_back_the_optimizer_of_weights_it_had_not_seen(toy: Path) -> None:
    loop = toy_loop(toy)
    first = take_snapshot(loop, {})
    weights = bits({name: tensor.clone() for name, tensor in first.tensors["model"].items()})
    kept = replace(first, tensors={**first.tensors, "model": clone(first.tensors["model"])})
    loop.run(STOP_AFTER_ONE)
    assert loop.optimizer.state

    restore_weights(loop, kept)

    assert not loop.optimizer.state
    assert bits(take_snapshot(loop, {}).tensors["model"]) == weights


def clone(tensors: Any) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in tensors.items()}


def test_a_checkpoint_without_a_weight_of_the_model_is_refused(toy: Path) -> None:
    loop = toy_loop(toy)
    snapshot = take_snapshot(loop, {})
    model = clone(snapshot.tensors["model"])
    model["more"] = model.pop("heads.stars-head.project.bias")

    with pytest.raises(RunError) as caught:
        restore_weights(loop, replace(snapshot, tensors={**snapshot.tensors, "model": model}))

    assert str(caught.value) == (
        "the checkpoint of step 0 is not of this model: heads.stars-head.project.bias is missing, "
        "more is unknown. Use another --out, or --overwrite to train anew."
    )


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_its_generator_is_kept_too() -> None:
    assert set(random_state(torch.device("cpu"))) == {"torch"}
    assert set(random_state(torch.device("cuda"))) == {"torch", "cuda"}


def test_a_kill_before_anything_was_written_leaves_a_folder_to_start_in(
    toy: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    out.mkdir()
    (out / ".staged-run.json-77").write_text('{"status"', encoding="utf-8")

    train_toy(toy, out, "train.max_steps=1")

    assert not list(out.glob(".staged-*"))

"""The same seed gives the same run, also when it was stopped on the way."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file
from torch import Tensor, nn

from polytask.balancing import (
    BALANCERS,
    Balancer,
    GradientBalancer,
    GramianWeighting,
    Passes,
)
from polytask.errors import DiskError, Interrupted, RunError, TrainingError
from steps import REQUIRED, balancing
from toys import best_weights, bits, events, notes, train_toy

FINE = ("train.batch_tokens=192", "train.accumulate=2", "train.epochs=2")


@pytest.fixture(scope="module")
def whole(toy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing stopped."""
    out = tmp_path_factory.mktemp("whole") / "run"
    train_toy(toy, out, *FINE)
    return out


@pytest.fixture
def at_step(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Does something in the middle of one step of training, once."""

    def plan(step: int, action: Callable[[], None], kind: str = "static") -> None:
        owner = type(balancing(kind))
        if issubclass(owner, GramianWeighting):
            owner = GradientBalancer
        own = owner.backward
        done = [0]

        def backward(self: Balancer, passes: Passes) -> dict[str, float]:
            done[0] += 1
            if done[0] == step:
                action()
            return own(self, passes)

        monkeypatch.setattr(owner, "backward", backward)

    return plan


def stop() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def crash() -> None:
    raise MemoryError("out of memory")


def before_the_end(run: Path) -> list[str]:
    """The notes but for those on calibration, with which a run ends."""
    return [text for text in notes(run) if not text.startswith("Probabilities of")]


def without_notes(run: Path) -> list[dict[str, object]]:
    return [event for event in events(run) if event["event"] != "note"]


def test_the_same_seed_gives_the_same_weights_and_the_same_journal(
    toy: Path, whole: Path, tmp_path: Path
) -> None:
    train_toy(toy, tmp_path / "again", *FINE)

    assert bits(best_weights(tmp_path / "again")) == bits(best_weights(whole))
    assert events(tmp_path / "again") == events(whole)


def test_another_seed_gives_another_model(toy: Path, whole: Path, tmp_path: Path) -> None:
    train_toy(toy, tmp_path / "other", *FINE, "train.seed=8")

    assert bits(best_weights(tmp_path / "other")) != bits(best_weights(whole))


@pytest.mark.parametrize("step", [1, 2, 4, 5, 8])
def test_a_run_stopped_after_any_step_ends_as_if_it_had_not_been(
    toy: Path,
    whole: Path,
    tmp_path: Path,
    at_step: Callable[..., None],
    step: int,
) -> None:
    assert [e["step"] for e in events(whole, "evaluation")] == [
        4,
        8,
    ]  # 4: end of an epoch, 8: of all
    at_step(step, stop)
    out = tmp_path / "run"

    with pytest.raises(Interrupted, match=rf"^Stopped at step {step} of 8\.$"):
        train_toy(toy, out, *FINE)
    trained = train_toy(toy, out, *FINE)

    assert (trained.num_steps, trained.best_step) == (8, events(whole, "end")[0]["best_step"])
    assert bits(best_weights(out)) == bits(best_weights(whole))
    assert without_notes(out) == without_notes(whole)
    assert before_the_end(out) == [*before_the_end(whole), f"Going on from step {step}."]
    assert notes(out)[-1] == notes(whole)[-1]
    assert (out / "metrics.json").read_bytes() == (whole / "metrics.json").read_bytes()


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        *((kind, {}) for kind in BALANCERS),
        *(("pcgrad", {"gradients": way}) for way in ("exact", "probe", "sketch")),
    ],
)
def test_a_stopped_run_goes_on_with_what_its_balancer_had_learned(
    toy: Path,
    tmp_path: Path,
    at_step: Callable[..., None],
    kind: str,
    options: dict[str, str],
) -> None:
    given = json.dumps({"kind": kind, **REQUIRED.get(kind, {}), **options})
    overrides = (*FINE, f"balancing={given}")
    train_toy(toy, tmp_path / "whole", *overrides)
    at_step(6, stop, kind)
    with pytest.raises(Interrupted):
        train_toy(toy, tmp_path / "run", *overrides)

    train_toy(toy, tmp_path / "run", *overrides)

    assert without_notes(tmp_path / "run") == without_notes(tmp_path / "whole")
    assert bits(best_weights(tmp_path / "run")) == bits(best_weights(tmp_path / "whole"))


@pytest.mark.parametrize(
    "mixing",
    [
        "{kind: exp3, rounds: 3}",
        "{kind: gap, single: {intent: 1.0, stars: 0.1}, floor: 0.5}",
        "{kind: schedule, rounds: 2, points: [{at: 0.0, shares: {reviews: 1}}, "
        "{at: 1.0, shares: {messages/text: 1, messages/words: 1}}]}",
        "{kind: unimax, oversample: {intent: 1.0}}",
    ],
)
@pytest.mark.parametrize("step", [2, 5, 6])
def test_a_stopped_run_goes_on_with_what_its_mixer_had_learned(
    toy: Path,
    tmp_path: Path,
    at_step: Callable[..., None],
    mixing: str,
    step: int,
) -> None:
    options = (*FINE, f"mixing={mixing}")
    train_toy(toy, tmp_path / "whole", *options)
    at_step(step, stop)
    with pytest.raises(Interrupted):
        train_toy(toy, tmp_path / "run", *options)

    train_toy(toy, tmp_path / "run", *options)

    assert without_notes(tmp_path / "run") == without_notes(tmp_path / "whole")
    assert bits(best_weights(tmp_path / "run")) == bits(best_weights(tmp_path / "whole"))
    seen = [event["seen"] for event in events(tmp_path / "run", "evaluation")]
    assert all(sum(seen[0].values()) > 0 and seen[1][name] >= seen[0][name] for name in seen[0])


def test_max_steps_reached_by_a_stopped_run_are_still_scored(
    toy: Path, tmp_path: Path, at_step: Callable[..., None]
) -> None:
    train_toy(toy, tmp_path / "whole", *FINE, "train.max_steps=3")
    at_step(3, stop)
    with pytest.raises(Interrupted):
        train_toy(toy, tmp_path / "run", *FINE, "train.max_steps=3")

    train_toy(toy, tmp_path / "run", *FINE, "train.max_steps=3")

    assert bits(best_weights(tmp_path / "run")) == bits(best_weights(tmp_path / "whole"))


def test_a_crash_goes_on_from_the_newest_checkpoint_and_forgets_what_came_after(
    toy: Path, whole: Path, tmp_path: Path, at_step: Callable[..., None]
) -> None:
    every_two = (*FINE, "checkpoints.every_steps=2")
    at_step(6, crash)
    with pytest.raises(MemoryError):
        train_toy(toy, tmp_path / "run", *every_two)
    assert [e["step"] for e in events(tmp_path / "run", "step")] == [1, 2, 3, 4, 5]

    train_toy(toy, tmp_path / "run", *every_two)

    assert before_the_end(tmp_path / "run")[-1] == "Going on from step 4."
    assert without_notes(tmp_path / "run") == without_notes(whole)
    assert bits(best_weights(tmp_path / "run")) == bits(best_weights(whole))


def test_a_crash_before_any_checkpoint_starts_anew(
    toy: Path, whole: Path, tmp_path: Path, at_step: Callable[..., None]
) -> None:
    at_step(2, crash)
    with pytest.raises(MemoryError):
        train_toy(toy, tmp_path / "run", *FINE)

    train_toy(toy, tmp_path / "run", *FINE)

    assert without_notes(tmp_path / "run") == without_notes(whole)
    assert notes(tmp_path / "run") == notes(whole)


def test_a_damaged_checkpoint_is_passed_over_and_the_journal_says_why(
    toy: Path, whole: Path, tmp_path: Path, at_step: Callable[..., None]
) -> None:
    every_two = (*FINE, "checkpoints.every_steps=2")
    at_step(6, crash)
    with pytest.raises(MemoryError):
        train_toy(toy, tmp_path / "run", *every_two)
    damaged = tmp_path / "run" / "checkpoints" / "step-000000004" / "model.safetensors"
    content = bytearray(damaged.read_bytes())
    content[-1] ^= 1
    damaged.write_bytes(content)

    train_toy(toy, tmp_path / "run", *every_two)

    assert before_the_end(tmp_path / "run")[-2:] == [
        "step-000000004 is not used: model.safetensors is damaged.",
        "Going on from step 2.",
    ]
    assert bits(best_weights(tmp_path / "run")) == bits(best_weights(whole))


def test_training_that_diverges_stops_with_the_last_good_state_kept(
    toy: Path, tmp_path: Path
) -> None:
    with pytest.raises(TrainingError, match=r"^step \d+: .* not finite") as caught:
        train_toy(toy, tmp_path / "run", *FINE, "optimizer.lr=1.0e+37", "checkpoints.every_steps=1")

    last = events(tmp_path / "run", "step")[-1]
    kept = max((tmp_path / "run" / "checkpoints").iterdir())
    assert kept.name == f"step-{last['step']:09d}"
    assert all(bool(t.isfinite().all()) for t in load_file(kept / "model.safetensors").values())
    assert notes(tmp_path / "run")[-1] == str(caught.value)


def test_rollback_takes_back_the_weights_of_the_newest_checkpoint(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = nn.functional.cross_entropy
    calls = [0]

    def cross_entropy(logits: Tensor, target: Tensor, **options: Any) -> Tensor:
        calls[0] += 1
        loss = own(logits, target, **options)
        return loss * float("nan") if calls[0] == 12 else loss

    monkeypatch.setattr("torch.nn.functional.cross_entropy", cross_entropy)

    options = (*FINE, "train.on_nan=rollback", "train.look_every=null")
    train_toy(toy, tmp_path / "run", *options, "checkpoints.every_steps=1")

    bad = [e for e in events(tmp_path / "run", "step") if None in e["losses"].values()]
    assert len(bad) == 1
    said = [text for text in notes(tmp_path / "run") if "skipped" in text or "Rolled" in text]
    assert said[0].startswith(f"step {bad[0]['step']}: ")
    assert said[1:] == [f"Rolled back to the weights of step {bad[0]['step'] - 1}."]


def test_a_finished_run_is_not_trained_again(toy: Path, whole: Path) -> None:
    with pytest.raises(RunError) as caught:
        train_toy(toy, whole, *FINE)

    assert str(caught.value) == (
        f"{whole}: this run is finished. Use another --out, or --overwrite to train anew."
    )


def test_overwrite_trains_anew(toy: Path, tmp_path: Path) -> None:
    short = (*FINE, "train.max_steps=1")
    train_toy(toy, tmp_path / "run", *short)
    (tmp_path / "run" / "left").touch()

    trained = train_toy(toy, tmp_path / "run", *short, overwrite=True)

    assert trained.num_steps == 1
    assert not (tmp_path / "run" / "left").exists()


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_of_something_else_is_left_alone(
    toy: Path, tmp_path: Path, overwrite: bool
) -> None:
    (tmp_path / "thesis.txt").write_text("three years of work", encoding="utf-8")

    with pytest.raises(RunError) as caught:
        train_toy(toy, tmp_path, overwrite=overwrite)

    assert str(caught.value) == (
        f"{tmp_path}: is not empty and not a run folder. Use another --out."
    )
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.txt"]


def test_an_unfinished_run_of_another_experiment_is_refused_with_what_differs(
    toy: Path, tmp_path: Path, at_step: Callable[..., None]
) -> None:
    at_step(1, stop)
    with pytest.raises(Interrupted):
        train_toy(toy, tmp_path / "run", *FINE)

    with pytest.raises(RunError) as caught:
        train_toy(toy, tmp_path / "run", *FINE, "train.seed=8", "optimizer.lr=0.01")

    assert str(caught.value) == (
        f"{tmp_path / 'run'}: holds an unfinished run of another experiment (differs in "
        "train.seed, optimizer.lr). Use another --out, or --overwrite to train anew."
    )


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGUSR1"])
def test_a_signal_saves_the_state_and_says_how_to_go_on(
    name: str, toy: Path, whole: Path, tmp_path: Path
) -> None:
    options = [part for option in FINE for part in ("--set", option)]
    command = [
        sys.executable,
        "-c",
        _STOPPING.replace("SIGTERM", name),
        "train",
        str(toy),
        "--out",
        "run",
        *options,
    ]

    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert done.returncode == 130
    assert done.stderr.splitlines()[-1] == (
        "Stopped at step 3 of 8. The state is saved: "
        "run the same command, without --overwrite, to go on."
    )
    train_toy(toy, tmp_path / "run", *FINE)
    assert bits(best_weights(tmp_path / "run")) == bits(best_weights(whole))


_STOPPING = """
import os, signal, torch
from polytask.balancing.static import Static
from polytask.cli import main
torch.set_num_threads(1)
own, done = Static.backward, [0]
def backward(self, passes):
    done[0] += 1
    if done[0] == 3:
        os.kill(os.getpid(), signal.SIGTERM)
    return own(self, passes)
Static.backward = backward
main()
"""


@pytest.mark.parametrize("how", ["removed", "moved"])
def test_a_run_folder_that_vanishes_is_told_at_the_next_step(
    toy: Path, tmp_path: Path, at_step: Callable[..., None], how: str
) -> None:
    out = tmp_path / "run"

    def vanish() -> None:
        if how == "removed":
            shutil.rmtree(out)
        else:
            out.rename(tmp_path / "elsewhere")

    at_step(3, vanish)
    with pytest.raises(DiskError, match=r"journal\.jsonl: cannot be written: No such file"):
        train_toy(toy, out, *FINE)

    assert not out.exists()


def test_a_disk_that_refuses_is_exit_code_74(toy: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    command = ["train", str(toy), "--out", str(tmp_path / "file" / "run")]

    done = subprocess.run(
        [sys.executable, "-m", "polytask", *command], capture_output=True, text=True, check=False
    )

    assert done.returncode == 74, done.stderr
    assert done.stderr.splitlines()[-1].endswith("run: cannot be written: Not a directory")

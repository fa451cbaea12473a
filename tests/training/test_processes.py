"""Two processes train what one trains."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from together import CASES, DROPOUT_OFF
from toys import best_weights, events, notes, write_toy

pytest.importorskip("accelerate")
TESTS = Path(__file__).parent.parent


def launch(command: list[str], num: int, folder: Path, **more: str) -> list[subprocess.Popen[str]]:
    """The processes that a launcher would start."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    shared = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")]),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "WORLD_SIZE": str(num),
        "OMP_NUM_THREADS": "1",
        **more,
    }
    return [
        subprocess.Popen(
            [sys.executable, *command],
            env={**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            cwd=folder,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        for rank in range(num)
    ]


def finish(processes: list[subprocess.Popen[str]]) -> list[tuple[int, str]]:
    """Exit codes and what was printed."""
    try:
        printed = [process.communicate(timeout=300)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
    return [(process.returncode, text) for process, text in zip(processes, printed, strict=True)]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Mapping[int, Path]:
    """Weights of every case after ten steps, by number of processes."""
    folder = tmp_path_factory.mktemp("together")
    toy = write_toy(folder)
    outs = {num: folder / str(num) for num in (1, 2)}
    for num, out in outs.items():
        out.mkdir()
        for code, printed in finish(
            launch([str(TESTS / "together.py"), str(toy), str(out)], num, folder)
        ):
            assert code == 0, printed
    return outs


@pytest.mark.parametrize("case", CASES)
def test_two_processes_come_to_the_weights_and_scores_of_one(
    trained: Mapping[int, Path], case: str
) -> None:
    one, two = (load_file(out / f"{case}.safetensors") for out in trained.values())

    assert one.keys() == two.keys()
    most = 1e-6 if "famo" in case else 1e-8  # the first falls, nearly alike, are divided by theirs
    for name, weight in one.items():
        torch.testing.assert_close(two[name], weight, atol=most, rtol=0, msg=f"{name}")


def train(toy: Path, out: Path, num: int, *overrides: str, **more: str) -> list[tuple[int, str]]:
    options = [word for override in overrides for word in ("--set", override)]
    command = ["-m", "polytask", "train", str(toy), "--out", str(out), *options]
    return finish(launch(command, num, toy.parent, **more))


@pytest.mark.parametrize("spread", ["false", "true"])
def test_a_run_of_two_processes_is_like_that_of_one(toy: Path, tmp_path: Path, spread: str) -> None:
    fsdp = {"ACCELERATE_USE_FSDP": spread, "FSDP_VERSION": "2"}

    [alone] = train(toy, tmp_path / "one", 1, *DROPOUT_OFF)
    together = train(toy, tmp_path / "two", 2, *DROPOUT_OFF, **fsdp)

    assert [alone[0], *(code for code, _ in together)] == [0, 0, 0], together
    one, two = (events(tmp_path / name, "step") for name in ("one", "two"))
    assert len(one) == len(two)
    for step, other in zip(one, two, strict=True):
        assert other["counts"] == step["counts"]
        assert other["examples"] == step["examples"]
        assert other["losses"] == pytest.approx(step["losses"], rel=1e-2)
    assert best_weights(tmp_path / "two").keys() == best_weights(tmp_path / "one").keys()
    for name, weight in best_weights(tmp_path / "one").items():
        torch.testing.assert_close(best_weights(tmp_path / "two")[name], weight, atol=1e-3, rtol=0)
    scores = [json.loads((tmp_path / name / "metrics.json").read_text()) for name in ("one", "two")]
    assert scores[0]["dev"].keys() == scores[1]["dev"].keys()
    assert "Trained" in together[0][1]
    assert together[1][1].strip() == ""


def test_a_run_of_two_processes_that_is_stopped_goes_on(toy: Path, tmp_path: Path) -> None:
    out, options = tmp_path / "run", ("train.epochs=60", "checkpoints.every_steps=5")
    options = tuple(word for option in options for word in ("--set", option))
    command = ["-m", "polytask", "train", str(toy), "--out", str(out), *options]
    running = launch(command, 2, tmp_path)
    while not list(out.glob("checkpoints/step-*")):
        assert running[0].poll() is None, running[0].communicate()
        time.sleep(0.05)
    running[1].send_signal(signal.SIGTERM)

    stopped = finish(running)
    ended = finish(launch(command, 2, tmp_path))

    assert [code for code, _ in stopped] == [130, 130], stopped
    assert [code for code, _ in ended] == [0, 0], ended
    assert any(text.startswith("Going on from step") for text in notes(out))
    assert [event["step"] for event in events(out, "step")] == [
        *range(1, len(events(out, "step")) + 1)
    ]


def test_a_fault_of_the_users_is_told_once(toy: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "mine.txt").write_text("mine", encoding="utf-8")

    found = train(toy, tmp_path / "run", 2)

    assert [code for code, _ in found] == [2, 2], found
    assert "not a run folder" in found[0][1]
    assert found[1][1].strip() == ""


def test_methods_of_gradients_are_refused_where_weights_are_spread(
    toy: Path, tmp_path: Path
) -> None:
    fsdp = {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2"}

    found = train(toy, tmp_path / "run", 2, "balancing.kind=upgrad", **fsdp)

    assert [code for code, _ in found] == [2, 2], found
    assert "need whole gradients" in found[0][1]
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("spread", ["false", "true"])
def test_a_loss_that_is_not_finite_stops_all(toy: Path, tmp_path: Path, spread: str) -> None:
    fsdp = {"ACCELERATE_USE_FSDP": spread, "FSDP_VERSION": "2"}

    found = train(
        toy, tmp_path / "run", 2, "optimizer.lr=1.0e+30", "optimizer.max_norm=null", **fsdp
    )

    assert [code for code, _ in found] == [2, 2], found
    assert "not finite" in found[0][1]


def test_a_tracker_that_is_missing_stops_all(toy: Path, tmp_path: Path) -> None:
    found = train(toy, tmp_path / "run", 2, "train.trackers=[wandb]")

    assert [code for code, _ in found] == [2, 2], found
    assert "wandb is not installed" in found[0][1]
    assert found[1][1].strip() == ""


def test_other_commands_are_refused_under_a_launcher(tmp_path: Path) -> None:
    found = finish(launch(["-m", "polytask", "info"], 2, tmp_path))

    assert [code for code, _ in found] == [2, 2], found
    assert "Only `polytask train`" in found[0][1]

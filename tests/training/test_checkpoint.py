"""Checkpoints are whole or not there."""

import random
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from polytask.errors import RunError
from polytask.training.checkpoint import Snapshot, newest_checkpoint, save_checkpoint, write_synced
from toys import train_toy

CPU = torch.device("cpu")


def snapshot(step: int, size: int = 3) -> Snapshot:
    tensors: dict[str, Tensor] = {"w": torch.full((size,), float(step))}
    return Snapshot(step, {"model": tensors, "random": {"torch": torch.ones(2)}}, {"journal": 9})


@pytest.fixture
def full_disk() -> Iterator[None]:
    """No file may grow beyond 100 kB, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_checkpoint_gives_back_what_was_saved(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "checkpoints", snapshot(5), keep=2)

    found, skipped = newest_checkpoint(tmp_path / "checkpoints", CPU)

    assert found is not None
    assert (found.step, found.values, skipped) == (5, {"journal": 9}, [])
    assert found.tensors["model"]["w"].tolist() == [5.0, 5.0, 5.0]
    assert found.tensors["random"]["torch"].tolist() == [1.0, 1.0]


def test_the_newest_few_are_kept(tmp_path: Path) -> None:
    for step in (2, 9, 10, 11):
        save_checkpoint(tmp_path, snapshot(step), keep=2)

    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-000000010", "step-000000011"]


def damage(checkpoint: Path) -> None:
    weights = checkpoint / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4])


def test_behind_a_damaged_newer_checkpoint_the_one_just_written_is_kept(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, snapshot(2), keep=2)
    damage(save_checkpoint(tmp_path, snapshot(8), keep=2))
    newest_checkpoint(tmp_path, CPU)

    save_checkpoint(tmp_path, snapshot(3), keep=1)

    assert [path.name for path in tmp_path.iterdir()] == ["step-000000003"]


def test_a_damaged_checkpoint_does_not_count_as_one_that_is_kept(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, snapshot(2), keep=2)
    damage(save_checkpoint(tmp_path, snapshot(4), keep=2))
    newest_checkpoint(tmp_path, CPU)

    save_checkpoint(tmp_path, snapshot(6), keep=2)

    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-000000002", "step-000000006"]


def test_a_later_step_of_a_course_that_was_left_does_not_outrank(tmp_path: Path) -> None:
    for step in (2, 8, 3):
        save_checkpoint(tmp_path, snapshot(step), keep=3)

    found, _ = newest_checkpoint(tmp_path, CPU)

    assert found is not None
    assert found.step == 3


def test_a_checkpoint_that_a_kill_left_between_two_renames_comes_back(tmp_path: Path) -> None:
    final = save_checkpoint(tmp_path, snapshot(5), keep=2)
    final.rename(tmp_path / ".old-step-000000005-77")

    found, _ = newest_checkpoint(tmp_path, CPU)

    assert found is not None
    assert found.step == 5
    assert [path.name for path in tmp_path.iterdir()] == ["step-000000005"]


def test_an_older_folder_goes_if_its_successor_is_there(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, snapshot(5), keep=2)
    (tmp_path / ".old-step-000000005-77").mkdir()

    newest_checkpoint(tmp_path, CPU)

    assert [path.name for path in tmp_path.iterdir()] == ["step-000000005"]


def test_without_any_checkpoint_there_is_none(tmp_path: Path) -> None:
    assert newest_checkpoint(tmp_path / "checkpoints", CPU) == (None, [])


def test_the_same_step_saved_twice_is_the_later_one(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, snapshot(5), keep=2)
    save_checkpoint(tmp_path, Snapshot(5, {"model": {"w": torch.zeros(1)}}, {}), keep=2)

    found, _ = newest_checkpoint(tmp_path, CPU)

    assert found is not None
    assert found.tensors["model"]["w"].tolist() == [0.0]
    assert [path.name for path in tmp_path.iterdir()] == ["step-000000005"]


@pytest.mark.parametrize("fault", ["cut", "missing", "no manifest", "not JSON"])
def test_a_damaged_checkpoint_is_not_used_whatever_the_damage(tmp_path: Path, fault: str) -> None:
    save_checkpoint(tmp_path, snapshot(1), keep=2)
    newest = save_checkpoint(tmp_path, snapshot(2), keep=2)
    weights, manifest = newest / "model.safetensors", newest / "manifest.json"
    match fault:
        case "cut":
            weights.write_bytes(weights.read_bytes()[:-4])
        case "missing":
            weights.unlink()
        case "no manifest":
            manifest.unlink()
        case "not JSON":
            manifest.write_text("[1, 2", encoding="utf-8")

    found, skipped = newest_checkpoint(tmp_path, CPU)

    assert found is not None
    assert found.step == 1
    assert len(skipped) == 1
    assert skipped[0].startswith("step-000000002 is not used: ")


def mutated(newest: Path, draw: random.Random) -> str:
    """Damages one file of a checkpoint and says how."""
    file = draw.choice(sorted(newest.iterdir()))
    content = file.read_bytes()
    match draw.choice(["cut", "flip", "delete", "grow", "swap"]):
        case "cut":
            file.write_bytes(content[: draw.randrange(len(content))])
            return f"{file.name} cut"
        case "flip":
            place = draw.randrange(len(content))
            other = bytes([content[place] ^ (1 << draw.randrange(8))])
            file.write_bytes(content[:place] + other + content[place + 1 :])
            return f"{file.name} flipped at {place}"
        case "delete":
            file.unlink()
            return f"{file.name} deleted"
        case "grow":
            file.write_bytes(content + draw.randbytes(3))
            return f"{file.name} grown"
        case _:
            file.write_bytes(draw.choice(sorted(newest.parent.rglob("*.safetensors"))).read_bytes())
            return f"{file.name} swapped"


def test_two_hundred_damages_step_back_to_the_checkpoint_before(tmp_path: Path) -> None:
    draw = random.Random(1)  # noqa: S311
    num_used = 0
    for place in range(200):
        folder = tmp_path / str(place)
        folder.mkdir()
        save_checkpoint(folder, snapshot(1), keep=2)
        newest = save_checkpoint(folder, snapshot(2), keep=2)
        before = {file.name: file.read_bytes() for file in newest.iterdir()}
        how = mutated(newest, draw)
        is_same = before == {file.name: file.read_bytes() for file in newest.iterdir()}

        found, skipped = newest_checkpoint(folder, CPU)

        assert found is not None, how
        if found.step == 2:
            num_used += 1  # a swap with itself, or a change of the manifest that means the same
            values = (found.tensors["model"]["w"].tolist(), found.values)
            expected = snapshot(2)
            assert values == (expected.tensors["model"]["w"].tolist(), expected.values), how
            assert is_same or "manifest" in how, how
        else:
            assert found.step == 1, how
            assert len(skipped) == 1, how
            assert skipped[0].startswith("step-000000002 is not used: "), how
    assert num_used < 20


def test_a_full_disk_leaves_no_half_checkpoint_and_the_earlier_ones_whole(
    tmp_path: Path, full_disk: None
) -> None:
    save_checkpoint(tmp_path, snapshot(1), keep=2)

    with pytest.raises(RunError) as caught:
        save_checkpoint(tmp_path, snapshot(2, size=100_000), keep=2)

    assert str(caught.value).startswith(f"{tmp_path}: cannot save a checkpoint: ")
    assert str(caught.value).endswith(" Earlier ones are whole.")
    assert [path.name for path in tmp_path.iterdir()] == ["step-000000001"]
    found, skipped = newest_checkpoint(tmp_path, CPU)
    assert found is not None
    assert (found.step, skipped) == (1, [])


def test_a_full_disk_keeps_the_earlier_model_and_says_what_to_do(
    toy: Path, tmp_path: Path, full_disk: None
) -> None:
    with pytest.raises(RunError) as caught:
        train_toy(toy, tmp_path / "run", "encoder.width=64")

    assert str(caught.value).startswith(f"{tmp_path / 'run'}: cannot save the model: ")
    assert str(caught.value).endswith(". Make room and run the same command again to go on.")
    assert not (tmp_path / "run" / "model").exists()


def test_a_rename_that_fails_leaves_no_half_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, target: Path) -> Path:
        raise OSError(5, "Input/output error")

    save_checkpoint(tmp_path, snapshot(1), keep=2)
    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(RunError, match="cannot save a checkpoint"):
        save_checkpoint(tmp_path, snapshot(2), keep=2)

    assert [path.name for path in tmp_path.iterdir()] == ["step-000000001"]


def test_what_a_killed_process_left_behind_is_cleared(tmp_path: Path) -> None:
    (tmp_path / ".staged-step-000000003-77").mkdir()
    (tmp_path / ".staged-step-000000003-77" / "model.safetensors").write_bytes(b"half")

    assert newest_checkpoint(tmp_path, CPU) == (None, [])
    assert list(tmp_path.iterdir()) == []


def test_a_text_file_that_cannot_be_written_keeps_its_old_content(
    tmp_path: Path, full_disk: None
) -> None:
    file = tmp_path / "metrics.json"
    write_synced(file, "old")

    with pytest.raises(OSError, match="too large"):
        write_synced(file, "x" * 200_000)

    assert file.read_text(encoding="utf-8") == "old\n"

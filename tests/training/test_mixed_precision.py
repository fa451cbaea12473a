"""fp16: gradients too small for it, and too large, and what is kept of it in a checkpoint."""

from pathlib import Path

import pytest
import torch
from torch import nn

from polytask.balancing import GradientBalancer
from polytask.balancing.upgrad import UPGrad
from polytask.training import mixed_precision
from polytask.training.loop import Loop
from polytask.training.mixed_precision import MixedPrecision
from steps import one_step, setting
from toys import STOP_AFTER_ONE, best_weights, bits, events, notes, toy_loop, train_toy

CPU = torch.device("cpu")
FP16 = "train.precision=fp16"
PLAIN = ("encoder.dropout=0", "train.look_every=1", "train.batch_tokens=4096")
BALANCED = [
    ("balancing.kind=static",),
    ("balancing.kind=uncertainty",),
    ("balancing.kind=famo",),
    ("balancing.kind=upgrad", "balancing.gradients=exact"),
    ("balancing.kind=upgrad", "balancing.gradients=stale"),
    ("balancing.kind=upgrad", "balancing.gradients=probe"),
    ("balancing.kind=upgrad", "balancing.gradients=probe", "balancing.space=shared"),
    ("balancing.kind=gradnorm", "balancing.gradients=sketch"),
]


def after_one_step(loop: Loop) -> Loop:
    """Trained for a step, its gradients still there."""
    loop.optimizer.zero_grad = lambda set_to_none=True: None  # type: ignore[method-assign]
    loop.run(STOP_AFTER_ONE)
    return loop


def gradients(loop: Loop) -> torch.Tensor:
    """All of them, one after the other."""
    found = [p.grad for p in after_one_step(loop).model.parameters() if p.grad is not None]
    return torch.cat([one.reshape(-1).double() for one in found])


@pytest.mark.parametrize("options", BALANCED, ids="-".join)
def test_gradients_are_those_of_float32_but_for_rounding(
    toy: Path, options: tuple[str, ...]
) -> None:
    expected = gradients(toy_loop(toy, *PLAIN, *options))
    found = gradients(toy_loop(toy, *PLAIN, *options, FP16))
    assert float((found - expected).norm() / expected.norm()) < 0.02


@pytest.mark.parametrize(("first", "is_seen"), [(2.0**16, True), (1.0, False)])
def test_small_gradients_need_the_scale(
    toy: Path, first: float, is_seen: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mixed_precision, "_FIRST", first)
    tiny = [f"balancing.weights.{task}=1.0e-7" for task in ("intent", "items", "stars")]
    clipped = "optimizer.max_norm=null"
    expected = gradients(toy_loop(toy, *PLAIN, *tiny, clipped))
    found = gradients(toy_loop(toy, *PLAIN, *tiny, clipped, FP16))
    error = float((found - expected).norm() / expected.norm())
    assert (error < 0.02) is is_seen


def test_a_step_that_overflows_is_skipped_with_half_the_scale(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mixed_precision, "_FIRST", 2.0**27)
    loop = toy_loop(toy, *PLAIN, FP16)
    before = bits(loop.model.state_dict())
    loop.run(STOP_AFTER_ONE)
    assert bits(loop.model.state_dict()) == before
    assert (loop.mixed.scale, loop.position.step, loop.position.num_skipped) == (2.0**26, 1, 0)

    train_toy(toy, tmp_path / "run", FP16)
    told = [text for text in notes(tmp_path / "run") if "too large for fp16" in text]
    steps = events(tmp_path / "run", "step")
    assert 2 <= len(told) < len(steps)
    assert told[0].startswith("step 1: ")
    assert told[0].endswith("losses are scaled by 6.71089e+07 from here.")
    assert steps[-1]["losses"]["intent"] < steps[0]["losses"]["intent"]


def test_a_loss_that_is_not_finite_is_no_overflow() -> None:
    mixed = MixedPrecision("fp16", CPU, [])
    assert not mixed.lower({"intent": float("nan")})
    assert mixed.lower({"intent": 1.0})
    while mixed.scale > 1:
        assert mixed.lower({"intent": 1.0})
    assert not mixed.lower({"intent": 1.0})
    assert not MixedPrecision("bf16", CPU, []).lower({"intent": 1.0})


def test_the_scale_grows_after_steps_without_overflow() -> None:
    mixed = MixedPrecision("fp16", CPU, [])
    for _ in range(1999):
        mixed.keep()
    mixed.lower({})
    for _ in range(1999):
        mixed.keep()
    assert mixed.scale == 2.0**15
    mixed.keep()
    assert mixed.scale == 2.0**16
    plain = MixedPrecision("float32", CPU, [])
    for _ in range(2000):
        plain.keep()
    assert plain.scale == 1


def test_a_run_that_was_stopped_goes_on_with_its_scale(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mixed_precision, "_FIRST", 2.0**27)
    monkeypatch.setattr(mixed_precision, "_PATIENCE", 3)
    train_toy(toy, tmp_path / "whole", FP16)
    own = MixedPrecision.keep
    kept = [0]

    def keep(self: MixedPrecision) -> None:
        own(self)
        kept[0] += 1
        if kept[0] == 4:
            raise KeyboardInterrupt

    monkeypatch.setattr(MixedPrecision, "keep", keep)
    every = "checkpoints.every_steps=1"
    with pytest.raises(KeyboardInterrupt):
        train_toy(toy, tmp_path / "cut", FP16, every)
    train_toy(toy, tmp_path / "cut", FP16, every)
    assert bits(best_weights(tmp_path / "cut")) == bits(best_weights(tmp_path / "whole"))


@pytest.mark.parametrize("is_mixed", [False, True])
def test_gradients_of_sixteen_bits_are_held_in_sixteen(is_mixed: bool) -> None:
    shared = nn.Parameter(torch.tensor([1.0, 2.0]))
    balancer = GradientBalancer(UPGrad(), "exact")
    balancer.attach(setting({"a": None, "b": None}, shared, is_mixed=is_mixed))
    third = shared[0] / 3
    balancer.backward(one_step({"a": third}, {"b": shared[1] * 1.0}))
    assert shared.grad is not None
    assert shared.grad.dtype == torch.float32
    expected = torch.tensor(1 / 3)
    rounded = expected.to(torch.bfloat16).float() if is_mixed else expected
    assert float(shared.grad[0]) == float(rounded) * float(shared.grad[1])

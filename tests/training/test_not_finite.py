"""NaN and infinity in nine places: found in the same step, named, and kept out of the weights."""

import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from polytask.data.batching import Inputs
from polytask.errors import TrainingError
from polytask.training.loop import Hooks, Loop
from polytask.training.observer import EvaluationReport, Observer, StepReport
from toys import NO_HOOKS, STOP_AFTER_ONE, bits, read_rows, toy_loop, write_rows

ONE_STEP_AN_EPOCH = "train.batch_tokens=4096"


class Watching(Observer):
    """Keeps what it sees."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.steps: list[StepReport] = []
        self.evaluations: list[EvaluationReport] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    def step(self, report: StepReport) -> None:
        self.steps.append(report)

    def evaluation(self, report: EvaluationReport) -> None:
        self.evaluations.append(report)

    def close(self) -> None:
        pass


@pytest.fixture(scope="module")
def marked(toy: Path) -> Path:
    """The toy experiment; rows 3 and 8 of messages, and row 3 of reviews, hold the word zebra."""
    for name, places in (("messages", (2, 7)), ("reviews", (2,))):
        rows = read_rows(toy.parent / f"{name}.train.jsonl")
        for place in places:
            rows[place]["text"] = f"zebra {rows[place]['text']}"
            if "words" in rows[place]:
                rows[place]["words"] = str(rows[place]["text"]).split()
                rows[place]["tags"] = ["O", *rows[place]["tags"]]
        write_rows(toy.parent / f"zebra.{name}.jsonl", rows)
    return toy


def loop_of(marked: Path, *overrides: str, observer: Observer | None = None) -> Loop:
    places = [f"data.{name}.train=zebra.{name}.jsonl" for name in ("messages", "reviews")]
    observers = [observer] if observer else []
    options = (ONE_STEP_AN_EPOCH, "train.look_every=null", *places, *overrides)
    return toy_loop(marked, *options, observers=observers)


def weights(loop: Loop) -> dict[str, bytes]:
    return bits(loop.model.state_dict())


def zebra(loop: Loop) -> int:
    return int(next(loop.model.encoder.tokeniser.encode([("zebra",)]))[0].token_ids[1])


def weight(loop: Loop, name: str) -> Tensor:
    found: Tensor = loop.model.state_dict()[name]
    return found


def poison(parameter: str, place: tuple[int, ...] | int | None) -> Callable[[Loop, float], None]:
    def inject(loop: Loop, bad: float) -> None:
        index = zebra(loop) if place is None else place
        weight(loop, parameter)[index] = bad

    return inject


def poison_logits(loop: Loop, bad: float) -> None:
    token = zebra(loop)

    def hook(module: nn.Module, args: tuple[Tensor, Inputs], logits: Tensor) -> Tensor:
        has_zebra = (args[1].token_ids == token).any(1)
        return torch.where(has_zebra.unsqueeze(-1), bad, logits)

    loop.model.head("intent").register_forward_hook(hook)


def poison_loss(loop: Loop, bad: float) -> None:
    head = loop.model.head("stars")
    own = head.loss
    head.loss = lambda logits, targets: own(logits, targets) * bad  # type: ignore[method-assign]


def poison_gradient(parameter: str) -> Callable[[Loop, float], None]:
    def inject(loop: Loop, bad: float) -> None:
        loop.model.get_parameter(parameter).register_hook(lambda gradient: gradient * bad)

    return inject


def poison_target(loop: Loop, bad: float) -> None:
    head = loop.model.head("intent")
    own = head.loss

    def loss(logits: Tensor, targets: Mapping[str, Tensor]) -> Tensor:
        soft = nn.functional.one_hot(targets["labels"].clamp(min=0), logits.shape[-1]).float()
        soft[targets["labels"] == 1] *= bad
        return own(logits, targets) - 0 * (soft * logits).sum()

    head.loss = loss  # type: ignore[method-assign]


_LAYER = "encoder.model.encoder.layer.1.intermediate.dense.weight"
_EMBEDDING = "encoder.model.embeddings.word_embeddings.weight"
_TAGS = "heads.items-head.columns.tags-labels.project.weight"
_ALL_TASKS = ("intent", "items", "stars")
PLACES = {
    "a row of the embeddings": (poison(_EMBEDDING, None), _ALL_TASKS, "loss", _EMBEDDING),
    "a weight of an encoder layer": (poison(_LAYER, (0, 0)), _ALL_TASKS, "loss", _LAYER),
    "a weight of a head": (
        poison(_TAGS, (0, 0)),
        ("items",),
        "loss",
        _TAGS,
    ),
    "a bias of a head": (
        poison("heads.intent-head.project.bias", 0),
        ("intent",),
        "loss",
        "heads.intent-head.project.bias",
    ),
    "logits": (poison_logits, ("intent",), "loss", None),
    "a loss": (poison_loss, ("stars",), "loss", None),
    "a gradient of the encoder": (poison_gradient(_LAYER), _ALL_TASKS, "gradient", None),
    "a gradient of a head": (
        poison_gradient(_TAGS),
        ("items",),
        "gradient",
        None,
    ),
    "a target": (poison_target, ("intent",), "loss", None),
}


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("place", PLACES)
def test_a_fault_in_any_of_nine_places_stops_the_same_step_and_is_named(
    marked: Path, place: str, bad: float
) -> None:
    loop = loop_of(marked)
    inject, tasks, what, name = PLACES[place]
    loop.run(STOP_AFTER_ONE)  # a good step first
    inject(loop, bad)
    before = weights(loop)

    with pytest.raises(TrainingError) as caught:
        loop.run(NO_HOOKS)

    message = str(caught.value)
    assert message.startswith("step 2: ")
    assert message.endswith(" The weights were not changed by this step.")
    assert re.findall(rf"the {what} of task (\w+) is not finite", message) == list(tasks)
    assert ("the weights " in message) is (name is not None)
    assert name is None or f"the weights {name} are not finite; " in message
    assert weights(loop) == before


def test_the_rows_that_made_the_fault_are_named_by_file_and_line(marked: Path) -> None:
    loop = loop_of(marked)
    poison_logits(loop, math.nan)

    with pytest.raises(TrainingError) as caught:
        loop.run(NO_HOOKS)

    assert str(caught.value) == (
        "step 1: the loss of task intent is not finite, from zebra.messages.jsonl:3, "
        "zebra.messages.jsonl:8. The weights were not changed by this step."
    )


def test_of_many_rows_five_are_named_and_the_others_counted(marked: Path) -> None:
    loop = loop_of(marked)
    poison_loss(loop, math.nan)

    with pytest.raises(TrainingError) as caught:
        loop.run(NO_HOOKS)

    # every sixth of the 40 reviews has no stars: 34 rows, 5 of them named
    assert len(re.findall(r"zebra\.reviews\.jsonl:\d+", str(caught.value))) == 5
    assert " and 29 more rows." in str(caught.value)


def once(loop: Loop, call: int) -> None:
    """Poisons the logits of task stars at one forward of a training step only."""
    calls = [0]

    def hook(module: nn.Module, args: object, logits: Tensor) -> Tensor:
        if module.training:
            calls[0] += 1
        return logits * math.nan if module.training and calls[0] == call else logits

    loop.model.head("stars").register_forward_hook(hook)


def test_skip_leaves_the_weights_of_that_step_alone_and_goes_on(marked: Path) -> None:
    seen = Watching()
    loop = loop_of(marked, "train.on_nan=skip", observer=seen)
    once(loop, 2)
    states: list[dict[str, bytes]] = []

    def remember() -> bool:
        states.append(weights(loop))
        return False

    is_done = loop.run(Hooks(lambda results: None, remember, lambda: None))

    assert is_done
    assert states[0] == states[1] != states[2]
    assert len(seen.notes) == 1
    assert seen.notes[0].startswith("step 2: ")
    assert seen.notes[0].endswith(" The step is skipped.")
    assert [math.isnan(step.losses["stars"]) for step in seen.steps] == [False, True, False]
    assert loop.position.num_skipped == 0


def test_more_than_max_skipped_steps_in_a_row_stop_the_run(marked: Path) -> None:
    seen = Watching()
    loop = loop_of(marked, "train.on_nan=skip", "train.max_skipped=1", observer=seen)
    poison_loss(loop, math.inf)

    with pytest.raises(TrainingError, match=r"^step 2: .* 2 steps in a row could not be used\.$"):
        loop.run(NO_HOOKS)

    assert [note[:7] for note in seen.notes] == ["step 1:"]


def test_rollback_asks_for_the_last_good_weights(marked: Path) -> None:
    loop = loop_of(marked, "train.on_nan=rollback")
    once(loop, 2)
    asked: list[int] = []

    loop.run(Hooks(lambda results: None, lambda: False, lambda: asked.append(loop.position.step)))

    assert asked == [1]


def test_a_model_that_is_not_finite_is_scored_and_never_the_best(marked: Path) -> None:
    seen = Watching()
    loop = loop_of(marked, "train.on_nan=skip", observer=seen)
    kept: list[int] = []

    def spoil() -> bool:
        if loop.position.step == 2:
            weight(loop, _LAYER).fill_(math.nan)
        return False

    loop.run(Hooks(lambda results: kept.append(loop.position.step), spoil, lambda: None))

    assert kept == [1]
    assert [one.is_best for one in seen.evaluations] == [True, False, False]

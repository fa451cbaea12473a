import math
from collections.abc import Sequence

import pytest
import torch

from polytask.data.batching import Inputs
from polytask.data.records import Record
from polytask.errors import ConfigError, DataError
from polytask.heads.head import IGNORE
from polytask.heads.ordinal import Ordinal

NOTHING = Inputs(*(torch.zeros(0, 0) for _ in range(5)))


def rows(*values: object) -> list[Record]:
    return [{"text": "x", "label": value} for value in values]


def fitted(head: Ordinal, *values: object) -> Ordinal:
    head.fit(rows(*values))
    head.attach(4)
    return head


def loss_of(head: Ordinal, logits: Sequence[Sequence[float]], *values: object) -> tuple[float, int]:
    targets = head.targets(rows(*values), NOTHING)
    return head.loss(torch.tensor(logits), targets).item(), head.count(targets)


def test_whole_numbers_are_put_in_their_order() -> None:
    head = Ordinal(text="text")

    assert head.fit(rows("10", "9", "-1", None, "9", "10")) == ["level '-1' is seen once"]
    assert head.levels == ["-1", "9", "10"]


def test_other_levels_need_their_order_said() -> None:
    with pytest.raises(DataError) as fault:
        Ordinal(text="text").fit(rows("low", "high"))

    assert str(fault.value) == (
        "column 'label' holds levels that are not whole numbers, so their order is unknown. "
        "Say it: `levels: [high, low]`, the lowest first"
    )
    head = fitted(Ordinal(text="text", levels=["low", "中", "high"]), "high", "low", "low")
    assert head.levels == ["low", "中", "high"]


def test_a_level_that_is_not_given_is_refused() -> None:
    with pytest.raises(DataError) as fault:
        Ordinal(text="text", levels=["low", "high"]).fit(rows("low", "hihg"))

    assert str(fault.value) == ("level 'hihg' is not given. Did you mean 'high'? Known: low, high.")


def test_bands_hold_about_as_many_examples_each() -> None:
    head = fitted(Ordinal(text="text", bands=3), *map(float, range(9)), None)

    golds = [head.gold(record) for record in rows(*map(float, range(9)), None, -5.0, 99.0)]
    assert golds == [*"111222333", None, "1", "3"]


@pytest.mark.parametrize("numbers", [[1.0, 1.0, 1.0, 2.0], [1.0], [None]])
def test_numbers_that_make_no_bands_are_a_fault(numbers: list[float | None]) -> None:
    with pytest.raises(DataError, match="too few different numbers for 2 bands"):
        Ordinal(text="text", bands=2).fit(rows(*numbers))


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"levels": ["a", "b"], "bands": 2}, "say one"),
        ({"levels": ["a"]}, "at least two different levels"),
        ({"levels": ["a", "b", "a"]}, "at least two different levels"),
    ],
)
def test_options_that_contradict_are_refused(options: dict[str, object], fault: str) -> None:
    with pytest.raises(ConfigError, match=fault):
        Ordinal(text="text", **options)  # type: ignore[arg-type]


def test_corn_asks_only_those_that_reached_a_level() -> None:
    head = fitted(Ordinal(text="text"), "1", "2", "3")
    half = math.log(2)  # the error of a logit of 0

    # level 1 is asked the first step alone, levels 2 and 3 both
    assert loss_of(head, [[0, 0]], "1") == (pytest.approx(half), 1)
    assert loss_of(head, [[0, 0]], "2") == (pytest.approx(2 * half), 2)
    assert loss_of(head, [[0, 0], [0, 0]], "3", None) == (pytest.approx(2 * half), 2)
    # above level 1: -log(3/4); not above level 2: -log(1 - 3/4)
    logit = math.log(3)
    found, _ = loss_of(head, [[logit, logit]], "2")
    assert found == pytest.approx(-math.log(3 / 4) - math.log(1 / 4))


def test_coral_asks_every_step_of_every_record() -> None:
    head = fitted(Ordinal(text="text", method="coral"), "1", "2", "3")

    found = loss_of(head, [[0, 0], [0, 0]], "1", None)

    assert found == (pytest.approx(2 * math.log(2)), 1)
    assert [tuple(p.shape) for p in head.project.parameters()] == [(1, 4)]
    assert head.shifts.tolist() == [1, -1]


def test_corn_multiplies_its_answers() -> None:
    head = fitted(Ordinal(text="text"), "1", "2", "3")
    logits = torch.tensor([[1.0986, 1.0986], [1.0986, -1.0986], [-1.0986, 1.0986]])  # 3/4 or 1/4

    found = head.decode(logits, [], NOTHING)

    # above 1 and above 2: 3/4 and 9/16; 3/4 and 3/16; 1/4 and 3/16
    assert [one["label"] for one in found] == ["3", "2", "1"]
    shown = [one["probability"] for one in found]
    assert shown == pytest.approx([9 / 16, 3 / 4 - 3 / 16, 1 - 1 / 4], abs=1e-4)


def test_coral_takes_its_answers_as_they_are() -> None:
    head = fitted(Ordinal(text="text", method="coral"), "1", "2", "3")

    found = head.decode(torch.tensor([[1.0986, -1.0986]]), [], NOTHING)

    assert found == [{"label": "2", "probability": pytest.approx(0.5, abs=1e-4)}]


def test_scores_by_hand() -> None:
    head = fitted(Ordinal(text="text"), "1", "2", "3")
    predicted = [{"label": level} for level in ("1", "2", "3", "1")]

    scores = head.score(["1", "2", "3", "3"], predicted)

    # squared distances: 4 in all. By chance, from the counts 1 1 2 and 2 1 1:
    # (1*(0*2+1*1+4*1) + 1*(1*2+0+1*1) + 2*(4*2+1*1+0)) / 4 = 26/4; kappa = 1 - 4 / 6.5
    assert scores.metrics == pytest.approx(
        {"quadratic_kappa": 1 - 4 / 6.5, "accuracy": 0.75, "mae": 0.5}
    )


def test_kappa_of_one_level_alone_is_unknown() -> None:
    head = fitted(Ordinal(text="text"), "1", "2")

    assert math.isnan(head.score(["1", "1"], [{"label": "1"}] * 2).headline[1])


def test_targets_count_from_the_lowest_level() -> None:
    head = fitted(Ordinal(text="text"), "3", "5", "4")

    assert head.targets(rows("3", "5", None), NOTHING)["levels"].tolist() == [0, 2, IGNORE]
    assert head.problem(rows("6")[0]) == "level '6' is not one of the levels. Known: 3, 4, 5."
    assert head.label_counts(rows("5", None, "3", "5")) == ({"3": 1, "4": 0, "5": 2}, 1, 0.0)

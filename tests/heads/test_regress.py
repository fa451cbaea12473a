import math

import pytest
import torch

from polytask.data.batching import Inputs
from polytask.data.records import Record
from polytask.errors import ConfigError, DataError
from polytask.heads.regress import Regress

NOTHING = Inputs(*(torch.zeros(0, 0) for _ in range(5)))


def rows(*values: float | None) -> list[Record]:
    return [{"text": "x", "value": value} for value in values]


def fitted(*values: float | None) -> Regress:
    head = Regress(text="text", value="value")
    head.fit(rows(*values))
    return head


def test_numbers_are_standardised_and_predictions_come_in_the_users_units() -> None:
    head = fitted(10.0, 30.0, None)  # mean 20, deviation 10

    targets = head.targets(rows(20.0, 35.0, None), NOTHING)

    assert head.facts() == {"columns": ["value"], "means": [20.0], "deviations": [10.0]}
    assert targets["values"].tolist() == [[0.0], [1.5], [pytest.approx(math.nan, nan_ok=True)]]
    assert head.count(targets) == 2
    predictions = head.decode(torch.tensor([[0.0], [1.5]]), rows(0.0, 0.0), NOTHING)
    assert predictions == [{"value": 20.0}, {"value": 35.0}]


def test_the_loss_is_the_sum_of_squared_errors_in_deviations_without_missing_numbers() -> None:
    head = fitted(10.0, 30.0)
    targets = head.targets(rows(20.0, 40.0, None), NOTHING)  # 0, 2 and none

    loss = head.loss(torch.tensor([[1.0], [-1.0], [50.0]]), targets)

    assert loss.item() == pytest.approx(1 + 9)


def test_large_numbers_close_together_are_told_apart() -> None:
    # Dates in seconds: in float32 neighbours stand 128 apart.
    head = fitted(1_700_000_000.0, 1_700_000_010.0)  # mean ...005, deviation 5

    targets = head.targets(rows(1_700_000_000.0, 1_700_000_007.0), NOTHING)

    assert targets["values"].flatten().tolist() == [pytest.approx(-1.0), pytest.approx(0.4)]
    predictions = head.decode(targets["values"], rows(0.0, 0.0), NOTHING)
    assert predictions[1]["value"] == pytest.approx(1_700_000_007.0, abs=1e-5)


def test_several_numbers_are_learned_side_by_side_and_each_may_be_missing() -> None:
    head = Regress(text="text", value=["joy", "fear"])
    records: list[Record] = [
        {"joy": 1.0, "fear": 10.0},
        {"joy": 3.0, "fear": None},
        {"joy": None, "fear": 30.0},
    ]
    head.fit(records)

    targets = head.targets(records, NOTHING)

    nan = pytest.approx(math.nan, nan_ok=True)
    assert (head.means, head.deviations) == ([2.0, 20.0], [1.0, 10.0])
    assert targets["values"].tolist() == [[-1.0, -1.0], [1.0, nan], [nan, 1.0]]
    assert head.count(targets) == 4
    assert head.decode(torch.tensor([[1.0, -1.0]]), records[:1], NOTHING) == [
        {"values": {"joy": 3.0, "fear": 10.0}}
    ]
    assert head.gold({"joy": None, "fear": 5.0}) == [nan, 5.0]
    assert head.gold({"joy": None}) is None


def test_scores_of_several_numbers_are_means_and_skip_what_is_missing() -> None:
    head = Regress(text="text", value=["joy", "fear"])
    gold = [[1.0, 1.0], [2.0, math.nan], [3.0, 3.0]]
    predicted: list[dict[str, object]] = [
        {"values": {"joy": joy, "fear": fear}} for joy, fear in [(1.0, 3.0), (2.0, 9.0), (3.0, 1.0)]
    ]

    scores = head.score(gold, predicted)

    # joy is right (1, error 0); fear is turned round (-1, errors 2 and 2).
    assert scores.headline == ("pearson", pytest.approx(0.0))
    assert scores.metrics["pearson_joy"] == pytest.approx(1.0)
    assert scores.metrics["pearson_fear"] == pytest.approx(-1.0)
    assert scores.metrics["mae"] == pytest.approx((0 + 2) / 2)
    assert scores.metrics["rmse_fear"] == pytest.approx(2.0)
    assert scores.count == 3


@pytest.mark.parametrize("values", [[], [None], [1.0], [1.0, None], [2.0, 2.0, 2.0]])
def test_numbers_that_are_all_alike_cannot_be_learned(values: list[float | None]) -> None:
    with pytest.raises(DataError) as fault:
        fitted(*values)

    assert str(fault.value) == "column 'value' needs two different numbers to learn from"


def test_cosine_gives_one_number_for_a_pair() -> None:
    with pytest.raises(ConfigError) as several:
        Regress(text=["a", "b"], pair="cosine", value=["x", "y"])
    with pytest.raises(ConfigError) as alone:
        Regress(text="a", pair="cosine", value="x")
    with pytest.raises(ConfigError) as dropped:
        Regress(text=["a", "b"], pair="cosine", value="x", dropout=0.2)
    with pytest.raises(ConfigError) as nothing:
        Regress(text="a", value=[])

    assert str(several.value) == (
        "`pair: cosine` gives one number, but `value:` names several columns"
    )
    assert str(alone.value) == "`pair: cosine` needs two columns"
    assert str(dropped.value) == "`dropout:` has no effect with `pair: cosine`. Drop it"
    assert str(nothing.value) == "`value:` names no column"


def test_the_cosine_of_towers_is_scaled_and_shifted() -> None:
    head = Regress(text=["a", "b"], pair="cosine", value="value")
    head.fit(rows(0.0, 5.0))
    head.attach(2)
    # Two records of two towers, one token each: alike (cosine 1) and at right angles (0).
    hidden = torch.tensor([[[1.0, 0.0]], [[3.0, 0.0]], [[1.0, 0.0]], [[0.0, 2.0]]])
    mask = torch.ones(4, 1, dtype=torch.bool)
    none = torch.zeros(4, 0)

    logits = head(hidden, Inputs(none, mask, none, none, none))

    assert logits.flatten().tolist() == [pytest.approx(4 - 2), pytest.approx(-2)]


def test_label_counts_are_numbers_by_column_and_records_without_any() -> None:
    counts, missing, best = fitted(1.0, 2.0).label_counts(rows(1.0, None, 2.0))

    assert (counts, missing) == ({"value": 2}, 1)
    assert math.isnan(best)


def test_bounded_answers_stay_within_their_bounds_and_reach_them() -> None:
    head = Regress(text="text", value="value", bounds=[1, 5])
    head.fit(rows(1.0, 3.0, 5.0))
    head.attach(2)
    hidden = torch.tensor([[[1e4, 0.0]], [[-1e4, 0.0]]])
    mask, none = torch.ones(2, 1, dtype=torch.bool), torch.zeros(2, 0)
    head.project.weight.data, head.project.bias.data = torch.ones(1, 2), torch.zeros(1)

    logits = head.eval()(hidden, Inputs(none, mask, none, none, none))

    assert head.decode(logits, [], NOTHING) == [{"value": 5.0}, {"value": 1.0}]
    middle = head._bounded(torch.zeros(1, 1))
    assert head.decode(middle, [], NOTHING) == [{"value": pytest.approx(3.0)}]
    assert head.problem(rows(5.5)[0]) == "5.5 in column 'value' is out of `bounds: [1, 5]`"
    assert head.problem(rows(5.0)[0]) is None
    assert head.problem(rows(None)[0]) is None


@pytest.mark.parametrize("bounds", [[1.0], [5.0, 1.0], [2.0, 2.0], [1.0, 2.0, 3.0]])
def test_bounds_are_two_numbers_in_order(bounds: list[float]) -> None:
    with pytest.raises(ConfigError, match="takes the lowest and the highest number"):
        Regress(text="text", value="value", bounds=bounds)


def test_the_loss_of_huber_grows_in_a_straight_line_far_out() -> None:
    head = Regress(text="text", value="value", loss="huber")
    head.fit(rows(10.0, 30.0))  # mean 20, deviation 10

    loss = head.loss(
        torch.tensor([[0.5], [3.0], [9.0]]), head.targets(rows(20.0, 20.0, None), NOTHING)
    )

    assert loss.item() == pytest.approx(0.5**2 / 2 + (3 - 1 / 2))


def test_a_predicted_spread_makes_errors_cheaper_and_costs_itself() -> None:
    head = Regress(text="text", value="value", loss="gaussian")
    head.fit(rows(10.0, 30.0))
    logits = torch.tensor([[1.0, math.log(4.0)], [1.0, 0.0], [7.0, 1.0]])

    loss = head.loss(logits, head.targets(rows(40.0, 20.0, None), NOTHING))

    # error 1 at variance 4: (log 4 + 1/4) / 2; error 1 at variance 1: 1/2
    assert loss.item() == pytest.approx((math.log(4) + 1 / 4) / 2 + 1 / 2)
    assert head.decode(logits, [], NOTHING)[0] == {"value": 30.0, "spread": pytest.approx(20.0)}


def test_a_cosine_has_no_spread() -> None:
    with pytest.raises(ConfigError, match="`loss: gaussian` needs `pair: cross`"):
        Regress(text=["a", "b"], pair="cosine", value="value", loss="gaussian")

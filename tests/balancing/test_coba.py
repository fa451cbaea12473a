"""Slopes, scores and weights of CoBa by hand, and a run of it."""

import json
from pathlib import Path

import pytest

from polytask.balancing.coba import CoBa, slope
from polytask.errors import DataError
from steps import setting
from toys import events, notes, toy_loop, train_toy


def after(*losses: dict[str, float], **options: float) -> CoBa:
    found = CoBa(**{"warmup": 2, **options})
    found.attach(setting(dict.fromkeys(losses[0])))
    for one in losses:
        found.watch(one)
    return found


def test_slopes_are_those_of_least_squares() -> None:
    assert slope([0, 1, 2, 3]) == 1
    assert slope([2, 0, 4]) == 1
    assert slope([5]) == 0


def test_equal_slopes_give_even_weights() -> None:
    found = after(*({"a": 4 - i, "b": 4 - i} for i in range(4)))

    assert found.draw() == pytest.approx({"a": 1, "b": 1})


def test_the_scale_of_a_loss_is_nothing() -> None:
    falls = [(4, 3), (3, 2.9), (2.5, 2.85), (2.4, 2.7)]

    one = after(*({"a": a, "b": b} for a, b in falls))
    other = after(*({"a": 100 * a, "b": b} for a, b in falls))

    assert other.draw() == pytest.approx(one.draw())


def test_weights_are_even_while_it_warms_up() -> None:
    found = after({"a": 4, "b": 1}, {"a": 1, "b": 2}, warmup=3)

    assert found.draw() == {"a": 1, "b": 1}
    found.watch({"a": 0.5, "b": 3})
    assert found.draw()["a"] != 1


def test_a_task_that_diverges_gets_less_once_the_factor_is_near_0() -> None:
    falling = [{"a": 1 - 0.1 * i, "b": 1 - 0.1 * i} for i in range(6)]
    rising = [{"a": 0.4 - 0.01 * i, "b": 0.5 + 0.5 * i} for i in range(6)]

    found = after(*falling, *rising)

    assert found.trust() < 0.1
    assert found.draw()["a"] > 1.2
    assert found.draw()["b"] < 0.8


def test_of_tasks_that_converge_the_slower_gets_more() -> None:
    found = after(*({"a": 1 - 0.2 * i, "b": 1 - 0.02 * i} for i in range(4)))

    assert found.trust() == 1
    assert found.draw()["b"] > 1 > found.draw()["a"]


def test_numbers_by_hand() -> None:
    found = after({"a": 1.0, "b": 1.0}, {"a": 0.8, "b": 0.6})

    # slopes -0.2 and -0.4; one slope each, so both histories say 1 and the largest slope trusts 1:
    # softmax(2 * (-1/3, -2/3)) = (0.6608, 0.3392), softmax of twice that = (0.6554, 0.3446).
    assert found.draw() == pytest.approx({"a": 0.1 + 1.8 * 0.6554, "b": 0.1 + 1.8 * 0.3446}, 1e-3)


def test_weights_have_mean_1_and_a_floor_and_the_factor_stays_within_0_and_1() -> None:
    found = after({"a": 1.0, "b": 1.0, "c": 1.0}, window=8)
    for i in range(40):
        found.watch({"a": 0.9**i, "b": 1 + (i % 7) ** 2, "c": 1 / (1 + i) + i % 3})
        weights = found.draw()
        assert sum(weights.values()) == pytest.approx(3)
        assert min(weights.values()) >= 0.1
        assert 0 <= found.trust() <= 1


def test_state_survives_json() -> None:
    one = after({"a": 1.0, "b": 2.0}, {"a": 0.8, "b": 1.0}, {"a": 0.7, "b": 1.5})
    other = after({"a": 9.0, "b": 9.0})

    other.load_state_dict(json.loads(json.dumps(one.state_dict())))

    assert other.draw() == one.draw()


def test_rows_that_are_watched_are_not_trained_on(toy: Path, tmp_path: Path) -> None:
    options = ("balancing.kind=coba", "balancing.warmup=2", "balancing.share=0.2")

    train_toy(toy, tmp_path / "run", *options)

    assert sum("train rows set apart to watch" in text for text in notes(tmp_path / "run")) == 2
    loop = toy_loop(toy, *options)
    train, watched = loop._batches.feeds, loop._watched._batches.feeds
    for name, feed in watched.items():
        texts = {str(feed.records[i]["text"]) for i in range(len(feed))}
        assert len(texts) == 8
        assert not texts & {str(train[name].records[i]["text"]) for i in range(len(train[name]))}
    steps = events(tmp_path / "run", "step")
    assert set(steps[0]["weights"].values()) == {1.0}
    assert len(set(steps[-1]["weights"].values())) > 1


def test_too_few_rows_to_set_apart_are_told(toy: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no rows could be set apart.*balancing.share: 0.01"):
        train_toy(toy, tmp_path / "run", "balancing.kind=coba", "balancing.share=0.01")

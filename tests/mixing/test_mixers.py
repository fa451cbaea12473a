"""Shares of each kind of mixer, by hand and against published numbers."""

import json
import math
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polytask.build import read_experiment
from polytask.errors import ConfigError
from polytask.mixing import MIXERS, Drawn, Mixer, Progress
from polytask.mixing.annealed import Annealed
from polytask.mixing.capped import Capped
from polytask.mixing.exp3 import Exp3
from polytask.mixing.gap import Gap
from polytask.mixing.proportional import Proportional
from polytask.mixing.schedule import Point, Schedule
from polytask.mixing.temperature import Temperature
from polytask.mixing.uniform import Uniform
from polytask.mixing.unimax import UniMax, unimax
from toys import events, train_toy

SIZES = {"large": 400_000, "middle": 20_000, "small": 1_000}
START = Progress(0, 4)
EACH: dict[str, Mixer] = {
    "annealed": Annealed(),
    "capped": Capped(cap=100),
    "exp3": Exp3(),
    "gap": Gap(single={"topic": 0.9}),
    "proportional": Proportional(),
    "schedule": Schedule(points=[Point(at=0, shares={"a": 1.0, "b": 3.0})]),
    "temperature": Temperature(),
    "uniform": Uniform(),
    "unimax": UniMax(),
}


def shares(mixer: Mixer, at: Progress = START) -> list[float]:
    return list(mixer.shares(SIZES, at).values())


@pytest.mark.parametrize(
    ("mixer", "expected"),
    [
        (Proportional(), (0.9501, 0.0475, 0.0024)),
        (Temperature(temperature=1), (0.9501, 0.0475, 0.0024)),
        (Temperature(temperature=2), (0.7852, 0.1756, 0.0393)),
        (Temperature(temperature=5), (0.5403, 0.2968, 0.1630)),
        (Temperature(temperature=1e9), (1 / 3, 1 / 3, 1 / 3)),
        (Temperature(temperature=1, cap=2**16), (0.7573, 0.2311, 0.0116)),
        (Temperature(temperature=2, cap=2**16), (0.5967, 0.3296, 0.0737)),
        (Capped(cap=2**16), (0.7573, 0.2311, 0.0116)),
        (Uniform(), (1 / 3, 1 / 3, 1 / 3)),
    ],
)
def test_shares_by_size(mixer: Mixer, expected: tuple[float, ...]) -> None:
    assert shares(mixer) == pytest.approx(expected, abs=1e-4)


def test_every_kind_is_tried_here() -> None:
    assert sorted(EACH) == sorted(MIXERS)


@pytest.mark.parametrize("name", MIXERS)
@pytest.mark.parametrize("sizes", [{"a": 7, "b": 900}, {"a": 1, "b": 1}])
def test_shares_add_up_to_1(name: str, sizes: dict[str, int]) -> None:
    for epoch in range(3):
        for part in range(EACH[name].num_rounds):
            found = EACH[name].shares(sizes, Progress(epoch, 3, part))
            assert list(found) == list(sizes)
            assert sum(found.values()) == pytest.approx(1)
            assert min(found.values()) >= 0


@pytest.mark.parametrize("name", MIXERS)
def test_state_survives_json(name: str) -> None:
    mixer = EACH[name]
    mixer.learn(Drawn({"a": 5, "b": 5}, {"a": 2.0, "b": 1.0}))
    mixer.judge({"a": {"topic": 0.5}, "b": {"other": 0.2}})
    before = mixer.shares({"a": 5, "b": 9}, START)

    mixer.load_state_dict(json.loads(json.dumps(mixer.state_dict())))

    assert mixer.shares({"a": 5, "b": 9}, START) == before


def test_annealed_exponents_fall_from_1_to_a_fifth() -> None:
    for epoch, power in enumerate((1.0, 0.8, 0.6, 0.4, 0.2)):
        found = Annealed().shares({"a": 16, "b": 1}, Progress(epoch, 5))
        assert found["a"] / found["b"] == pytest.approx(16**power)
    assert Annealed().shares({"a": 3, "b": 1}, Progress(0, 1))["a"] == 0.75
    in_part = Annealed().shares({"a": 16, "b": 1}, Progress(2, 2.3))
    assert in_part["a"] / in_part["b"] == pytest.approx(16**0.2)


def test_unimax_as_published() -> None:
    found = unimax(SIZES, budget=600_000, repeats=4)

    assert list(found.values()) == pytest.approx((0.86, 0.1333, 0.0067), abs=1e-4)
    times = [600_000 * found[name] / size for name, size in SIZES.items()]
    assert times == pytest.approx((1.29, 4, 4), abs=1e-2)
    assert list(unimax(SIZES, budget=600_000, repeats=1e9).values()) == pytest.approx([1 / 3] * 3)


@given(
    st.dictionaries(st.text(min_size=1), st.integers(1, 10_000), min_size=1, max_size=8),
    st.floats(1, 20),
)
def test_unimax_repeats_nothing_too_often(sizes: dict[str, int], repeats: float) -> None:
    found = UniMax(repeats=repeats).shares(sizes, START)

    total = sum(sizes.values())
    assert sum(found.values()) == pytest.approx(1)
    assert all(found[name] * total <= repeats * size * (1 + 1e-9) for name, size in sizes.items())
    ordered = [found[name] for name in sorted(sizes, key=lambda one: sizes[one])]
    assert all(b >= a - 1e-12 for a, b in pairwise(ordered))


def test_a_schedule_goes_on_straight_lines_and_may_jump() -> None:
    mixer = Schedule(
        points=[
            Point(at=0.0, shares={"a": 1.0}),
            Point(at=0.5, shares={"a": 1.0, "b": 1.0}),
            Point(at=0.5, shares={"b": 2.0}),
            Point(at=1.0, shares={"b": 1.0}),
        ],
        rounds=2,
    )

    found = [
        mixer.shares({"a": 9, "b": 1}, Progress(epoch, 2, part))["b"]
        for epoch in (0, 1)
        for part in (0, 1)
    ]

    # The middles of the four rounds lie at 1/8, 3/8, 5/8 and 7/8.
    assert found == pytest.approx([0.125, 0.375, 1.0, 1.0])


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ([], "one or more"),
        ([Point(at=0.5, shares={"a": 1}), Point(at=0.1, shares={"a": 1})], "in the order"),
        ([Point(at=0.5, shares={"a": 0})], "a share above 0"),
    ],
)
def test_points_that_are_none_are_refused(points: list[Point], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Schedule(points=points)


def test_gaps_by_hand() -> None:
    mixer = Gap(single={"topic": 0.9, "mood": 0.8, "stars": 0.5}, floor=0.2)
    sizes = {"a": 30, "b": 10, "c": 60}
    assert mixer.shares(sizes, START)["a"] == pytest.approx(0.3)

    mixer.judge({"a": {"topic": 0.6}, "b": {"mood": 0.7, "unknown": 0.1}, "c": {"stars": 0.6}})

    found = mixer.shares(sizes, START)
    assert found["a"] == pytest.approx(0.8 * 0.75 + 0.2 * 0.3)
    assert found["b"] == pytest.approx(0.8 * 0.25 + 0.2 * 0.1)
    assert found["c"] == pytest.approx(0.2 * 0.6)
    mixer.judge({"a": {"topic": 0.95}, "b": {"mood": 0.9}})
    assert mixer.shares(sizes, START)["a"] == pytest.approx(0.3)


def test_exp3_as_published() -> None:
    mixer = Exp3()
    feeds = {"a": 1, "b": 1, "c": 1}

    mixer.learn(Drawn({"a": 1, "b": 0, "c": 0}, {"a": 3.0}))
    assert list(mixer.shares(feeds, START).values()) == pytest.approx([1 / 3] * 3)

    mixer.num_updates = 99
    mixer.learn(Drawn({"a": 1, "b": 0, "c": 0}, {"a": 0.0}))
    found = list(mixer.shares(feeds, START).values())
    assert mixer.exploration == pytest.approx(0.0605, abs=1e-4)
    assert found == pytest.approx([0.3903, 0.3048, 0.3048], abs=1e-4)
    assert min(found) >= mixer.exploration
    assert math.fsum(found) == pytest.approx(1)


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ("{kind: gap, single: {intend: 0.5}}", "mixing.single: no task 'intend'. Did you mean"),
        (
            "{kind: schedule, points: [{at: 0.0, shares: {message: 1.0}}]}",
            "mixing.points: no data set 'message'. Did you mean 'messages/text'?",
        ),
    ],
)
def test_names_that_do_not_exist_are_told(toy: Path, section: str, message: str) -> None:
    with pytest.raises(ConfigError) as fault:
        read_experiment(toy, [f"mixing={section}"])

    assert message in str(fault.value)


def test_very_unequal_sizes_are_worth_a_warning() -> None:
    warning = Proportional().warning({"mails": 10, "news": 101})

    assert warning is not None
    assert warning.startswith("Feed news is 10 times as large as mails")
    assert "`mixing: {kind: unimax}`" in warning
    assert Proportional().warning({"mails": 10, "news": 100}) is None
    assert UniMax().warning({"mails": 10, "news": 101}) is None


def test_exp3_learns_nothing_from_an_empty_round() -> None:
    mixer = Exp3(rounds=10)

    mixer.learn(Drawn({"a": 0, "b": 0}, {}))

    assert mixer.num_updates == 0


def test_shares_that_change_over_the_run_know_where_max_steps_end_it(
    toy: Path, tmp_path: Path
) -> None:
    places = ((0, "messages/text"), (0.5, "messages/text"), (0.5, "reviews"))
    points = [{"at": at, "shares": {name: 1}} for at, name in places]
    schedule = ("mixing.kind=schedule", f"mixing.points={json.dumps(points)}", "mixing.rounds=2")
    train_toy(toy, tmp_path / "run", *schedule, "train.epochs=50", "train.max_steps=10")

    first, *_, last = events(tmp_path / "run", "step")
    assert first["counts"].keys() == {"intent"}
    assert last["counts"].keys() == {"stars"}

"""Weights from gradients against worked numbers, properties and an oracle."""

import itertools
import math
from collections.abc import Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from polytask.balancing.aligned_mtl import AlignedMTL
from polytask.balancing.cagrad import CAGrad
from polytask.balancing.config import ConFIG
from polytask.balancing.db_mtl import DBMTL
from polytask.balancing.dualproj import DualProj
from polytask.balancing.fairgrad import FairGrad
from polytask.balancing.gradnorm import GradNorm
from polytask.balancing.gradvac import GradVac
from polytask.balancing.gramian import GramianWeighting
from polytask.balancing.imtl_g import IMTLG
from polytask.balancing.mgda import MGDA
from polytask.balancing.nash import NashMTL
from polytask.balancing.pcd import PCD
from polytask.balancing.pcgrad import PCGrad, without_conflicts
from polytask.balancing.solvers import nonnegative
from polytask.balancing.upgrad import UPGrad

Rows = Sequence[Sequence[float]]

F1 = [[1, 0], [-1, 1]]
F2 = [[1, 0], [1, 1]]
F3 = [[1, 0], [0, 10]]
F4 = [[1, 0], [-2, 0]]
F5 = [[1, 0, 0], [-1, 1, 0], [0, -1, 1]]
F6 = [[-1, -1], [0, 1], [1, 0]]
F7 = [[-4, 1, 1], [6, 1, 1]]
ALL: list[GramianWeighting] = [
    AlignedMTL(),
    CAGrad(),
    ConFIG(),
    DBMTL(),
    DualProj(),
    FairGrad(alpha=2),
    GradNorm(),
    GradVac(),
    IMTLG(),
    MGDA(),
    NashMTL(),
    PCD(main="0"),
    PCGrad(),
    UPGrad(),
]
NAMES = [type(one).__name__ for one in ALL]


def weights(method: GramianWeighting, rows: Rows, losses: Sequence[float] = ()) -> Tensor:
    jacobian = torch.tensor(rows, dtype=torch.float64)
    named = {str(i): 1.0 for i in range(len(rows))} | {str(i): one for i, one in enumerate(losses)}
    found = method.weigh(jacobian @ jacobian.T, named)
    assert found.dtype == torch.float64
    assert found.isfinite().all()
    return found


def update(method: GramianWeighting, rows: Rows, losses: Sequence[float] = ()) -> list[float]:
    found = weights(method, rows, losses) @ torch.tensor(rows, dtype=torch.float64)
    return [float(one) for one in found]


def gains(method: GramianWeighting, rows: Rows) -> list[float]:
    """By how much each loss falls along the update."""
    jacobian = torch.tensor(rows, dtype=torch.float64)
    return [
        float(one) for one in jacobian @ torch.tensor(update(method, rows), dtype=torch.float64)
    ]


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        (
            UPGrad(),
            [
                (0.25, 0.75),
                (1, 0.5),
                (0.5, 5),
                (0, 0),
                (0.1111, 0.2778, 0.6111),
                (0.2924, 1.9006, 1.9006),
            ],
        ),
        (
            DualProj(),
            [(0, 0.5), (1, 0.5), (0.5, 5), (0, 0), (0, 0, 0.3333), (0.5556, 1.1111, 1.1111)],
        ),
        (
            MGDA(),
            [(0.2, 0.4), (1, 0), (0.9901, 0.0990), (0, 0), (0.0714, 0.1429, 0.2143), (0, 1, 1)],
        ),
        (
            IMTLG(),
            [
                (0.1716, 0.4142),
                (1, 0.4142),
                (0.9091, 0.9091),
                (0, 0),
                (0.0578, 0.1394, 0.2211),
                (0.0767, 1, 1),
            ],
        ),
        (
            NashMTL(max_length=None),
            [
                (0.5412, 1.3066),
                (1.3066, 0.5412),
                (1, 1),
                None,
                (0.3746, 0.8104, 1.4842),
                (0.0766, 0.9985, 0.9985),
            ],
        ),
        (
            FairGrad(alpha=2),
            [
                (0.6782, 1.4958),
                (1.1563, 0.4084),
                (1, 0.4642),
                None,
                (0.5345, 1.1152, 1.8504),
                (0.0313, 0.7908, 0.7908),
            ],
        ),
        (
            AlignedMTL(),
            [
                (0.1382, 0.4146),
                (0.4146, 0.1382),
                (0.5, 0.5),
                (-0.5, 0),
                (0.0447, 0.1022, 0.2315),
                (0.2133, 0.9673, 0.9673),
            ],
        ),
        (
            CAGrad(c=0.4),
            [
                (0.2, 0.5),
                (1.4472, 0.5),
                (2.510, 5),
                (-0.3, 0),
                (0.0596, 0.1193, 0.3333),
                (0.3468, 1.1633, 1.1633),
            ],
        ),
        (
            ConFIG(),
            [
                (0.3536, 0.8536),
                (2.0607, 0.8536),
                (5.5, 5.5),
                None,
                (0.1782, 0.4302, 0.6822),
                (0.1588, 2.0706, 2.0706),
            ],
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, GramianWeighting) else "",
)
def test_updates_of_the_worked_examples(
    method: GramianWeighting, expected: list[tuple[float, ...] | None]
) -> None:
    for rows, wanted in zip((F1, F2, F3, F4, F5, F7), expected, strict=True):
        if wanted is not None:
            assert update(method, rows) == pytest.approx(wanted, abs=1e-3), rows


@pytest.mark.parametrize("method", ALL, ids=NAMES)
def test_one_task_alone_keeps_its_direction(method: GramianWeighting) -> None:
    found = update(method, [[3.0, 4.0]])

    assert found[1] / found[0] == pytest.approx(4 / 3)
    assert found[0] > 0


@pytest.mark.parametrize("method", ALL, ids=NAMES)
@pytest.mark.parametrize("rows", [F4, F6, [[0.0, 0.0], [1.0, 0.0]], [[1.0, 2.0], [1.0, 2.0]]])
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_gradients_that_cancel_vanish_or_agree_give_finite_weights(
    method: GramianWeighting, rows: Rows, scale: float
) -> None:
    weights(method, [[scale * one for one in row] for row in rows])


@pytest.mark.parametrize("method", [UPGrad(), MGDA(), DualProj(), IMTLG(), PCGrad()])
def test_the_order_of_tasks_has_no_say(method: GramianWeighting) -> None:
    for order in itertools.permutations(range(3)):
        if isinstance(method, PCGrad):
            continue  # it has: the others come in random order
        turned = weights(method, [F5[i] for i in order])
        assert turned == pytest.approx(weights(method, F5)[list(order)], abs=1e-9)


def random_rows(seed: int, num: int, width: int, rank: int) -> list[list[float]]:
    draw = torch.Generator().manual_seed(seed)
    left = torch.randn(num, rank, generator=draw, dtype=torch.float64)
    right = torch.randn(rank, width, generator=draw, dtype=torch.float64)
    return (left @ right).tolist()  # type: ignore[no-any-return]


CASES = st.tuples(st.integers(0, 10**6), st.integers(1, 8), st.integers(1, 8), st.integers(1, 8))


@settings(max_examples=300)
@given(CASES)
def test_upgrad_and_dualproj_never_conflict(case: tuple[int, int, int, int]) -> None:
    rows = random_rows(*case)
    size = max(sum(one**2 for one in row) for row in rows)

    for method in (UPGrad(), DualProj()):
        assert min(gains(method, rows)) >= -1e-7 * size
        assert min(weights(method, rows).tolist()) >= -1e-9


@settings(max_examples=200)
@given(CASES)
def test_mgda_is_the_shortest_point_between_the_gradients(case: tuple[int, int, int, int]) -> None:
    rows = random_rows(*case)
    found = weights(MGDA(), rows)
    square = sum(one**2 for one in update(MGDA(), rows))
    size = max(sum(one**2 for one in row) for row in rows)

    assert float(found.sum()) == pytest.approx(1)
    assert float(found.min()) >= -1e-9
    assert min(gains(MGDA(), rows)) >= square - 1e-6 * size


@settings(max_examples=200)
@given(CASES, st.booleans())
def test_the_solver_meets_the_conditions_of_a_minimum(
    case: tuple[int, int, int, int], has_total: bool
) -> None:
    jacobian = torch.tensor(random_rows(*case), dtype=torch.float64)
    gramian = jacobian @ jacobian.T
    linear = gramian @ torch.randn(
        len(gramian), generator=torch.Generator().manual_seed(case[0]), dtype=torch.float64
    )

    found = nonnegative(gramian, linear, total=1.0 if has_total else None)

    slope = gramian @ found + linear
    level = float(slope[found > 1e-9].mean()) if has_total else 0.0
    size = float(gramian.diagonal().max()) + float(linear.abs().max())
    assert float(found.min()) >= -1e-12
    assert float(slope.min()) >= level - 1e-6 * size
    assert float((slope[found > 1e-9] - level).abs().sum()) <= 1e-5 * size
    if has_total:
        assert float(found.sum()) == pytest.approx(1)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 8), st.sampled_from([0.5, 1.0, 2.0, 5.0]))
def test_fair_weights_solve_their_equation(seed: int, num: int, alpha: float) -> None:
    jacobian = torch.tensor(random_rows(seed, num, num + 2, num + 2), dtype=torch.float64)
    gramian = jacobian @ jacobian.T

    found = weights(FairGrad(alpha=alpha), jacobian.tolist())

    assert float(found.min()) > 0
    assert (gramian @ found).tolist() == pytest.approx((found ** (-1 / alpha)).tolist(), rel=1e-3)


def test_upgrad() -> None:
    assert gains(UPGrad(), F5) == pytest.approx((0.1111, 0.1667, 0.3333), abs=1e-4)
    assert weights(UPGrad(), F5).tolist() == pytest.approx((1, 0.8889, 0.6111), abs=1e-4)
    assert update(UPGrad(), F6) == pytest.approx((0, 0), abs=1e-9)

    def scaled(one: float, other: float) -> list[float]:
        return update(UPGrad(), [[one * x for x in F1[0]], [other * x for x in F1[1]]])

    both = [a + b for a, b in zip(scaled(2, 1), scaled(1, 3), strict=True)]
    assert both == pytest.approx((0.75, 2.75))
    assert scaled(3, 4) == pytest.approx((0.75, 2.75))
    assert weights(UPGrad(), F2).tolist() == pytest.approx([0.5, 0.5])


def test_pcgrad() -> None:
    def fixed(rows: Rows, *order: int) -> list[float]:
        jacobian = torch.tensor(rows, dtype=torch.float64)
        orders = [[one - 1 for one in order]] * len(rows)
        found = without_conflicts(jacobian @ jacobian.T, orders)
        return [float(one) for one in found @ jacobian]

    assert weights(PCGrad(), F1).tolist() == pytest.approx([2, 1.5])
    assert update(PCGrad(), F1) == pytest.approx((0.5, 1.5))
    assert update(PCGrad(), F2) == pytest.approx((2, 1))
    assert update(PCGrad(), F3) == pytest.approx((1, 10))
    assert update(PCGrad(), F4) == pytest.approx((0, 0))
    assert update(PCGrad(), F7) == pytest.approx((0.5848, 3.8012, 3.8012), abs=1e-4)
    assert fixed(F5, 1, 2, 3) == pytest.approx((0, 0.25, 1.75))
    assert fixed(F6, 1, 2, 3) == pytest.approx((0.5, 0.5))
    assert fixed(F6, 3, 2, 1) == pytest.approx((0, 0))
    # Only the others count: with its own row among them this would be (0, -.1).
    assert fixed([[-2, -1], [-1, 1], [1, 0]], 1, 2, 3) == pytest.approx((-0.1, -0.1))
    assert update(PCGrad(), [*F1, F1[1]]) == pytest.approx((0.5, 2.5))
    assert update(PCGrad(), F1) == pytest.approx([2 * one for one in update(UPGrad(), F1)])


def test_pcgrad_takes_a_new_order_each_time() -> None:
    torch.manual_seed(0)

    found = {tuple(round(one, 6) for one in update(PCGrad(), F6)) for _ in range(40)}

    assert len(found) > 1


def test_gradvac() -> None:
    method = GradVac(beta=0.5)
    expected = [((0.5, 1.5), -0.3536), ((0.3110, 1.3110), -0.5303), ((0.1872, 1.1872), -0.6187)]
    for wanted, usual in expected:
        assert update(method, F1) == pytest.approx(wanted, abs=1e-4)
        assert method.usual["0"]["1"] == pytest.approx(usual, abs=1e-4)

    never = GradVac(beta=0)
    assert [update(never, F1) for _ in range(3)] == [pytest.approx((0.5, 1.5))] * 3


def test_gradvac_turns_a_gradient_to_the_cosine_that_is_usual() -> None:
    method = GradVac(beta=0.0)
    method.usual = {"0": {"1": 0.5}, "1": {"0": -1.0}}

    found = weights(method, F1)

    turned = [one - other for one, other in zip(update(method, F1), F1[1], strict=True)]
    cosine = (turned[1] - turned[0]) / (math.hypot(*turned) * math.sqrt(2))
    assert cosine == pytest.approx(0.5)
    assert turned == pytest.approx((0.2113, 0.7887), abs=1e-4)
    assert len(found) == 2


def test_gradvac_keeps_what_it_knows_of_absent_tasks_and_by_name() -> None:
    method = GradVac()
    jacobian = torch.tensor(F1, dtype=torch.float64)
    gramian = jacobian @ jacobian.T
    method.weigh(gramian, {"a": 1.0, "b": 1.0})
    before = {name: dict(others) for name, others in method.usual.items()}

    method.weigh(gramian[:1, :1], {"c": 1.0})
    assert {name: method.usual[name] for name in before} == before
    method.weigh(gramian.flip(0, 1), {"b": 1.0, "a": 1.0})
    assert method.usual["a"]["b"] == pytest.approx(-0.5303, abs=1e-4)


def test_mgda() -> None:
    assert weights(MGDA(), F1).tolist() == pytest.approx([0.6, 0.4])
    assert gains(MGDA(), F1) == pytest.approx([0.2, 0.2])
    assert weights(MGDA(), F5).tolist() == pytest.approx((0.4286, 0.3571, 0.2143), abs=1e-4)
    assert gains(MGDA(), F5) == pytest.approx([1 / 14] * 3)
    assert update(MGDA(), F6) == pytest.approx((0, 0), abs=1e-9)
    assert update(MGDA(), [*F1, F1[0]]) == pytest.approx((0.2, 0.4))
    assert update(MGDA(), [*F1, [0, 0]]) == pytest.approx((0, 0), abs=1e-9)


def test_cagrad() -> None:
    assert update(CAGrad(c=0), F1) == pytest.approx((0, 0.5))
    assert update(CAGrad(c=0.5), F1) == pytest.approx((0.25, 0.5), abs=1e-4)
    assert update(CAGrad(c=0.5), F7) == pytest.approx((0.1835, 1.2041, 1.2041), abs=1e-3)
    for rows in (F1, F2, F3, F5, F7):
        mean = [sum(column) / len(rows) for column in zip(*rows, strict=True)]
        away = math.dist(update(CAGrad(c=0.4), rows), mean)
        assert away == pytest.approx(0.4 * math.hypot(*mean), rel=1e-4)
    assert gains(CAGrad(c=0.4), F4) == pytest.approx((-0.3, 0.6), abs=1e-6)


def test_imtl_g() -> None:
    for rows, along in ((F1, 0.1716), (F3, 0.9091), (F5, 0.0578)):
        found = [
            gain / math.hypot(*row) for gain, row in zip(gains(IMTLG(), rows), rows, strict=True)
        ]
        assert found == pytest.approx([along] * len(rows), abs=1e-4)
    assert weights(IMTLG(), F1).tolist() == pytest.approx((0.5858, 0.4142), abs=1e-4)
    longer = update(IMTLG(), [[5, 0], [-1, 1]])
    assert longer[1] / longer[0] == pytest.approx(0.4142 / 0.1716, abs=1e-2)
    assert update(IMTLG(), F6) == pytest.approx((0, 0), abs=1e-9)
    near = update(IMTLG(), [[1, 0], [-2, 1e-3]])
    assert near == pytest.approx((0, 0), abs=1e-3)  # no jump to what antiparallel gradients give


def test_nash_and_fairgrad() -> None:
    free = NashMTL(max_length=None)
    assert weights(free, F1).tolist() == pytest.approx((1.8478, 1.3066), abs=1e-4)
    assert weights(free, F5).tolist() == pytest.approx((2.6693, 2.2946, 1.4842), abs=1e-4)
    for scales in ((2, 1), (1, 3)):
        rows = [[scale * one for one in row] for scale, row in zip(scales, F1, strict=True)]
        assert update(free, rows) == pytest.approx(update(free, F1), abs=1e-6)
    assert gains(free, F5) == pytest.approx([1 / float(w) for w in weights(free, F5)])
    assert update(FairGrad(alpha=1), F7) == pytest.approx(update(free, F7))
    assert weights(FairGrad(alpha=0.5), F1).tolist() == pytest.approx((1.5647, 1.1563), abs=1e-4)
    assert update(NashMTL(), F7) == pytest.approx((0.0542, 0.7061, 0.7061), abs=1e-4)
    assert math.hypot(*update(NashMTL(), F4)) < 1e-3


def test_aligned_mtl() -> None:
    assert weights(AlignedMTL(), F1).tolist() == pytest.approx((0.5528, 0.4146), abs=1e-4)
    assert update(AlignedMTL(), [[0, 3], [3, 0]]) == pytest.approx((1.5, 1.5))
    found = weights(AlignedMTL(), F3)
    assert [float(w) * math.hypot(*row) for w, row in zip(found, F3, strict=True)] == pytest.approx(
        [0.5, 0.5]
    )


def test_db_mtl() -> None:
    losses = (0.5, 2.0)
    assert update(DBMTL(), F1, losses) == pytest.approx((0.5858, 1.4142), abs=1e-4)
    scaled = update(DBMTL(), [[30 * one for one in F1[0]], F1[1]], (15.0, 2.0))
    assert scaled == pytest.approx((0.5858, 1.4142), abs=1e-4)
    assert update(DBMTL(), [[1, 0], [0, 0]], losses) == pytest.approx((2, 0))


def test_pcd() -> None:
    found = update(PCD(main="0"), F1)
    assert found == pytest.approx((0.6868, 0.7268), abs=1e-4)
    assert math.hypot(*found) == pytest.approx(1)
    assert update(PCD(main="0"), F2) == pytest.approx((1, 0))
    assert update(PCD(main="0"), [F1[0], [-7, 7]]) == pytest.approx((0.6868, 0.7268), abs=1e-4)
    assert update(PCD(main="0"), [[0, 0], [1, 1]]) == pytest.approx((0, 0))
    assert update(PCD(main="0"), [[1, 1], [0, 1], [0, -1]]) == pytest.approx((1, 1))
    assert weights(PCD(main="9"), F1).tolist() == [1, 1]


def test_gradnorm() -> None:
    losses = {"0": 0.5, "1": 1.0}
    for alpha, target in ((0.0, 2.5), (1.5, 1.3608)):
        method = GradNorm(alpha=alpha)
        method.first = {"0": 1.0, "1": 1.0}

        def slopes(one: float, other: float, method: GradNorm = method) -> list[float]:
            sizes, ones = torch.tensor([one, other]).double(), torch.ones(2).double()
            return [float(slope) for slope in method.slopes(sizes, ones, losses)]

        assert slopes(1.0, 4.0) == [-1.0, 4.0]
        # Of a mean of 2.5 the first is to have 2.5, or 2.5 times (2/3)^1.5 = 1.3608.
        assert (
            slopes(target - 0.001, 5.001 - target)[0]
            < 0
            < slopes(target + 0.001, 4.999 - target)[0]
        )

    even = GradNorm()
    for _ in range(3):
        assert weights(even, [[2, 0], [0, 2]], (3.0, 3.0)).tolist() == [1, 1]


def test_gradnorm_evens_out_lengths_and_keeps_its_sum() -> None:
    method = GradNorm(alpha=0.0, lr=0.01)
    for _ in range(600):
        found = weights(method, F3)

    assert float(found.sum()) == pytest.approx(2)
    assert float(found[0]) * 1 == pytest.approx(float(found[1]) * 10, rel=0.15)


def test_gradnorm_does_not_wind_up() -> None:
    method = GradNorm(alpha=0.0)
    rows = [[1000, 0, 0], [0, 1, 0], [0, 0, 1]]
    for _ in range(500):
        weights(method, rows)

    kept = 1 + method.added["0"]

    assert 0.003 < kept < 0.02
    assert float(weights(method, rows)[0]) == pytest.approx(max(kept, 0.01), rel=0.01)


def test_short_gradients_are_projected_as_exactly_as_long_ones() -> None:
    rows = [[1.0, 0.0, 0.0], [-0.5, 0.9, 0.0], [0.0, 0.0, 1e6]]

    assert min(gains(UPGrad(), rows)[:2]) >= -1e-9
    assert weights(UPGrad(), rows)[:2].tolist() == pytest.approx(
        (weights(UPGrad(), rows[:2]) * 2 / 3).tolist()
    )
    assert weights(GradVac(beta=1), [[1, 0], [1, 0]]).isfinite().all()

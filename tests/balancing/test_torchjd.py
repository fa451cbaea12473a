"""Our weights against those of TorchJD and of SciPy on random gradients."""

import json
import sys
import warnings

import numpy as np
import pytest
import torch
from scipy.optimize import minimize, nnls
from torch import Tensor
from torchjd.aggregation import (
    AlignedMTLWeighting,
    FairGradWeighting,
    IMTLGWeighting,
    MGDAWeighting,
    Weighting,
)

from polytask.balancing.aligned_mtl import AlignedMTL
from polytask.balancing.cagrad import CAGrad
from polytask.balancing.dualproj import DualProj
from polytask.balancing.fairgrad import FairGrad
from polytask.balancing.gramian import GramianWeighting
from polytask.balancing.imtl_g import IMTLG
from polytask.balancing.mgda import MGDA
from polytask.balancing.torchjd import TorchJD
from polytask.balancing.upgrad import UPGrad
from polytask.errors import ConfigError, MissingExtra


def random_rows(seed: int, num: int) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(num, num + 3, generator=draw, dtype=torch.float64)


def random_gramian(seed: int, num: int) -> Tensor:
    jacobian = random_rows(seed, num)
    return jacobian @ jacobian.T


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (AlignedMTL(), AlignedMTLWeighting()),
        (FairGrad(alpha=2.0), FairGradWeighting(alpha=2.0)),
        (IMTLG(), IMTLGWeighting()),
        (MGDA(), MGDAWeighting(epsilon=1e-9, max_iters=20_000)),
    ],
    ids=lambda one: type(one).__name__,
)
@pytest.mark.parametrize("num", [2, 3, 6])
def test_weights_are_alike(ours: GramianWeighting, theirs: Weighting[Tensor], num: int) -> None:
    for seed in range(5):
        gramian = random_gramian(seed, num)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = theirs(gramian)

        found = ours.weigh(gramian, {str(i): 1.0 for i in range(num)})

        assert found.tolist() == pytest.approx(expected.tolist(), abs=2e-3)


@pytest.mark.parametrize("num", [2, 3, 6])
def test_projections_are_those_of_nonnegative_least_squares(num: int) -> None:
    for seed in range(5):
        rows = random_rows(seed, num)
        columns, losses = rows.T.numpy(), {str(i): 1.0 for i in range(num)}
        units = [*np.eye(num) / num, np.full(num, 1 / num)]
        projected = [unit + nnls(columns, -columns @ unit)[0] for unit in units]

        upgrad = UPGrad().weigh(rows @ rows.T, losses)
        dualproj = DualProj().weigh(rows @ rows.T, losses)

        assert upgrad.tolist() == pytest.approx(sum(projected[:-1]).tolist(), abs=1e-8)
        assert dualproj.tolist() == pytest.approx(projected[-1].tolist(), abs=1e-8)


@pytest.mark.parametrize("num", [2, 3, 6])
@pytest.mark.parametrize("c", [0.1, 0.5, 0.9])
def test_cagrad_is_at_the_minimum_that_scipy_finds(num: int, c: float) -> None:
    for seed in range(5):
        gramian = random_gramian(seed, num)
        g, even = gramian.numpy(), np.full(num, 1 / num)
        radius = c * np.sqrt(even @ g @ even)
        found = minimize(
            lambda w, g=g, even=even, radius=radius: w @ g @ even + radius * np.sqrt(w @ g @ w),
            even,
            bounds=[(0, 1)] * num,
            constraints={"type": "eq", "fun": lambda w: w.sum() - 1},
            options={"ftol": 1e-14, "maxiter": 1000},
        ).x

        weights = CAGrad(c=c).weigh(gramian, {str(i): 1.0 for i in range(num)})

        expected = even + radius * found / np.sqrt(found @ g @ found)
        assert weights.tolist() == pytest.approx(expected.tolist(), abs=2e-3)


def test_the_adapter_gives_the_weights_of_the_library() -> None:
    gramian = random_gramian(3, 4)
    losses = dict.fromkeys("abcd", 1.0)

    ours = TorchJD(weighting="IMTLG").weigh(gramian, losses)

    assert torch.equal(ours, IMTLGWeighting()(gramian))
    assert TorchJD(weighting="Krum", options={"n_byzantine": 1}).weigh(gramian, losses).sum() == 1


def test_a_weighting_of_whole_gradients_gets_rows_with_the_same_scalar_products() -> None:
    weights = TorchJD(weighting="Sum").weigh(random_gramian(3, 4), dict.fromkeys("abcd", 1.0))

    assert weights.tolist() == [1, 1, 1, 1]


def test_what_a_weighting_of_the_library_remembers_outlives_a_restart() -> None:
    one, other = TorchJD(weighting="GradVac"), TorchJD(weighting="GradVac")
    for seed in range(4):
        one.weigh(random_gramian(seed, 3), {"a": 1.0, "b": 2.0, "c": 3.0})
        one.weigh(random_gramian(seed, 2), {"a": 1.0, "c": 2.0})

    other.load_state_dict(json.loads(json.dumps(one.state_dict())))

    for tasks in ("abc", "ac"):
        gramian, losses = random_gramian(9, len(tasks)), dict.fromkeys(tasks, 1.0)
        torch.manual_seed(0)
        expected = one.weigh(gramian, losses)
        torch.manual_seed(0)
        assert torch.equal(other.weigh(gramian, losses), expected)


@pytest.mark.parametrize(
    ("weighting", "options", "message"),
    [
        ("UPGrat", {}, "TorchJD has no 'UPGrat'. Did you mean 'UPGrad'"),
        ("IMTLG", {"c": 1.0}, "TorchJD refuses IMTLGWeighting: "),
        ("Krum", {}, "TorchJD refuses KrumWeighting: .*n_byzantine"),
        ("Constant", {"weights": 1.0}, "TorchJD refuses ConstantWeighting: "),
        ("MoDo", {}, "MoDo of TorchJD remembers whole gradients, or wants those of two batches"),
    ],
)
def test_what_the_library_does_not_know_is_told(
    weighting: str, options: dict[str, bool | int | float | str], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        TorchJD(weighting=weighting, options=options)


def test_without_the_library_the_install_line_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchjd", None)

    with pytest.raises(MissingExtra, match=r"pip install 'polytask\[torchjd\]'"):
        TorchJD(weighting="UPGrad")


def test_where_no_direction_helps_all_cagrad_keeps_to_the_mean() -> None:
    rows = torch.tensor([[1.0, 0.1], [-1.0, -0.1], [0.0, 1.0]], dtype=torch.float64)

    weights = CAGrad().weigh(rows @ rows.T, dict.fromkeys("abc", 1.0))

    assert weights.abs().max() < 2

"""Small convex problems over the weights of a few tasks, exactly, in float64."""

from collections.abc import Callable

import torch
from torch import Tensor

_TINY = 1e-12


def nonnegative(quadratic: Tensor, linear: Tensor, *, total: float | None = None) -> Tensor:
    """The w >= 0 of least w'Aw / 2 + b'w, with the sum `total` if given: (tasks,).

    quadratic: (tasks, tasks), positive semi-definite; linear: (tasks,), bounded below. By active
    sets (Lawson and Hanson, "Solving Least Squares Problems", 1974, chapter 23).
    """
    if total is None:  # each task in its own unit: short gradients count like long ones
        sizes = quadratic.diagonal().clamp(min=0).sqrt()
        units = torch.where(sizes > 0, 1 / sizes, 1.0)
        scale = (linear * units).abs().max().clamp(min=1e-300)
        found = _solved(units[:, None] * quadratic * units, linear * units / scale, None)
        return units * found * scale
    scale = quadratic.diagonal().abs().max().clamp(min=_TINY)
    return _solved(quadratic / scale, linear / scale, total)


def _solved(a: Tensor, b: Tensor, total: float | None) -> Tensor:
    num = len(b)
    weights = torch.zeros(num, dtype=torch.float64)
    passive = torch.zeros(num, dtype=torch.bool)
    if total is not None:
        start = int((a.diagonal() * total / 2 + b).argmin())
        weights[start], passive[start] = total, True
    for _ in range(4 * num + 8):
        slope = a @ weights + b  # (tasks,)
        level = float(slope[passive].mean()) if total is not None else 0.0
        gain = (level - slope).masked_fill(passive, -torch.inf)
        best = int(gain.argmax())
        if float(gain[best]) <= 1e-10:
            break
        passive[best] = True
        weights = _feasible(a, b, weights, passive, total)
    return weights


def _feasible(
    a: Tensor, b: Tensor, weights: Tensor, passive: Tensor, total: float | None
) -> Tensor:
    """The best weights of the passive tasks, of which those that would turn negative leave."""
    while True:
        target = _on(a, b, passive, total)
        falling = passive & (target <= _TINY)
        if not falling.any():
            return target
        step = (weights[falling] / (weights[falling] - target[falling]).clamp(min=_TINY)).min()
        weights = weights + step.clamp(0, 1) * (target - weights)
        leaving = passive & (weights <= _TINY)
        passive &= ~(leaving if leaving.any() else falling)
        weights = weights.masked_fill(~passive, 0.0)
        if not passive.any():
            return weights


def _on(a: Tensor, b: Tensor, passive: Tensor, total: float | None) -> Tensor:
    """The stationary point on the passive tasks: of least norm where it is not the only one."""
    places = passive.nonzero().flatten()
    num = len(places)
    system, side = a[places][:, places], -b[places]
    if total is not None:
        ones = torch.ones(num, 1, dtype=torch.float64)
        corner = torch.zeros(1, 1, dtype=torch.float64)
        system = torch.cat([torch.cat([system, ones], 1), torch.cat([ones.T, corner], 1)])
        side = torch.cat([side, torch.tensor([total], dtype=torch.float64)])
    found = least_squares(system, side)[:num]
    return torch.zeros(len(b), dtype=torch.float64).index_put((places,), found)


def least_squares(system: Tensor, side: Tensor) -> Tensor:
    """The solution of least norm, singular values below 1e-12 of the largest being 0."""
    found: Tensor = torch.linalg.pinv(system, rtol=1e-12) @ side
    return found


def crossing(falling: Callable[[float], float], low: float, high: float) -> float:
    """Where a falling function is 0 between two places, or the end that is nearer to it.

    By regula falsi, halving the value at an end that stays (the Illinois variant).
    """
    tolerance = 1e-9 * high
    above, below = falling(low), falling(high)
    if above <= 0 or below >= 0:
        return low if above <= 0 else high
    middle, moved = low, 0
    for _ in range(60):
        middle = (low * below - high * above) / (below - above)
        found = falling(middle)
        if abs(found) < tolerance or high - low < tolerance:
            break
        if found > 0:
            low, above, below = middle, found, below / 2 if moved > 0 else below
        else:
            high, below, above = middle, found, above / 2 if moved < 0 else above
        moved = 1 if found > 0 else -1
    return middle


def power_balanced(gramian: Tensor, power: float) -> Tensor:
    """The w > 0 with (Gw)_k = w_k^-power, by Newton's method on logarithms: (tasks,).

    It is the least point of w'Gw / 2 less the sum of w_k^(1 - power) / (1 - power), ln w_k for
    power 1: convex. A trace of the identity keeps it finite where gradients cancel.
    """
    num = len(gramian)
    scale = gramian.diagonal().mean().clamp(min=_TINY)
    g = gramian / scale + 1e-9 * torch.eye(num, dtype=torch.float64)
    logs = -g.diagonal().log() / (1 + power)  # exact for orthogonal gradients

    def excess(logs: Tensor) -> Tensor:
        """w_k (Gw)_k - w_k^(1 - power): the slope in logarithms."""
        w = logs.exp()
        return w * (g @ w) - (logs * (1 - power)).exp()

    def height(logs: Tensor) -> Tensor:
        w = logs.exp()
        utility = logs if power == 1 else ((1 - power) * logs).exp() / (1 - power)
        return w @ g @ w / 2 - utility.sum()

    for _ in range(200):
        slope = excess(logs)
        w = logs.exp()
        curve = w[:, None] * g * w + torch.diag(
            w * (g @ w) - (1 - power) * ((1 - power) * logs).exp()
        )
        damping = 1e-12 * float(curve.diagonal().abs().max())
        identity = torch.eye(num, dtype=torch.float64)
        step = torch.linalg.solve(curve + damping * identity, -slope).clamp(-2, 2)
        while height(logs + step) > height(logs) + 1e-12 and damping < 1e12:
            damping *= 10
            step = torch.linalg.solve(curve + damping * identity, -slope).clamp(-2, 2)
        logs = logs + step
        if float(step.abs().max()) < 1e-12:
            break
    return logs.exp() * scale ** (-1 / (1 + power))

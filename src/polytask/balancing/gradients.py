"""Gradients of each task on the encoder, weighed by a method and combined."""

import math
from collections.abc import Mapping, Sequence
from typing import Literal, final

from torch import Tensor, nn

from polytask.balancing.balancer import Balancer, Passes, Setting
from polytask.balancing.exact import Exact, Probe
from polytask.balancing.gramian import GramianWeighting
from polytask.balancing.sketched import Replayed, Stale
from polytask.balancing.spaces import Space, SpaceName
from polytask.balancing.way import Way
from polytask.errors import ConfigError
from polytask.processes import of_first

WayName = Literal["exact", "stale", "probe", "sketch"]

_WAYS: Mapping[WayName, type[Way]] = {
    "exact": Exact,
    "stale": Stale,
    "probe": Probe,
    "sketch": Replayed,
}


def gradient_section(*, gradients: WayName = "stale", space: SpaceName | None = None) -> None:
    """Keys of every method that weighs tasks by their gradients: how it gets them, and where."""


@final
class GradientBalancer(Balancer):
    """The encoder gets the weighted sum of the tasks' gradients, heads their own, unweighted.

    Passes hold rows of one feed. `gradients` is the way to the scalar products that the method
    weighs: those of this step (`exact`, `probe`, `sketch`) or averages of steps before (`stale`).
    `space` says on which parameters gradients are compared: by default on all, but on the last
    block where tasks read the same rows, since every task of a row costs a backward so far.
    """

    def __init__(
        self,
        method: GramianWeighting,
        gradients: WayName = "stale",
        space: SpaceName | None = None,
    ) -> None:
        self.method = method
        self._name = gradients
        self._space = space
        self._way = _WAYS[gradients]()

    def check(self, tasks: list[str]) -> None:
        """Raises ConfigError if an option names a task that does not exist, or says nothing."""
        self.method.check(tasks)
        if self._name == "exact" and self._space not in (None, "all"):
            raise ConfigError(
                f"`gradients: exact` holds whole gradients. With `space: {self._space}` "
                "say `gradients: probe`, or leave `space:` out."
            )
        if self._name == "probe" and self._space == "all":
            raise ConfigError(
                "`gradients: probe` looks at a part of the encoder. With `space: all` "
                "say `gradients: exact`, or leave `space:` out."
            )

    def attach(self, setting: Setting) -> list[str]:
        """Chooses the space. Raises ConfigError if the encoder trains nothing there."""
        groups = [some for some in setting.together if len(some) > 1]
        name = self._space or self._usual_space(has_groups=bool(groups))
        space = Space(setting.encoder, name)
        self._way.attach(space, setting)
        size = sum(parameter.numel() for parameter in space.parameters)
        notes = [f"Gradients of tasks are compared on {size:,} numbers ({self._name}, {name})."]
        if space.is_all and groups:
            listed = "; ".join(", ".join(some) for some in groups)
            notes.append(
                f"Tasks that read the same rows cost a backward of the encoder each: {listed}. "
                "`balancing: {gradients: probe}` needs one for all."
            )
        return notes

    def _usual_space(self, *, has_groups: bool) -> SpaceName:
        if self._name == "exact":
            return "all"
        return "last_block" if has_groups or self._name == "probe" else "all"

    @property
    def parameters(self) -> Sequence[nn.Parameter]:
        """Those that gradients are compared on."""
        return self._way.space.parameters

    @property
    def is_apart(self) -> bool:
        """Yes."""
        return True

    def backward(self, passes: Passes) -> dict[str, float]:
        """The gradients of a step, the way that was asked for."""
        return self._way.backward(passes, self._weigh)

    def _weigh(self, gramian: Tensor, losses: Mapping[str, float]) -> dict[str, float]:
        if not gramian.isfinite().all() or not all(map(math.isfinite, losses.values())):
            return dict.fromkeys(losses, 1.0)  # the step will be refused
        weights = self.method.weigh(gramian, losses).tolist()
        return of_first(dict(zip(losses, weights, strict=True)))

    @property
    def looks_back(self) -> bool:
        """No."""
        return False

    def look_back(self, losses: Mapping[str, float]) -> None:
        """Nothing."""

    def state_dict(self) -> dict[str, object]:
        """That of the method, and of the way."""
        return {"method": self.method.state_dict(), "way": self._way.state_dict()}

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Takes them back."""
        method, way = state["method"], state["way"]
        assert isinstance(method, dict)  # noqa: S101
        assert isinstance(way, dict)  # noqa: S101
        self.method.load_state_dict(method)
        self._way.load_state_dict(way)

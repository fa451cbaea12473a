"""The state of a run as named tensors and plain values, and back."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import cast

from torch import Tensor

from polytask.errors import RunError
from polytask.model import MultiTaskModel
from polytask.processes import any_of
from polytask.training.checkpoint import Snapshot
from polytask.training.loop import Loop
from polytask.training.position import Position
from polytask.training.random import own_random_state, random_states, set_random_state
from polytask.training.sharding import parts, spread_like, whole


def take_snapshot(loop: Loop, extra: Mapping[str, object]) -> Snapshot:
    """Everything that the loop needs to go on from here; `extra` is kept beside it."""
    return Snapshot(
        step=loop.position.step,
        tensors={
            "model": unique_weights(loop.model),
            "optimizer": _optimizer_tensors(loop),
            "random": random_states(loop.device),
        },
        values={
            "position": asdict(loop.position),
            "mixer": loop.experiment.mixer.state_dict(),
            "balancer": loop.experiment.balancer.state_dict(),
            "mixed_precision": loop.mixed.state_dict(),
            **extra,
        },
    )


def restore(loop: Loop, snapshot: Snapshot) -> None:
    """Puts the loop where the snapshot was taken."""
    restore_weights(loop, snapshot)
    random = own_random_state(snapshot.tensors["random"])
    if random is not None:
        set_random_state(random, loop.device)
    loop.position = Position(**cast(dict[str, float], snapshot.values["position"]))  # type: ignore[arg-type]
    loop.experiment.mixer.load_state_dict(cast(dict[str, object], snapshot.values["mixer"]))
    loop.experiment.balancer.load_state_dict(cast(dict[str, object], snapshot.values["balancer"]))
    if mixed := snapshot.values.get("mixed_precision"):
        loop.mixed.load_state_dict(cast(dict[str, object], mixed))


def restore_weights(loop: Loop, snapshot: Snapshot) -> None:
    """Takes back weights and optimizer state, and leaves the position in the data as it is.

    Raises RunError if the snapshot is not of this model.
    """
    aliases = _aliases(loop.model)
    fit = loop.model.load_state_dict(dict(snapshot.tensors["model"]), strict=False)
    faults = [f"{name} is missing" for name in fit.missing_keys if name not in aliases]
    faults += [f"{name} is unknown" for name in fit.unexpected_keys]
    if faults:
        raise RunError(
            f"the checkpoint of step {snapshot.step} is not of this model: {', '.join(faults)}. "
            "Use another --out, or --overwrite to train anew."
        )
    saved = snapshot.tensors["optimizer"]
    loop.optimizer.state.clear()
    for name, parameter in loop.model.named_parameters():
        entries = {
            key.removeprefix(f"{name}:"): tensor
            for key, tensor in saved.items()
            if key.startswith(f"{name}:")
        }
        if entries:
            loop.optimizer.state[parameter] = {
                key: spread_like(tensor, parameter) for key, tensor in entries.items()
            }


def is_finite(loop: Loop) -> bool:
    """Whether every weight and all of the optimizer's state is finite."""
    states = [tensor for held in loop.optimizer.state.values() for tensor in held.values()]
    tensors = parts([*loop.model.parameters(), *loop.model.buffers(), *states])
    [is_broken] = any_of([not all(bool(tensor.isfinite().all()) for tensor in tensors)])
    return not is_broken


def unique_weights(model: MultiTaskModel) -> dict[str, Tensor]:
    """The weights by name; of tensors that share memory, the first name only."""
    aliases = _aliases(model)
    return {name: one for name, one in model.state_dict().items() if name not in aliases}


def _aliases(model: MultiTaskModel) -> set[str]:
    """Further names of tensors that have one already."""
    found: set[str] = set()
    seen: set[int] = set()
    for name, tensor in (
        *model.named_parameters(remove_duplicate=False),
        *model.named_buffers(remove_duplicate=False),
    ):
        if id(tensor) in seen:
            found.add(name)
        seen.add(id(tensor))
    return found


def _optimizer_tensors(loop: Loop) -> dict[str, Tensor]:
    return {
        f"{name}:{key}": whole(value)
        for name, parameter in loop.model.named_parameters()
        for key, value in loop.optimizer.state.get(parameter, {}).items()
    }

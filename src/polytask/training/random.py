"""The generators that training draws from."""

from collections.abc import Mapping

import torch
from torch import Tensor

from polytask.processes import gathered, place


def random_state(device: torch.device) -> dict[str, Tensor]:
    """Their state, by name."""
    found = {"torch": torch.get_rng_state()}
    return found | ({"cuda": torch.cuda.get_rng_state(device)} if device.type == "cuda" else {})


def random_states(device: torch.device) -> dict[str, Tensor]:
    """Those of all processes: by name, and for the others with their number behind it."""
    return {
        f"{name}.{number}" if number else name: tensor
        for number, state in enumerate(gathered(random_state(device)))
        for name, tensor in state.items()
    }


def own_random_state(states: Mapping[str, Tensor]) -> Mapping[str, Tensor] | None:
    """This process's among those of all; None if there were fewer processes."""
    end = f".{place()}" if place() else ""
    found = {name.removesuffix(end): one for name, one in states.items() if name.endswith(end)}
    return found or None


def set_random_state(state: Mapping[str, Tensor], device: torch.device) -> None:
    """Takes back what `random_state` gave."""
    torch.set_rng_state(state["torch"].cpu())
    if "cuda" in state and device.type == "cuda":
        torch.cuda.set_rng_state(state["cuda"].cpu(), device)

"""How strongly each task pulls at the encoder before anything is trained."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch

from polytask.data.feed import Feed
from polytask.model import MultiTaskModel
from polytask.tasks import Task, make_pass
from polytask.training.mixed_precision import MixedPrecision
from polytask.training.random import random_state, set_random_state

_RECORDS = 16
_TOKENS = 2048
_UNEQUAL = 10.0


def scale_warning(sizes: Mapping[str, float]) -> str | None:
    """What to do where one task's gradient is over ten times as long as another's."""
    known = {task: size for task, size in sizes.items() if size > 0 and math.isfinite(size)}
    if len(known) < 2:
        return None
    weak, strong = (choose(known, key=known.__getitem__) for choose in (min, max))
    times = known[strong] / known[weak]
    if times <= _UNEQUAL:
        return None
    return (
        f"At the start the gradient of task {strong} on the encoder is {times:.0f} times as long "
        f"as that of {weak}. If {weak} learns too little, give it a weight (`balancing: {{weights: "
        f"{{{weak}: {times / _UNEQUAL:.0f}}}}}`), or let weights be learned (`balancing: {{kind: "
        "uncertainty}`)."
    )


def gradient_sizes(
    model: MultiTaskModel,
    feeds: Mapping[str, Feed],
    tasks: Mapping[str, Sequence[Task]],
    mixed: MixedPrecision,
) -> dict[str, float]:
    """The length of the gradient on the encoder of each task's mean loss over a few records.

    mixed: that of the model, whose parameters expect losses to be scaled. Generators stand
    afterwards where they stood before.
    """
    device = next(model.parameters()).device
    before = random_state(device)
    shared = [parameter for parameter in model.encoder.parameters() if parameter.requires_grad]
    found: dict[str, float] = {}
    if not shared:
        return found
    for name, feed in feeds.items():
        indices = np.unique(np.linspace(0, len(feed) - 1, _RECORDS).astype(int))
        sizes = np.cumsum(feed.lengths[indices] * feed.num_rows[indices])
        indices = indices[: max(int((sizes <= _TOKENS).sum()), 1)]
        batch = make_pass([(feed, indices)], tasks, tokeniser=model.encoder.tokeniser).to(device)
        logits = model(batch, {name: [task.name for task in tasks[name]]})
        for task in tasks[name]:
            targets = batch.parts[0].targets[task.name]
            num = task.head.count(targets)
            if not num:
                continue
            loss = mixed.scaled(task.head.loss(logits[task.name], targets) / num)
            gradients = torch.autograd.grad(loss, shared, retain_graph=True, allow_unused=True)
            squares = [float(one.float().pow(2).sum()) for one in gradients if one is not None]
            found[task.name] = math.sqrt(math.fsum(squares))
    set_random_state(before, device)
    return found

"""Balancing: from the losses of a step to gradients. Each kind is one file, named here."""

from collections.abc import Mapping

from polytask.balancing.balancer import Balancer, PassLosses
from polytask.balancing.static import Static

BALANCERS: Mapping[str, type[Balancer]] = {"static": Static}

__all__ = ["BALANCERS", "Balancer", "PassLosses"]

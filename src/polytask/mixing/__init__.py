"""Mixing: which data the next batch draws. Each kind is one file; this dict names them."""

from collections.abc import Mapping

from polytask.mixing.mixer import Mixer
from polytask.mixing.proportional import Proportional

MIXERS: Mapping[str, type[Mixer]] = {"proportional": Proportional}

__all__ = ["MIXERS", "Mixer"]

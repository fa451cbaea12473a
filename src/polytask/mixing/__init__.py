"""Mixing: which data the next batch draws. Each kind is one file; this dict names them."""

from collections.abc import Mapping

from polytask.mixing.annealed import Annealed
from polytask.mixing.capped import Capped
from polytask.mixing.exp3 import Exp3
from polytask.mixing.gap import Gap
from polytask.mixing.mixer import Drawn, Mixer, Progress
from polytask.mixing.proportional import Proportional
from polytask.mixing.schedule import Schedule
from polytask.mixing.temperature import Temperature
from polytask.mixing.uniform import Uniform
from polytask.mixing.unimax import UniMax

MIXERS: Mapping[str, type[Mixer]] = {
    "annealed": Annealed,
    "capped": Capped,
    "exp3": Exp3,
    "gap": Gap,
    "proportional": Proportional,
    "schedule": Schedule,
    "temperature": Temperature,
    "uniform": Uniform,
    "unimax": UniMax,
}

__all__ = ["MIXERS", "Drawn", "Mixer", "Progress"]

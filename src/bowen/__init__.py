"""A hybrid differentiable land surface model: LaD physics, learned parameters, one gradient through both.

A name is imported when it is first used, so reading a record never starts JAX, and importing bowen changes nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from bowen.errors import BowenError as BowenError
from bowen.errors import ConfigError as ConfigError
from bowen.errors import DataError as DataError
from bowen.errors import ModelError as ModelError
from bowen.errors import RunError as RunError

if TYPE_CHECKING:
    from bowen.cli.xla_flags import fuse_loops as fuse_loops
    from bowen.cli.xla_flags import fuse_more as fuse_more
    from bowen.cli.xla_flags import use_cores as use_cores
    from bowen.data import read as read
    from bowen.data import read_plumber2 as read_plumber2
    from bowen.data import read_table as read_table
    from bowen.data.features import Scaler as Scaler
    from bowen.evaluation.scores import score as score
    from bowen.land.parameters import Parameters as Parameters
    from bowen.land.step import ImplicitStep as ImplicitStep
    from bowen.land.variables import Forcing as Forcing
    from bowen.land.variables import State as State
    from bowen.models.base import Process as Process
    from bowen.models.hybrid import FluxNetwork as FluxNetwork
    from bowen.models.hybrid import Hybrid as Hybrid
    from bowen.models.rollout import simulate as simulate
    from bowen.models.rollout import spin_up as spin_up
    from bowen.reporting import write_report as write_report
    from bowen.training.arrays import SiteArrays as SiteArrays
    from bowen.training.arrays import to_dataset as to_dataset
    from bowen.training.trainer import train as train

    __version__: str

_HOME = {
    name: module
    for module, names in {
        "bowen.cli.xla_flags": ("fuse_loops", "fuse_more", "use_cores"),
        "bowen.data": ("read", "read_plumber2", "read_table"),
        "bowen.evaluation.scores": ("score",),
        "bowen.models.hybrid": ("FluxNetwork", "Hybrid"),
        "bowen.models.base": ("Process",),
        "bowen.reporting": ("write_report",),
        "bowen.data.features": ("Scaler",),
        "bowen.training.arrays": ("SiteArrays", "to_dataset"),
        "bowen.land.step": ("ImplicitStep",),
        "bowen.models.rollout": ("simulate", "spin_up"),
        "bowen.training.trainer": ("train",),
        "bowen.land.parameters": ("Parameters",),
        "bowen.land.variables": ("Forcing", "State"),
    }.items()
    for name in names
}

__all__ = ["BowenError", "ConfigError", "DataError", "ModelError", "RunError", "__version__", *_HOME]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("bowen")
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value  # found at once the next time
    return value


def __dir__() -> list[str]:
    return sorted(__all__)

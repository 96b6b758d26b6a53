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
    from bowen.adaptive import AdaptiveStep as AdaptiveStep
    from bowen.compiler import fuse_loops as fuse_loops
    from bowen.compiler import fuse_more as fuse_more
    from bowen.compiler import use_cores as use_cores
    from bowen.data import read as read
    from bowen.data import read_plumber2 as read_plumber2
    from bowen.data import read_table as read_table
    from bowen.evaluate import score as score
    from bowen.features import Scaler as Scaler
    from bowen.hybrid import Hybrid as Hybrid
    from bowen.hybrid import Network as Network
    from bowen.land import Process as Process
    from bowen.parameters import Parameters as Parameters
    from bowen.report import write_report as write_report
    from bowen.series import Series as Series
    from bowen.series import to_dataset as to_dataset
    from bowen.solve import simulate as simulate
    from bowen.solve import spin_up as spin_up
    from bowen.step import ImplicitStep as ImplicitStep
    from bowen.training import train as train
    from bowen.variables import Forcing as Forcing
    from bowen.variables import State as State

    __version__: str

_HOME = {
    name: module
    for module, names in {
        "bowen.adaptive": ("AdaptiveStep",),
        "bowen.compiler": ("fuse_loops", "fuse_more", "use_cores"),
        "bowen.data": ("read", "read_plumber2", "read_table"),
        "bowen.evaluate": ("score",),
        "bowen.hybrid": ("Hybrid", "Network"),
        "bowen.land": ("Process",),
        "bowen.report": ("write_report",),
        "bowen.features": ("Scaler",),
        "bowen.series": ("Series", "to_dataset"),
        "bowen.step": ("ImplicitStep",),
        "bowen.solve": ("simulate", "spin_up"),
        "bowen.training": ("train",),
        "bowen.parameters": ("Parameters",),
        "bowen.variables": ("Forcing", "State"),
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

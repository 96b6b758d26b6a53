"""A hybrid differentiable land surface model: LaD physics, learned parameters, one gradient through both.

`import bowen as bw` gives all that a script needs. A name is imported when it is first used, so that reading a record
never starts JAX, and importing bowen changes nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from bowen.errors import BowenError as BowenError
from bowen.errors import ConfigError as ConfigError
from bowen.errors import DataError as DataError
from bowen.errors import ModelError as ModelError
from bowen.errors import RunError as RunError

if TYPE_CHECKING:
    from bowen.data import block_split as block_split
    from bowen.data import fill_forcing as fill_forcing
    from bowen.data import from_dataset as from_dataset
    from bowen.data import period_split as period_split
    from bowen.data import read as read
    from bowen.data import summarize_record as inspect  # noqa: F401
    from bowen.evaluation.scores import score as score
    from bowen.experiments.run import load_run as load_run
    from bowen.models.base import Process as Process
    from bowen.models.hybrid import FluxNetwork as FluxNetwork
    from bowen.models.hybrid import Hybrid as Hybrid
    from bowen.models.lstm import LSTM as LSTM
    from bowen.reporting.report import report as report
    from bowen.training.simulation import simulate as simulate
    from bowen.training.site_data import SiteData as SiteData
    from bowen.training.trainer import train as train

    __version__: str

_HOME = {
    "FluxNetwork": "bowen.models.hybrid:FluxNetwork",
    "Hybrid": "bowen.models.hybrid:Hybrid",
    "LSTM": "bowen.models.lstm:LSTM",
    "Process": "bowen.models.base:Process",
    "SiteData": "bowen.training.site_data:SiteData",
    "block_split": "bowen.data:block_split",
    "fill_forcing": "bowen.data:fill_forcing",
    "from_dataset": "bowen.data:from_dataset",
    "inspect": "bowen.data:summarize_record",
    "load_run": "bowen.experiments.run:load_run",
    "period_split": "bowen.data:period_split",
    "read": "bowen.data:read",
    "report": "bowen.reporting.report:report",
    "score": "bowen.evaluation.scores:score",
    "simulate": "bowen.training.simulation:simulate",
    "train": "bowen.training.trainer:train",
}

__all__ = ["BowenError", "ConfigError", "DataError", "ModelError", "RunError", "__version__", *_HOME]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("bowen")
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _HOME[name].split(":")
    value = getattr(import_module(module), attribute)
    globals()[name] = value  # found at once the next time
    return value


def __dir__() -> list[str]:
    return sorted(__all__)

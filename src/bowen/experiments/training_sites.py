"""Records to train on: which of them teach a model, what of them it is held to, and how it sees them."""

from collections.abc import Iterable

import numpy as np
import xarray as xr

from bowen import data
from bowen.config.schema import Config
from bowen.errors import ConfigError

LabeledRecord = tuple[xr.Dataset, np.ndarray]  # a canonical dataset, and what each of its steps is for


def select_training_records(config: Config, records: Iterable[LabeledRecord]) -> tuple[list[int], tuple[str, ...]]:
    """The places of the records that teach the model of a configuration, and all that they teach.

    Both turbulent fluxes are targets wherever one of them was measured; runoff and snow, where they were. A record
    without any teaches nothing and is left out, and so is a basin for a network alone, which tells neither of the two.

    Raises:
        ConfigError: There is none.
    """
    each, network = [{*data.list_measured_targets(dataset)} for dataset, _ in records], config.model.kind == "network"
    known = set().union(*each)
    teaching = known - {*data.WATER} if network else known
    chosen = [place for place, told in enumerate(each) if told & teaching]
    if not chosen and known:
        raise ConfigError(
            '[model]: kind = "network" tells latent and sensible heat alone, and no record has measured either.\n'
            '  fix: set kind = "hybrid" or "process", which have runoff and snow, or add a tower.'
        )
    heat = data.TURBULENT if network or known & {*data.TURBULENT} or not known else ()
    water = () if network else tuple(name for name in data.WATER if name in known)
    return chosen or list(range(len(each))), (*heat, *water)


def period_covered(dataset: xr.Dataset) -> str:
    """The first and the last day of a record."""
    first, last = (f"{dataset.time.values[end]:.10}" for end in (0, -1))
    return f"{first} to {last}"

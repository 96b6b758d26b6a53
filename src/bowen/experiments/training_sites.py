"""Choice of the records to train on, and of the targets they have."""

from collections.abc import Iterable

import numpy as np
import xarray as xr

from bowen import data
from bowen.config.schema import Config
from bowen.errors import ConfigError

LabeledRecord = tuple[xr.Dataset, np.ndarray]  # a canonical dataset, and the label of each of its steps


def select_training_records(config: Config, records: Iterable[LabeledRecord]) -> tuple[list[int], tuple[str, ...]]:
    """Select the records that train the model of a configuration, and the targets.

    Both turbulent fluxes are targets if a record has one of them; runoff and snow are, if a record has them. A record
    without any target is left out, and so is a basin for a network alone, which predicts neither runoff nor snow.

    Returns:
        Places of the records, and names of the targets.

    Raises:
        ConfigError: No record has a target that the model predicts.
    """
    measured, is_network = (
        [{*data.list_measured_targets(record)} for record, _ in records],
        config.model.kind == "network",
    )
    known = set().union(*measured)
    predicted = known - {*data.WATER} if is_network else known
    chosen = [place for place, targets in enumerate(measured) if targets & predicted]
    if not chosen and known:
        raise ConfigError(
            "[model]",
            'kind = "network" predicts latent and sensible heat alone, and no record has measured either',
            fix='set kind = "hybrid" or "process", which have runoff and snow, or add a tower',
        )
    heat = data.TURBULENT if is_network or known & {*data.TURBULENT} or not known else ()
    water = () if is_network else tuple(name for name in data.WATER if name in known)
    return chosen or list(range(len(measured))), (*heat, *water)


def period_covered(dataset: xr.Dataset) -> str:
    """Format the first and the last day of a record."""
    first, last = (f"{dataset.time.values[end]:.10}" for end in (0, -1))
    return f"{first} to {last}"

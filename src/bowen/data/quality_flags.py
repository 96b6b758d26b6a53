"""Origin of each value: the steps and variables that were measured."""

import numpy as np
import xarray as xr

from bowen.data.schema import QC, TURBULENT, WATER


def is_measured(dataset: xr.Dataset, name: str) -> np.ndarray:
    """Mark the steps at which the variable `name` was measured, neither filled nor missing.

    Args:
        dataset: A canonical dataset.
        name: One of its variables.

    Returns:
        True at the measured steps. [1]
    """
    return (dataset[f"{name}_qc"].values == QC.MEASURED) & np.isfinite(dataset[name].values)


def list_measured_fluxes(dataset: xr.Dataset) -> tuple[str, ...]:
    """List the turbulent fluxes with measured values; both if neither has any, so that a later check reports them.

    Args:
        dataset: A canonical dataset.
    """
    return tuple(name for name in list_measured_targets(dataset) if name in TURBULENT) or TURBULENT


def list_measured_targets(dataset: xr.Dataset) -> tuple[str, ...]:
    """List the training targets with measured values.

    Args:
        dataset: A canonical dataset.
    """
    return tuple(name for name in (*TURBULENT, *WATER) if name in dataset and is_measured(dataset, name).any())

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


def has_known_flag(given: np.ndarray) -> np.ndarray:
    """Mark the flags that are one of `QC`, not missing, in between, or of another meaning.

    Args:
        given: Flags of a source.

    Returns:
        True where the flag is known. [1]
    """
    return np.isin(given, [int(code) for code in QC])


def trust_flags(given: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Convert the flags of a source; a value without a known flag counts as filled, one that is NaN as missing.

    Args:
        given: Flags of a source, NaN where they are missing.
        values: The values they are about.

    Returns:
        Flags of `QC`.
    """
    known = np.where(has_known_flag(given), given, QC.FILLED_POOR)
    return np.where(np.isfinite(values), known, QC.MISSING).astype(np.int8)


def list_assumptions(dataset: xr.Dataset) -> list[str]:
    """List the sentences about the reading of a record, its metadata and its estimated values.

    Args:
        dataset: A canonical dataset.
    """
    return [line for line in str(dataset.attrs.get("assumptions", "")).split("\n") if line]


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

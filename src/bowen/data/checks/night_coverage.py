"""Fluxes at night, which no eddy-covariance tower measures completely: a sign of gap filling without flags."""

import numpy as np
import xarray as xr

from bowen.data.checks.check import Check, find_doubts
from bowen.data.forcing.disaggregation import has_daily_fluxes
from bowen.data.quality_flags import is_measured
from bowen.data.schema import TURBULENT
from bowen.data.time_axis import find_time_step

_MIN_NIGHT = 240.0  # h, thirty short nights


def compute_night_coverage(dataset: xr.Dataset) -> float | None:
    """Compute the share of the night at which a turbulent flux is flagged as measured, of the flux with more.

    Rain, frost, calm air below the threshold of friction velocity, and calibration leave gaps in every record.

    Args:
        dataset: A canonical dataset.

    Returns:
        The share; None for daily fluxes, without measured fluxes or shortwave radiation, or for less than 240 hours of
        night. [%]
    """
    if "shortwave_down" not in dataset:
        return None
    night, step = dataset.shortwave_down.values < 1.0, find_time_step(dataset.time.values, "the record")
    present = [name for name in TURBULENT if name in dataset and is_measured(dataset, name).any()]
    if has_daily_fluxes(dataset) or not present or night.sum() * step < _MIN_NIGHT * 3600.0:
        return None
    return 100.0 * max(float(np.mean(is_measured(dataset, name)[night])) for name in present)


def is_filled_without_flags(dataset: xr.Dataset) -> bool:
    """Check for fluxes that are probably gap-filled without flags; see `compute_night_coverage`.

    Args:
        dataset: A canonical dataset.
    """
    return bool(find_doubts(dataset, [NIGHT_CHECK]))


NIGHT_CHECK = Check(
    "night with a measured flux",
    compute_night_coverage,
    "A turbulent flux is flagged as measured at {value:.1f}% of the night",
    (-float("inf"), 99.8),
    (-float("inf"), 99.7),
    "no tower measures all nights, so gap-filled values are not flagged, and scores count them as measured; take the "
    "record with its flags, or without filled values",
    "%",
)

"""Correction of turbulent fluxes for energy balance closure at the measured Bowen ratio."""

import numpy as np
import xarray as xr

from bowen.data.quality_flags import is_measured
from bowen.data.schema import QC, TURBULENT
from bowen.errors import DataError

_HOURS = ((22.0, 26.5), (10.0, 14.5))  # night and noon, ends included, when heat storage is small
_DAYS_AROUND, _MIN_RATIOS = 15, 5
_YEAR = 365  # d
_MAX_DEVIATION = 1.5  # interquartile ranges from the median
_PLAUSIBLE = (0.5, 2.0)  # range of the factor; in dark winters available energy is too small to find it
_MIN_COVERAGE = 0.5  # fraction of the steps for the network's own correction to be used


def close_energy_balance(dataset: xr.Dataset) -> xr.Dataset:
    """Correct the turbulent fluxes for energy balance closure, and keep the measured ones as `*_raw`.

    The network's own correction (`*_corrected`) is used if it has values at half of the measured steps; otherwise both
    fluxes are multiplied by the factor of `compute_closure_factor`, which keeps the measured Bowen ratio.

    Args:
        dataset: A canonical dataset with latent and sensible heat, and net radiation if they are to be corrected.

    Returns:
        A new dataset: `latent_heat` and `sensible_heat` are corrected, and missing where no correction exists;
        `latent_heat_raw` and `sensible_heat_raw` are as measured.

    Raises:
        DataError: The record has no correction and lacks the data to compute one.
    """
    given = all(_is_corrected(dataset, name) for name in TURBULENT)
    closed = dataset.copy()
    if given:
        note = "Latent and sensible heat are as corrected by the source for energy balance closure."
        corrected = {name: dataset[f"{name}_corrected"].values for name in TURBULENT}
    else:
        factor, against = compute_closure_factor(dataset)
        note = (
            f"Latent and sensible heat are multiplied by a factor (median {np.nanmedian(factor):.2f}) that closes the "
            f"energy balance against {against}, after ONEFlux."
        )
        corrected = {name: dataset[name].values * factor for name in TURBULENT}
    for name, values in corrected.items():
        flags = dataset[f"{name}_qc"].values
        closed[f"{name}_raw"], closed[f"{name}_raw_qc"] = dataset[name], dataset[f"{name}_qc"]
        closed[name] = dataset[name].copy(data=values)
        kept = np.where(np.isfinite(values), flags, QC.MISSING).astype(np.int8)
        closed[f"{name}_qc"] = dataset[f"{name}_qc"].copy(data=kept)
    closed.attrs["assumptions"] = "\n".join(filter(None, (dataset.attrs.get("assumptions", ""), note)))
    return closed


def compute_closure_factor(dataset: xr.Dataset) -> tuple[np.ndarray, str]:
    """Compute the factor on turbulent fluxes that closes the energy balance.

    The ratios of available energy to turbulent fluxes, measured or well filled, are used at 22:00-02:30 and
    10:00-14:30, except those farther than 1.5 interquartile ranges from the median. The factor of a day is the median
    of the ratios within 15 days, if there are at least five; otherwise of the same days in the years before and after.
    Factors below 1/2 and above 2 are dropped.

    Args:
        dataset: A canonical dataset.

    Returns:
        The factor at each step, NaN where it is unknown, and the name of the available energy. [1]

    Raises:
        DataError: Net radiation or a turbulent flux is missing, or the factor is unknown at all steps.

    Source:
        Pastorello et al. (2020), Sci. Data 7, 225, methods 1 and 3, with the windows of the PLUMBER2 processing.
    """
    site = dataset.attrs.get("site", "the record")
    if missing := [name for name in (*TURBULENT, "net_radiation") if name not in dataset]:
        raise DataError(
            site,
            f"no {missing[0]}, without which the energy balance cannot be closed",
            fix='set closure = "raw" or "learned_fraction" in [data]',
        )
    available, against = dataset.net_radiation.values, "net radiation"
    usable = np.isfinite(available)
    if "ground_heat" in dataset and is_measured(dataset, "ground_heat").any():
        available, against = available - dataset.ground_heat.values, "net radiation minus ground heat"
        usable &= is_measured(dataset, "ground_heat")
    for name in TURBULENT:
        usable &= dataset[f"{name}_qc"].values <= QC.FILLED_GOOD
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = available / sum(dataset[name].values for name in TURBULENT)
    ratio[~usable | ~np.isfinite(ratio)] = np.nan
    low, middle, high = np.nanquantile(ratio, (0.25, 0.5, 0.75)) if np.isfinite(ratio).any() else (np.nan,) * 3
    reach = _MAX_DEVIATION * (high - low)
    ratio[~(np.abs(ratio - middle) <= reach) | ~_at_noon_or_night(dataset)] = np.nan
    factor = _by_day(dataset, ratio)
    if not np.isfinite(factor).any():
        raise DataError(
            site,
            "net radiation and fluxes were never measured together often enough to close the energy balance",
            fix='set closure = "raw" or "learned_fraction" in [data]',
        )
    return factor, against


def _is_corrected(dataset: xr.Dataset, name: str) -> bool:
    """Check that the source has corrected this flux at most of its measured steps."""
    if f"{name}_corrected" not in dataset:
        return False
    known = is_measured(dataset, name)
    return (
        bool(np.isfinite(dataset[f"{name}_corrected"].values[known]).mean() >= _MIN_COVERAGE) if known.any() else False
    )


def _at_noon_or_night(dataset: xr.Dataset) -> np.ndarray:
    time = dataset.time.values
    hour = (time - time.astype("datetime64[D]")) / np.timedelta64(1, "h")
    return np.any([(hour >= first) & (hour <= last) for first, last in _HOURS] + [hour <= _HOURS[0][1] - 24.0], axis=0)


def _by_day(dataset: xr.Dataset, ratio: np.ndarray) -> np.ndarray:
    """Compute the median ratio around each day, at each of its steps."""
    days = dataset.time.values.astype("datetime64[D]")
    days = (days - days[0]).astype(int)
    known = np.isfinite(ratio)
    values, at = ratio[known], days[known]
    factors = np.full(days[-1] + 1, np.nan)
    for day in range(len(factors)):
        for centers in ((day,), (day - _YEAR, day + _YEAR)):
            near = np.concatenate([values[slice(*_window(at, center))] for center in centers])
            if len(near) >= _MIN_RATIOS:
                factors[day] = np.median(near)
                break
    factors[(factors < _PLAUSIBLE[0]) | (factors > _PLAUSIBLE[1])] = np.nan
    return factors[days]


def _window(at: np.ndarray, center: int) -> tuple[int, int]:
    first, last = np.searchsorted(at, (center - _DAYS_AROUND, center + _DAYS_AROUND + 1))
    return int(first), int(last)

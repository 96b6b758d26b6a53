"""The energy balance of a record closed at the measured Bowen ratio, where the network has not done so."""

import numpy as np
import xarray as xr

from bowen.data.quality_flags import measured
from bowen.data.schema import QC, TURBULENT
from bowen.errors import DataError

_HOURS = ((22.0, 26.5), (10.0, 14.5))  # of the day, the ends in: night and noon, when little heat is stored
_DAYS_AROUND, _FEWEST = 15, 5
_YEAR = 365  # d
_LONGEST_WHISKER = 1.5  # interquartile ranges from the median
_PLAUSIBLE = (0.5, 2.0)  # of a factor; in dark winters the available energy is too small to tell it
_LEAST_SHARE = 0.5  # of the steps, for the network's own correction to be taken


def with_closed_balance(dataset: xr.Dataset) -> xr.Dataset:
    """A record whose turbulent fluxes are corrected for the energy balance, as measured ones are kept beside them.

    The network's own correction (`*_corrected`) is taken where it has values at half of the measured steps; else both
    fluxes are multiplied by the factor of `closure_factor`, so that the Bowen ratio stays as it was measured.

    Args:
        dataset: A canonical dataset with latent and sensible heat, and net radiation if they are to be corrected.

    Returns:
        A new dataset: `latent_heat` and `sensible_heat` are corrected, and missing where there is no correction;
        `latent_heat_raw` and `sensible_heat_raw` are as measured.

    Raises:
        DataError: There is neither a correction in the record nor what is needed to make one.
    """
    given = all(_covered(dataset, name) for name in TURBULENT)
    closed = dataset.copy()
    if given:
        note = "Latent and sensible heat are those the source corrected for the energy balance."
        corrected = {name: dataset[f"{name}_corrected"].values for name in TURBULENT}
    else:
        factor, against = closure_factor(dataset)
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


def closure_factor(dataset: xr.Dataset) -> tuple[np.ndarray, str]:
    """By what the turbulent fluxes have to be multiplied to close the energy balance.

    Of the ratios of available energy to turbulent fluxes, measured or well filled, those farther than 1.5 interquartile
    ranges from the median are dropped, and those of 22:00-02:30 and 10:00-14:30 kept. The factor of a day is the median
    of those within 15 days, if they are five; else of the same days in the years before and after. Factors below 1/2
    and above 2 tell nothing and are dropped.

    Args:
        dataset: A canonical dataset.

    Returns:
        The factor at each step, NaN where it cannot be told, and what the fluxes are closed against. [1]

    Raises:
        DataError: Net radiation or a turbulent flux is missing, or the factor can be told nowhere.

    Source:
        Pastorello et al. (2020), Sci. Data 7, 225, methods 1 and 3, with the windows of the PLUMBER2 processing.
    """
    site = dataset.attrs.get("site", "the record")
    if missing := [name for name in (*TURBULENT, "net_radiation") if name not in dataset]:
        raise DataError(
            f"{site}: no {missing[0]}, without which the energy balance cannot be closed.\n"
            '  fix: set closure = "raw" or "learned_fraction" in [data].'
        )
    available, against = dataset.net_radiation.values, "net radiation"
    usable = np.isfinite(available)
    if "ground_heat" in dataset and measured(dataset, "ground_heat").any():
        available, against = available - dataset.ground_heat.values, "net radiation minus ground heat"
        usable &= measured(dataset, "ground_heat")
    for name in TURBULENT:
        usable &= dataset[f"{name}_qc"].values <= QC.FILLED_GOOD
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = available / sum(dataset[name].values for name in TURBULENT)
    ratio[~usable | ~np.isfinite(ratio)] = np.nan
    low, middle, high = np.nanquantile(ratio, (0.25, 0.5, 0.75)) if np.isfinite(ratio).any() else (np.nan,) * 3
    reach = _LONGEST_WHISKER * (high - low)
    ratio[~(np.abs(ratio - middle) <= reach) | ~_at_noon_or_night(dataset)] = np.nan
    factor = _by_day(dataset, ratio)
    if not np.isfinite(factor).any():
        raise DataError(
            f"{site}: net radiation and fluxes were never measured together often enough to close the energy balance.\n"
            '  fix: set closure = "raw" or "learned_fraction" in [data].'
        )
    return factor, against


def _covered(dataset: xr.Dataset, name: str) -> bool:
    """Whether the source has corrected this flux at most of the steps at which it was measured."""
    if f"{name}_corrected" not in dataset:
        return False
    seen = measured(dataset, name)
    return bool(np.isfinite(dataset[f"{name}_corrected"].values[seen]).mean() >= _LEAST_SHARE) if seen.any() else False


def _at_noon_or_night(dataset: xr.Dataset) -> np.ndarray:
    time = dataset.time.values
    hour = (time - time.astype("datetime64[D]")) / np.timedelta64(1, "h")
    return np.any([(hour >= first) & (hour <= last) for first, last in _HOURS] + [hour <= _HOURS[0][1] - 24.0], axis=0)


def _by_day(dataset: xr.Dataset, ratio: np.ndarray) -> np.ndarray:
    """The median of the ratios around each day, spread over its steps."""
    days = dataset.time.values.astype("datetime64[D]")
    days = (days - days[0]).astype(int)
    known = np.isfinite(ratio)
    values, at = ratio[known], days[known]
    factors = np.full(days[-1] + 1, np.nan)
    for day in range(len(factors)):
        for centers in ((day,), (day - _YEAR, day + _YEAR)):
            near = np.concatenate([values[slice(*_window(at, center))] for center in centers])
            if len(near) >= _FEWEST:
                factors[day] = np.median(near)
                break
    factors[(factors < _PLAUSIBLE[0]) | (factors > _PLAUSIBLE[1])] = np.nan
    return factors[days]


def _window(at: np.ndarray, center: int) -> tuple[int, int]:
    first, last = np.searchsorted(at, (center - _DAYS_AROUND, center + _DAYS_AROUND + 1))
    return int(first), int(last)

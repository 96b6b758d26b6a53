"""How far the turbulent fluxes of a tower meet the energy that is there for them."""

from typing import Any

import numpy as np
import xarray as xr

from bowen.data.checks.stuck_sensors import still
from bowen.data.quality_flags import measured

SEASONS = {"DJF": (12, 1, 2), "MAM": (3, 4, 5), "JJA": (6, 7, 8), "SON": (9, 10, 11)}
_DAYLIGHT = 10.0  # W m-2 of shortwave radiation
_LEAST_ENERGY = 10.0  # W m-2; a ratio over a smaller mean is one of noise
_DOUBTFUL, _LOW = 0.5, 0.7
_TERMS = ("latent_heat", "sensible_heat", "net_radiation", "ground_heat")
_LEAST_SHARE, _LARGEST_SHARE = 0.4, 1.2  # of the energy that is there, at any tower with sound instruments
_TELLING = 0.03  # of a change of the ratio


def energy_terms(dataset: xr.Dataset) -> tuple[np.ndarray, np.ndarray, str] | None:
    """Turbulent and available energy, LE + H and Rnet - Qg, or Rnet alone in a record without Qg.

    Args:
        dataset: A canonical dataset.

    Returns:
        LE + H [W m-2], what there is for it [W m-2], both NaN where a term is missing, and what the latter is
        called; None where the record lacks one of the three.
    """
    if any(name not in dataset for name in ("latent_heat", "sensible_heat", "net_radiation")):
        return None
    turbulent = dataset.latent_heat.values + dataset.sensible_heat.values
    available, called = dataset.net_radiation.values, "net radiation"
    if "ground_heat" in dataset and np.isfinite(dataset.ground_heat.values).any():
        available, called = available - dataset.ground_heat.values, "net radiation minus ground heat"
    known = np.isfinite(turbulent) & np.isfinite(available)
    return (np.where(known, turbulent, np.nan), np.where(known, available, np.nan), called) if known.any() else None


def energy_closure(dataset: xr.Dataset) -> dict[str, Any]:
    """How the energy balance closes over the record, its sound parts, its days and nights, and its seasons.

    Args:
        dataset: A canonical dataset.

    Returns:
        `against`, the name of the available energy; `parts`, for "record", "measured" (both fluxes are), "moving"
        (no term is stuck or bridged by a line), "day", "night" and each of `SEASONS` a dictionary of `n` [steps], the
        means `turbulent` and `available` [W m-2], their `ratio`, and `slope`, `intercept` [W m-2] and `correlation` of
        the line through turbulent over available energy, None where there is too little to tell; `doubtful`, None
        where nothing can be judged; and `verdict`, a sentence.
    """
    if (terms := energy_terms(dataset)) is None:
        verdict = "The energy balance cannot be judged: net radiation, latent or sensible heat is not there."
        return {"against": None, "parts": {}, "doubtful": None, "verdict": verdict}
    turbulent, available, against = terms
    everywhere = np.ones(len(turbulent), bool)
    light, months = dataset.shortwave_down.values, dataset.time.dt.month.values
    chosen = {
        "record": everywhere,
        "measured": measured(dataset, "latent_heat") & measured(dataset, "sensible_heat"),
        "moving": _moving(dataset),
        "day": light > _DAYLIGHT,
        "night": light <= _DAYLIGHT,
        **{season: np.isin(months, those) for season, those in SEASONS.items()},
    }
    parts = {name: _part(turbulent[keep], available[keep]) for name, keep in chosen.items()}
    whole = parts["record"]
    return {
        "against": against,
        "parts": parts,
        "doubtful": None if whole["ratio"] is None else not _LOW <= whole["ratio"] <= 1.0 / _LOW,
        "verdict": _verdict(whole, parts["moving"], against, whole["n"] / len(everywhere)),
    }


def measured_closure(dataset: xr.Dataset, chosen: np.ndarray) -> float | None:
    """The share of net radiation that latent and sensible heat make up, as it follows from month to month.

    It is the slope of a line through the origin, so that months count by the square of their net radiation: in winter
    forests take heat from the air that no energy at the surface explains (LE + H of -43 W m-2 at DK-Sor in December,
    where net radiation is -13), which would else count as if it were missing in summer. Each hour of a month has one
    mean, so that ground heat cancels over days however many of their hours lack a flux.

    Args:
        dataset: A canonical dataset.
        chosen: The steps to go by.

    Returns:
        The share; None where one of the three was not measured, or the share is not that of any tower. [1]
    """
    names = ("latent_heat", "sensible_heat", "net_radiation")
    if not set(names) <= set(dataset.data_vars):
        return None
    known = np.all([chosen, *(measured(dataset, name) for name in names)], axis=0)
    if not known.any():
        return None
    times = dataset.time.dt
    hours, place = np.unique((24 * times.month.values + times.hour.values)[known], return_inverse=True)
    month = np.unique(hours // 24, return_inverse=True)[1]

    def of_months(name: str) -> np.ndarray:
        return _means(_means(dataset[name].values[known], place), month)

    latent, sensible, net = map(of_months, names)
    share = float(((latent + sensible) * net).sum() / (net**2).sum())
    return share if _LEAST_SHARE < share < _LARGEST_SHARE else None


def _means(values: np.ndarray, group: np.ndarray) -> np.ndarray:
    return np.bincount(group, values) / np.bincount(group)


def _moving(dataset: xr.Dataset) -> np.ndarray:
    moving = np.ones(dataset.sizes["time"], bool)
    for name in _TERMS:
        for first, end in still(dataset, name) if name in dataset else ():
            moving[first:end] = False
    return moving


def _part(turbulent: np.ndarray, available: np.ndarray) -> dict[str, Any]:
    known = np.isfinite(turbulent)
    x, y = available[known], turbulent[known]
    part: dict[str, Any] = dict.fromkeys(
        ("turbulent", "available", "ratio", "slope", "intercept", "correlation"), None
    ) | {"n": int(known.sum())}
    if not known.any():
        return part
    part |= {"turbulent": float(y.mean()), "available": float(x.mean())}
    if abs(x.mean()) >= _LEAST_ENERGY:
        part["ratio"] = float(y.sum() / x.sum())
    if np.ptp(x) > 0.0 and np.ptp(y) > 0.0:
        slope = float(np.cov(x, y, bias=True)[0, 1] / x.var())
        part |= {"slope": slope, "intercept": float(y.mean() - slope * x.mean())}
        part["correlation"] = float(np.corrcoef(x, y)[0, 1])
    return part


def _verdict(whole: dict[str, Any], moving: dict[str, Any], against: str, share: float) -> str:
    if whole["ratio"] is None:
        return f"The energy balance cannot be judged: {against} is {whole['available']:.1f} W m-2 in the mean."
    ratio = whole["ratio"]
    verdict = f"LE + H is {ratio:.0%} of {against}."
    if moving["ratio"] is not None and abs(moving["ratio"] - ratio) >= _TELLING:
        verdict += f" Where no term is stuck or bridged by a straight line it is {moving['ratio']:.0%}."
    if share < 0.5:
        verdict += f" All terms are known at only {share:.0%} of the steps."
    if not _DOUBTFUL <= ratio <= 1.0 / _LOW:
        return f"{verdict} A model that conserves energy cannot meet such fluxes: doubt the record."
    if ratio < _LOW:
        return f"{verdict} That is low even for a tower: a model that conserves energy will exceed these fluxes."
    return verdict

"""Energy balance closure: turbulent fluxes of a tower compared with available energy."""

from typing import Any

import numpy as np
import xarray as xr

from bowen.data.checks.stuck_sensors import find_constant_stretches
from bowen.data.quality_flags import is_measured

CALENDAR_SEASONS = {"DJF": (12, 1, 2), "MAM": (3, 4, 5), "JJA": (6, 7, 8), "SON": (9, 10, 11)}
_DAYLIGHT = 10.0  # W m-2 of shortwave radiation
_MIN_ENERGY = 10.0  # W m-2; below, the ratio is mostly noise
_USUAL, _CREDIBLE = (0.7, 1.1), (0.5, 1.3)  # closure of a record that is not doubted, and that may train a model
_MOST_TOWERS = "three in four towers have 70 to 100%"
_MIN_MEASURED = 0.05  # fraction of the steps with all terms; closure of fewer is a matter of chance
_MIN_GROUND_HEAT = 0.5  # fraction of the steps with net radiation and fluxes; with less, its season decides
_TERMS = ("latent_heat", "sensible_heat", "net_radiation", "ground_heat")
_MIN_CLOSURE, _MAX_CLOSURE = 0.4, 1.2  # range of closure at towers with sound instruments
_MIN_DIFFERENCE = 0.03  # change of the ratio worth reporting


def select_energy_terms(dataset: xr.Dataset) -> tuple[np.ndarray, np.ndarray, str] | None:
    """Return turbulent and available energy, LE + H and Rnet - Qg, or Rnet alone in a record without most of Qg.

    Args:
        dataset: A canonical dataset.

    Returns:
        LE + H [W m-2] and available energy [W m-2], both NaN where a term is missing, and the name of the latter;
        None if the record lacks LE, H or Rnet.
    """
    if any(name not in dataset for name in ("latent_heat", "sensible_heat", "net_radiation")):
        return None
    turbulent = dataset.latent_heat.values + dataset.sensible_heat.values
    available, name = dataset.net_radiation.values, "net radiation"
    ground = dataset.ground_heat.values if "ground_heat" in dataset else np.full(len(available), np.nan)
    with_ground = np.isfinite(turbulent + available + ground).sum()
    if with_ground and with_ground >= _MIN_GROUND_HEAT * np.isfinite(turbulent + available).sum():
        available, name = available - ground, "net radiation minus ground heat"
    known = np.isfinite(turbulent) & np.isfinite(available)
    return (np.where(known, turbulent, np.nan), np.where(known, available, np.nan), name) if known.any() else None


def summarize_energy_closure(dataset: xr.Dataset) -> dict[str, Any]:
    """Summarize energy balance closure over the record, its sound parts, days and nights, and seasons.

    Args:
        dataset: A canonical dataset.

    Returns:
        `against`, the name of the available energy; `parts`, for "measured" (both fluxes are), "record", "moving"
        (no term is stuck or bridged by a line), "day", "night" and each of `CALENDAR_SEASONS` a dictionary of `n`
        [steps], the means `turbulent` and `available` [W m-2], their `ratio`, and `slope`, `intercept` [W m-2] and
        `correlation` of the regression of turbulent on available energy, None if there is too little data;
        `ratio`, the closure that is judged, that of measured fluxes if there are enough of them; `doubtful`, true if it
        is outside 0.7 to 1.1; `credible`, false if it is outside 0.5 to 1.3, so that no model that conserves energy can
        reproduce the fluxes; all three None if closure cannot be assessed; and `verdict`, a sentence.
    """
    if (terms := select_energy_terms(dataset)) is None:
        verdict = "The energy balance cannot be assessed: the record lacks net radiation, latent or sensible heat."
        return {"against": None, "parts": {}, **dict.fromkeys(("ratio", "doubtful", "credible")), "verdict": verdict}
    turbulent, available, against = terms
    everywhere = np.ones(len(turbulent), bool)
    light, months = dataset.shortwave_down.values, dataset.time.dt.month.values
    chosen = {
        "measured": is_measured(dataset, "latent_heat") & is_measured(dataset, "sensible_heat"),
        "record": everywhere,
        "moving": _moving(dataset),
        "day": light > _DAYLIGHT,
        "night": light <= _DAYLIGHT,
        **{season: np.isin(months, those) for season, those in CALENDAR_SEASONS.items()},
    }
    parts = {name: _part(turbulent[keep], available[keep]) for name, keep in chosen.items()}
    measured, whole = parts["measured"], parts["record"]
    enough = measured["n"] >= max(_MIN_MEASURED * whole["n"], 1)
    ratio = measured["ratio"] if enough and measured["ratio"] is not None else whole["ratio"]
    return {
        "against": against,
        "parts": parts,
        "ratio": ratio,
        "doubtful": None if ratio is None else not _USUAL[0] <= ratio <= _USUAL[1],
        "credible": None if ratio is None else _CREDIBLE[0] <= ratio <= _CREDIBLE[1],
        "verdict": _verdict(ratio, parts, against, whole["n"] / len(everywhere)),
    }


def compute_closure_fraction(dataset: xr.Dataset, chosen: np.ndarray) -> float | None:
    """Compute the ratio of latent plus sensible heat to net radiation, by regression over monthly means.

    The regression through the origin weights months by the square of their net radiation. Otherwise winter would bias
    the result: forests then take up heat from the air that no energy at the surface explains (LE + H is -43 W m-2 at
    DK-Sor in December, net radiation -13). Each month is the mean of its mean hours of the day, so that ground heat
    cancels even if some hours often lack a flux.

    Args:
        dataset: A canonical dataset.
        chosen: The steps to use.

    Returns:
        The closure fraction; None if a flux or net radiation was not measured, or it is outside 0.4 to 1.2. [1]
    """
    names = ("latent_heat", "sensible_heat", "net_radiation")
    if not set(names) <= set(dataset.data_vars):
        return None
    known = np.all([chosen, *(is_measured(dataset, name) for name in names)], axis=0)
    if not known.any():
        return None
    times = dataset.time.dt
    hours, position = np.unique((24 * times.month.values + times.hour.values)[known], return_inverse=True)
    month = np.unique(hours // 24, return_inverse=True)[1]

    def of_months(name: str) -> np.ndarray:
        return _means(_means(dataset[name].values[known], position), month)

    latent, sensible, net = map(of_months, names)
    closure = float(((latent + sensible) * net).sum() / (net**2).sum())
    return closure if _MIN_CLOSURE < closure < _MAX_CLOSURE else None


def _means(values: np.ndarray, group: np.ndarray) -> np.ndarray:
    return np.bincount(group, values) / np.bincount(group)


def _moving(dataset: xr.Dataset) -> np.ndarray:
    moving = np.ones(dataset.sizes["time"], bool)
    for name in _TERMS:
        for first, end in find_constant_stretches(dataset, name) if name in dataset else ():
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
    if abs(x.mean()) >= _MIN_ENERGY:
        part["ratio"] = float(y.sum() / x.sum())
    if np.ptp(x) > 0.0 and np.ptp(y) > 0.0:
        slope = float(np.cov(x, y, bias=True)[0, 1] / x.var())
        part |= {"slope": slope, "intercept": float(y.mean() - slope * x.mean())}
        part["correlation"] = float(np.corrcoef(x, y)[0, 1])
    return part


def _verdict(ratio: float | None, parts: dict[str, dict[str, Any]], against: str, known: float) -> str:
    whole, moving = parts["record"], parts["moving"]
    if ratio is None:
        return f"The energy balance cannot be assessed: {against} is {whole['available']:.1f} W m-2 on average."
    verdict = f"LE + H is {ratio:.0%} of {against}"
    if whole["ratio"] is not None and abs(whole["ratio"] - ratio) >= _MIN_DIFFERENCE:
        verdict += f" where both fluxes are measured, and {whole['ratio']:.0%} with filled values"
    verdict += f" ({_MOST_TOWERS})."
    if None not in (moving["ratio"], whole["ratio"]) and abs(moving["ratio"] - whole["ratio"]) >= _MIN_DIFFERENCE:
        verdict += f" Where no term is stuck or bridged by a straight line it is {moving['ratio']:.0%}."
    if known < 0.5:
        verdict += f" All terms are known at only {known:.0%} of the steps."
    if ratio > _USUAL[1]:
        verdict += " That is more than the energy available: check the units of the fluxes and net radiation."
    if not _CREDIBLE[0] <= ratio <= _CREDIBLE[1]:
        return (
            f"{verdict} A model that conserves energy cannot reproduce these fluxes: the record is doubtful. Check its "
            'flux processing, or train on corrected fluxes (`closure = "corrected"`).'
        )
    if ratio < _USUAL[0]:
        return (
            f"{verdict} That is low even for a tower: a model that conserves energy will exceed these fluxes. Let the "
            'closure be learned (`closure = "learned_fraction"`), or correct the fluxes (`"corrected"`).'
        )
    return verdict

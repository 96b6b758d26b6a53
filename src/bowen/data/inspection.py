"""What is in a record: gaps, closure, water, and a fingerprint to know it again by."""

import hashlib
import json
from typing import Any

import numpy as np
import xarray as xr

from bowen.data.clock import light_lag
from bowen.data.quality import measured
from bowen.data.schema import SCHEMA, TARGETS, WEATHER

_VAPORIZATION = 2.45e6  # J kg-1 at 20 degC, the convention of tower summaries
_YEAR = 365.25 * 86400.0  # s
_DOUBTFUL_CLOSURE = 0.5
_DOUBTFUL_LAG = 20.0  # min


def summary(dataset: xr.Dataset) -> dict[str, Any]:
    """What a record holds, in plain types that turn into JSON.

    Args:
        dataset: A canonical dataset.

    Returns:
        `site`, `period`, `steps`, `variables` (a list of name, units, shares measured, filled and missing, minimum,
        mean, maximum), `closure` (sum of LE + H over sum of net radiation minus ground heat, over the steps that have
        all), `precipitation` and `evapotranspiration` [kg m-2 per year], `water`, `energy` and `clock` (a sentence
        each), `assumptions` and `fingerprint`. Numbers that cannot be had are None.
    """
    present = [name for name in (*WEATHER, *TARGETS) if name in dataset]
    rain, evaporation = _yearly(dataset, "precipitation", 1.0), _yearly(dataset, "latent_heat", 1.0 / _VAPORIZATION)
    closure, against = _closure(dataset)
    return {
        "site": {key: value for key, value in dataset.attrs.items() if key != "assumptions"},
        "period": [str(dataset.time.values[k])[:16] for k in (0, -1)],
        "steps": dataset.sizes["time"],
        "variables": [_variable(dataset, name) for name in present],
        "closure": closure,
        "energy": _energy_verdict(closure, against),
        "precipitation": rain,
        "evapotranspiration": evaporation,
        "water": _water_verdict(rain, evaporation),
        "clock": _clock_verdict(light_lag(dataset)),
        "assumptions": [line for line in str(dataset.attrs.get("assumptions", "")).split("\n") if line],
        "fingerprint": fingerprint(dataset),
    }


def fingerprint(dataset: xr.Dataset) -> str:
    """A hash of the values, flags and metadata, the same on every machine.

    Values are hashed in single precision, because the last bits of exp() differ between processors.

    Args:
        dataset: A canonical dataset.

    Returns:
        SHA-256, hexadecimal.
    """
    digest = hashlib.sha256()
    stamps = dataset.time.values.astype("datetime64[s]").astype("<i8")
    digest.update(stamps.tobytes())
    for name in sorted(map(str, dataset.data_vars)):
        values = dataset[name].values
        kind = "<f4" if np.issubdtype(values.dtype, np.floating) else "<i8"
        plain = np.where(np.isnan(values), np.nan, values) + 0.0 if kind == "<f4" else values
        digest.update(name.encode() + np.ascontiguousarray(plain, dtype=kind).tobytes())
    attributes = {key: value for key, value in dataset.attrs.items() if key != "assumptions"}
    digest.update(json.dumps(attributes, sort_keys=True, default=_plain).encode())
    return digest.hexdigest()


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else str(value)


def _variable(dataset: xr.Dataset, name: str) -> dict[str, Any]:
    values = dataset[name].values
    finite = np.isfinite(values)
    original = measured(dataset, name)
    return {
        "name": name,
        "units": SCHEMA[name].units,
        "measured": float(original.mean()),
        "filled": float((finite & ~original).mean()),
        "missing": float((~finite).mean()),
        "minimum": float(values[finite].min()) if finite.any() else None,
        "mean": float(values[finite].mean()) if finite.any() else None,
        "maximum": float(values[finite].max()) if finite.any() else None,
    }


def _yearly(dataset: xr.Dataset, name: str, factor: float) -> float | None:
    """Mean over the steps that have a value, as a sum over a year."""
    if name not in dataset or not np.isfinite(dataset[name].values).any():
        return None
    return float(np.nanmean(dataset[name].values)) * factor * _YEAR


def _closure(dataset: xr.Dataset) -> tuple[float | None, str]:
    """The energy balance ratio and what it was computed against."""
    if any(name not in dataset for name in ("latent_heat", "sensible_heat", "net_radiation")):
        return None, ""
    turbulent = dataset.latent_heat.values + dataset.sensible_heat.values
    available, against = dataset.net_radiation.values, "net radiation"
    if "ground_heat" in dataset and np.isfinite(dataset.ground_heat.values).any():
        available, against = available - dataset.ground_heat.values, "net radiation minus ground heat"
    both = np.isfinite(turbulent) & np.isfinite(available)
    if not both.any() or available[both].sum() <= 0.0:
        return None, against
    return float(turbulent[both].sum() / available[both].sum()), against


def _energy_verdict(closure: float | None, against: str) -> str:
    if closure is None:
        return "The energy balance cannot be judged: net radiation, latent or sensible heat is not there."
    verdict = f"LE + H is {closure:.0%} of {against}."
    if closure < _DOUBTFUL_CLOSURE or closure > 1.0 / (_DOUBTFUL_CLOSURE + 0.2):
        return f"{verdict} A model that conserves energy cannot meet such fluxes: doubt the record."
    return verdict


def _water_verdict(rain: float | None, evaporation: float | None) -> str:
    if rain is None or evaporation is None:
        return "The water balance cannot be judged: precipitation or latent heat is not there."
    verdict = f"P {rain:.0f} mm, ET {evaporation:.0f} mm in a year."
    if evaporation > 1.05 * rain:
        return f"{verdict} ET exceeds P: the site has another source of water, or the gauge misses some."
    return verdict


def _clock_verdict(lag: float | None) -> str:
    if lag is None:
        return "The clock cannot be judged: there is no daylight."
    if abs(lag) < _DOUBTFUL_LAG:
        return "Light and sun agree: the stamps mark the start of the interval, in local standard time."
    side = "after" if lag > 0 else "before"
    return f"The light comes {abs(lag):.0f} min {side} the sun: do the stamps mark the start of the interval?"

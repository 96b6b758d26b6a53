"""Summary of a record: gaps, energy and water balance, usability, and a fingerprint to recognize it."""

import hashlib
import json
from typing import Any

import numpy as np
import xarray as xr

from bowen.data.checks.clock import MAX_CLOCK_LAG, compute_clock_lag, find_clock_changes, is_clock_off
from bowen.data.checks.energy_closure import summarize_energy_closure
from bowen.data.checks.night_coverage import NIGHT_CHECK, compute_night_coverage
from bowen.data.checks.plausibility import describe_implausible_values, find_implausible_values
from bowen.data.checks.required import check_canonical, check_record
from bowen.data.checks.stuck_sensors import describe_stuck_sensors, list_present_variables, list_stuck_sensors
from bowen.data.checks.water_balance import compute_annual_sum, summarize_water_balance
from bowen.data.forcing.gap_filling import fill_forcing
from bowen.data.quality_flags import is_measured, list_measured_targets
from bowen.data.schema import QC, SCHEMA, TURBULENT, WATER
from bowen.errors import DataError


def summarize_record(dataset: xr.Dataset) -> dict[str, Any]:
    """Summarize a record in plain types that can be written as JSON.

    Args:
        dataset: A canonical dataset.

    Returns:
        `site`, `period`, `steps`, `variables` (a list of name, units, fractions measured, filled and missing,
        `quality`: the fraction of each origin that occurs, minimum, mean, maximum, and for precipitation
        `daily_minimum` and `daily_maximum`, of the means of days, all in SI units), `verdicts` (a list of subjects
        `about`, each with its `mark`: "good", "doubt", "bad" or "unknown", and a `sentence`), `closure` (sum of LE + H
        over sum of net radiation minus ground heat, over the steps that have all), `energy_balance` (see
        `summarize_energy_closure`), `precipitation` and `evapotranspiration` [kg m-2 per year], `water_balance` (see
        `summarize_water_balance`), `clock_lag` [min], `clock_changes` (see `find_clock_changes`), `doubts` (sentences
        on implausible values), `water`, `energy` and `clock` (a sentence each), `stuck` (see `list_stuck_sensors`),
        `usable` (see `find_obstacles`), `assumptions` and `fingerprint`. Unavailable numbers are None.

    Raises:
        DataError: The dataset is not canonical.
    """
    check_canonical(dataset, ("timestep_s", "latitude", "longitude"))
    energy, water, use = summarize_energy_closure(dataset), summarize_water_balance(dataset), find_obstacles(dataset)
    lag, changes, stretches, odd = (
        compute_clock_lag(dataset),
        find_clock_changes(dataset),
        list_stuck_sensors(dataset),
        find_implausible_values(dataset),
    )
    off = lag is not None and is_clock_off(dataset, lag)
    clock, unflagged = (
        _clock_verdict(lag, off, changes, dataset.attrs["utc_offset_hours"]),
        NIGHT_CHECK.find_doubt(dataset),
    )
    distrust = _distrust(energy, unflagged)
    coverage = compute_night_coverage(dataset)
    verdicts = [
        _verdict("drive", bool(use["drive"]), use["drive"] or "The forcing can drive a model.", "bad"),
        _training_verdict(dataset, use["train"], distrust),
        _verdict("clock", None if lag is None else off or bool(changes), clock),
        _verdict("energy", energy["doubtful"], energy["verdict"]),
        _verdict("water", water["doubtful"], " ".join([water["verdict"], *water["doubts"]])),
        _verdict("values", bool(odd), describe_implausible_values(odd)),
        _verdict("flags", None if coverage is None else bool(unflagged), unflagged or _describe_coverage(coverage)),
        _verdict("sensors", bool(stretches), describe_stuck_sensors(stretches)),
    ]
    return {
        "site": {key: value for key, value in dataset.attrs.items() if key != "assumptions"},
        "period": [str(dataset.time.values[k])[:16] for k in (0, -1)],
        "steps": dataset.sizes["time"],
        "variables": [
            _variable(dataset, name) for name in (*list_present_variables(dataset), *WATER) if name in dataset
        ],
        "verdicts": verdicts,
        "closure": energy["parts"].get("record", {}).get("ratio"),
        "energy": energy["verdict"],
        "energy_balance": energy,
        "precipitation": compute_annual_sum(dataset, "precipitation"),
        "evapotranspiration": compute_annual_sum(dataset, "latent_heat"),
        "water": water["verdict"],
        "water_balance": water,
        "clock": clock,
        "clock_lag": lag,
        "clock_changes": changes,
        "doubts": odd,
        "stuck": stretches,
        "usable": use,
        "assumptions": [line for line in str(dataset.attrs.get("assumptions", "")).split("\n") if line],
        "fingerprint": compute_fingerprint(dataset),
    }


def find_obstacles(dataset: xr.Dataset) -> dict[str, str | None]:
    """Find the reasons why a record cannot drive or train a model.

    Args:
        dataset: A canonical dataset.

    Returns:
        For "drive" and "train" the reason and what to do about it; None if the record can be used.
    """
    try:
        filled = fill_forcing(dataset)
        check_record(filled)
    except DataError as problem:
        return {"drive": str(problem), "train": str(problem)}
    if _water_alone(dataset):
        return {"drive": None, "train": None}
    try:
        check_record(filled, need=TURBULENT)
    except DataError as problem:
        return {"drive": None, "train": str(problem)}
    if unmeasured := [name for name in TURBULENT if not is_measured(dataset, name).any()]:
        reason = DataError(
            dataset.attrs.get("site", "the record"),
            f"no step of {unmeasured[0]} was measured, and only measured steps train a model",
            fix="check its flags",
        )
        return {"drive": None, "train": str(reason)}
    return {"drive": None, "train": None}


def compute_fingerprint(dataset: xr.Dataset) -> str:
    """Compute a hash of values, flags and metadata that is the same on every machine.

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
    original = is_measured(dataset, name)
    codes = np.where(finite, dataset[f"{name}_qc"].values, QC.MISSING)
    days = _daily_means(dataset, name) if name == "precipitation" else []
    of_days = {"daily_minimum": min(days, default=None), "daily_maximum": max(days, default=None)}
    shares = {code.name.lower(): float((codes == code).mean()) for code in QC}
    return {
        "name": name,
        "units": SCHEMA[name].units,
        "measured": float(original.mean()),
        "filled": float((finite & ~original).mean()),
        "missing": float((~finite).mean()),
        "quality": {origin: share for origin, share in shares.items() if share > 0.0},
        "minimum": float(values[finite].min()) if finite.any() else None,
        "mean": float(values[finite].mean()) if finite.any() else None,
        "maximum": float(values[finite].max()) if finite.any() else None,
        **(of_days if name == "precipitation" else {}),
    }


def _daily_means(dataset: xr.Dataset, name: str) -> list[float]:
    """Return the means of the days, from the first step on, that have all values."""
    size = round(86400 / dataset.attrs["timestep_s"])
    values = dataset[name].values
    days = values[: len(values) // size * size].reshape(-1, size).mean(axis=1)
    return [float(day) for day in days[np.isfinite(days)]]


def _verdict(about: str, wrong: bool | None, sentence: str, mark: str = "doubt") -> dict[str, str]:
    return {"about": about, "mark": "unknown" if wrong is None else mark if wrong else "good", "sentence": sentence}


def _water_alone(dataset: xr.Dataset) -> tuple[str, ...]:
    """List the measured targets of a basin; none for a tower."""
    known = list_measured_targets(dataset)
    return () if {*known} & {*TURBULENT} else known


def _training(dataset: xr.Dataset) -> str:
    if water := _water_alone(dataset):
        return f"{' and '.join(water).replace('_', ' ').capitalize()} can train a model on daily means."
    latent, sensible = (int(is_measured(dataset, name).sum()) for name in TURBULENT)
    return f"The fluxes can train and score a model: {latent:,} steps of LE, {sensible:,} of H are flagged as measured."


def _training_verdict(dataset: xr.Dataset, obstacle: str | None, distrust: str) -> dict[str, str]:
    if obstacle:
        return _verdict("train", True, obstacle, "bad")
    return _verdict("train", bool(distrust), f"{_training(dataset)}{distrust}")


def _distrust(energy: dict[str, Any], unflagged: str | None) -> str:
    """Write the reasons not to trust fluxes that could train a model; empty if there are none."""
    reasons = []
    if energy["credible"] is False:
        reasons.append(f"LE + H is {energy['ratio']:.0%} of {energy['against']}")
    if unflagged:
        reasons.append("gap-filled values seem to be among them")
    return f" Do not rely on such a model: {', and '.join(reasons)}; see below." if reasons else ""


def _describe_coverage(coverage: float | None) -> str:
    if coverage is None:
        return "Gap filling without flags cannot be assessed: there are no sub-daily fluxes of many nights."
    return f"A turbulent flux is measured at {coverage:.0f}% of the night ({NIGHT_CHECK.describe_usual()})."


def _clock_verdict(lag: float | None, off: bool, changes: list[dict[str, Any]], utc_offset_hours: float) -> str:
    if lag is None:
        return "The clock cannot be assessed: there is no daylight."
    sentences = [
        f"From {part['start']} to {part['end']} the light comes {_late(part['lag'])} the sun, otherwise "
        f"{_late(part['usual'])} it, and sunrise and sunset both move, by {part['sunrise']:.0f} and "
        f"{part['sunset']:.0f} min: did the clock change, e.g. to daylight saving time? Shift these stamps."
        for part in changes
    ]
    if sentences:
        return " ".join(sentences)
    if not off:
        return "Shortwave radiation agrees with the sun: stamps mark the start of the interval in local standard time."
    if abs(lag + 60.0 * utc_offset_hours) < MAX_CLOCK_LAG:
        return f"The light comes {_late(lag)} the sun: are the stamps in UTC? Then give utc_offset_hours = 0."
    return (
        f"The light comes {_late(lag)} the sun (sound towers: within 10 min): do the stamps mark the start of the "
        "interval in local standard time?"
    )


def _late(lag: float) -> str:
    return f"{abs(lag):.0f} min {'after' if lag > 0 else 'before'}" if lag else "with"

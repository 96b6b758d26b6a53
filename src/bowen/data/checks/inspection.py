"""What is in a record: gaps, closure, water, whether it can be used, and a fingerprint to know it again by."""

import hashlib
import json
from typing import Any

import numpy as np
import xarray as xr

from bowen.data.checks.clock import clock_changes, light_lag
from bowen.data.checks.energy_closure import energy_closure
from bowen.data.checks.plausibility import doubts_of_values, values_verdict
from bowen.data.checks.stuck_sensors import present, sensors_verdict, stuck
from bowen.data.checks.water_balance import annual, water_balance
from bowen.data.forcing.gap_filling import fill_forcing
from bowen.data.quality_flags import check, measured, targets_measured
from bowen.data.schema import QC, SCHEMA, TURBULENT, WATER
from bowen.errors import DataError

_DOUBTFUL_LAG = 20.0  # min


def summary(dataset: xr.Dataset) -> dict[str, Any]:
    """What a record holds, in plain types that turn into JSON.

    Args:
        dataset: A canonical dataset.

    Returns:
        `site`, `period`, `steps`, `variables` (a list of name, units, shares measured, filled and missing, `quality`:
        the share of each origin that occurs, minimum, mean, maximum), `verdicts` (a list of what each is `about`, its
        `mark`: "good", "doubt", "bad" or "unknown", and a `sentence`), `closure` (sum of LE + H over sum of net
        radiation minus ground heat, over the steps that have all), `energy_balance` (see `energy_closure`),
        `precipitation` and `evapotranspiration` [kg m-2 per year], `water_balance` (see there), `clock_lag` [min],
        `clock_changes` (see there), `doubts` (sentences on values unlike nature), `water`, `energy` and `clock` (a
        sentence each), `stuck` and `usable` (see there), `assumptions` and `fingerprint`.
        Numbers that cannot be had are None.
    """
    energy, water, use = energy_closure(dataset), water_balance(dataset), usable(dataset)
    lag, changes, stretches, odd = light_lag(dataset), clock_changes(dataset), stuck(dataset), doubts_of_values(dataset)
    clock = _clock_verdict(lag, changes)
    verdicts = [
        _verdict("drive", bool(use["drive"]), use["drive"] or "The forcing can drive a model.", "bad"),
        _verdict("train", bool(use["train"]), use["train"] or _training(dataset), "bad"),
        _verdict("clock", None if lag is None else abs(lag) >= _DOUBTFUL_LAG or bool(changes), clock),
        _verdict("energy", energy["doubtful"], energy["verdict"]),
        _verdict("water", water["doubtful"], " ".join([water["verdict"], *water["doubts"]])),
        _verdict("values", bool(odd), values_verdict(odd)),
        _verdict("sensors", bool(stretches), sensors_verdict(stretches)),
    ]
    return {
        "site": {key: value for key, value in dataset.attrs.items() if key != "assumptions"},
        "period": [str(dataset.time.values[k])[:16] for k in (0, -1)],
        "steps": dataset.sizes["time"],
        "variables": [_variable(dataset, name) for name in (*present(dataset), *WATER) if name in dataset],
        "verdicts": verdicts,
        "closure": energy["parts"].get("record", {}).get("ratio"),
        "energy": energy["verdict"],
        "energy_balance": energy,
        "precipitation": annual(dataset, "precipitation"),
        "evapotranspiration": annual(dataset, "latent_heat"),
        "water": water["verdict"],
        "water_balance": water,
        "clock": clock,
        "clock_lag": lag,
        "clock_changes": changes,
        "doubts": odd,
        "stuck": stretches,
        "usable": use,
        "assumptions": [line for line in str(dataset.attrs.get("assumptions", "")).split("\n") if line],
        "fingerprint": fingerprint(dataset),
    }


def usable(dataset: xr.Dataset) -> dict[str, str | None]:
    """What keeps a record from driving and from training a model.

    Args:
        dataset: A canonical dataset.

    Returns:
        For "drive" and "train" the reason why it cannot, and what to do about it; None where it can.
    """
    try:
        filled = fill_forcing(dataset)
        check(filled)
    except DataError as problem:
        return {"drive": str(problem), "train": str(problem)}
    if _water_alone(dataset):
        return {"drive": None, "train": None}
    try:
        check(filled, need=TURBULENT)
    except DataError as problem:
        return {"drive": None, "train": str(problem)}
    if guessed := [name for name in TURBULENT if not measured(dataset, name).any()]:
        where = dataset.attrs.get("site", "the record")
        reason = (
            f"{where}: no step of {guessed[0]} was measured, and only measured steps train a model. Check its flags."
        )
        return {"drive": None, "train": reason}
    return {"drive": None, "train": None}


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
    codes = np.where(finite, dataset[f"{name}_qc"].values, QC.MISSING)
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
    }


def _verdict(about: str, wrong: bool | None, sentence: str, mark: str = "doubt") -> dict[str, str]:
    return {"about": about, "mark": "unknown" if wrong is None else mark if wrong else "good", "sentence": sentence}


def _water_alone(dataset: xr.Dataset) -> tuple[str, ...]:
    """What a basin has measured; nothing for a tower."""
    known = targets_measured(dataset)
    return () if {*known} & {*TURBULENT} else known


def _training(dataset: xr.Dataset) -> str:
    if water := _water_alone(dataset):
        return f"{' and '.join(water).replace('_', ' ').capitalize()} can train a model, by the day."
    latent, sensible = (int(measured(dataset, name).sum()) for name in TURBULENT)
    return f"The fluxes can train and score a model: {latent:,} measured steps of LE, {sensible:,} of H."


def _clock_verdict(lag: float | None, changes: list[dict[str, Any]]) -> str:
    if lag is None:
        return "The clock cannot be judged: there is no daylight."
    told = [
        f"From {part['start']} to {part['end']} the light comes {_late(part['lag'])} the sun, otherwise "
        f"{_late(part['usual'])} it: did the clock change, as for daylight saving time?"
        for part in changes
    ]
    if told:
        return " ".join(told)
    if abs(lag) < _DOUBTFUL_LAG:
        return "Light and sun agree: the stamps mark the start of the interval, in local standard time."
    return f"The light comes {_late(lag)} the sun: do the stamps mark the start of the interval?"


def _late(lag: float) -> str:
    return f"{abs(lag):.0f} min {'after' if lag > 0 else 'before'}" if lag else "with"

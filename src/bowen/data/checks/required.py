"""Requirements that a record must meet before it may drive a model."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from bowen.data.checks.clear_sky import compute_black_body_fraction, compute_clear_sky_fraction
from bowen.data.formats import load_formats
from bowen.data.schema import FORCING, RADIATION, SCHEMA, TURBULENT, find_nearest
from bowen.data.site_metadata import refuse_impossible_site
from bowen.data.time_axis import compute_positions, find_time_step, format_minute
from bowen.errors import DataError
from bowen.physics.thermodynamics import saturation_vapor_pressure

_MAKE_CANONICAL = "make one of it by `bowen.from_dataset(dataset, site={...})`, or read its file by `bowen.read`"
_MIN_DAYS = 15  # d; in a shorter record a spell of fog or drought may look like a wrong unit
_UNIT_MISTAKES = {  # variable: (lowest median, highest median, the mistake)
    "air_pressure": (
        (30.0, 120.0, "it were in kPa instead of Pa"),
        (300.0, 1200.0, "it were in hPa instead of Pa"),
        (3e5, 1.2e6, "it were in hPa instead of kPa"),
        (3e7, 1.2e8, "it were in Pa instead of kPa"),
    ),
    "air_temperature": (
        (-60.0, 60.0, "it were in degC instead of K"),
        (473.0, 606.0, "it were in K instead of degC"),
    ),
    "specific_humidity": ((0.1, 60.0, "it were in g kg-1 instead of kg kg-1"),),
    "relative_humidity": ((1.5, 110.0, "it were in percent instead of a fraction"),),
}
_ROUNDING = 1e-3  # K; in single precision the mean of equal values differs a little from their extreme
_CLEAR_SKY, _BLACK_BODY = (0.25, 2.0), (0.35, 1.5)  # outside these fractions the unit or the column is wrong
_MIN_RAIN, _MAX_RAIN = 1.0, 20000.0  # kg m-2 in a year
_MIN_SHOWER = 0.02  # kg m-2 h-1, mean of wet steps; sound towers have 0.4 or more, a missing factor of 900 makes 0.003


def check_record(dataset: xr.Dataset, need: Iterable[str] = ()) -> None:
    """Refuse a record that cannot drive a model.

    Args:
        dataset: A canonical dataset.
        need: Variables required in addition to the forcing, e.g. the targets of training.

    Raises:
        DataError: A variable is missing or empty, the position is impossible, the time axis has duplicates, is out
            of order or irregular, a unit is evidently wrong, or a value is outside its physical range. The message
            says where, and what to do.
    """
    check_canonical(dataset)
    where = get_record_name(dataset)
    _check_place(dataset, where)
    _check_time(dataset, where)
    _check_presence(dataset, tuple(need), where)
    _check_units(dataset, where)
    _check_humidity(dataset, where)
    _check_rain(dataset, where)
    _check_ranges(dataset, where)
    _check_radiation(dataset, where)


def check_canonical(dataset: Any, attributes: Iterable[str] = ()) -> None:
    """Refuse a dataset that is not canonical, or of an impossible site, before a function fails for what it lacks.

    Args:
        dataset: A dataset given by a user.
        attributes: Required attributes.

    Raises:
        DataError: It has no stamps, steps, quality flags or site metadata; the message names all that it lacks.
    """
    if not isinstance(dataset, xr.Dataset):
        raise DataError("record", f"is of the type {type(dataset).__name__}, no canonical dataset", fix=_MAKE_CANONICAL)
    where = get_record_name(dataset)
    lacks = [f"{name}_qc" for name in TURBULENT if name in dataset.data_vars and f"{name}_qc" not in dataset]
    lacks += [f"attribute {key}" for key in attributes if key not in dataset.attrs]
    if "time" not in dataset.indexes or not np.issubdtype(dataset["time"].dtype, np.datetime64):
        lacks.append("stamps in `time`")
    elif dataset.sizes["time"] < 2:
        lacks.append("second step")
    if lacks:
        raise DataError(where, f"is not a canonical dataset: it has no {', '.join(lacks)}", fix=_MAKE_CANONICAL)
    refuse_impossible_site(dataset.attrs, where)


def check_air_temperature(dataset: xr.Dataset, where: str) -> None:
    """Refuse air temperatures that humidity and radiation cannot be computed from.

    Args:
        dataset: A dataset with or without `air_temperature`.
        where: The file, for messages.

    Raises:
        DataError: The unit is wrong, or a value is outside its physical range.
    """
    if "air_temperature" in dataset and np.isfinite(dataset.air_temperature.values).any():
        temperature = dataset[["air_temperature"]]
        _check_units(temperature, where)
        _check_ranges(temperature, where)


def check_daily_record(dataset: xr.Dataset, need: Iterable[str] = ()) -> None:
    """Refuse a daily record that cannot be used.

    Args:
        dataset: A canonical dataset of one value a day.
        need: Required variables.

    Raises:
        DataError: A variable is missing or empty, the position is impossible, a value is outside its physical range,
            or the minimum of a day is above its maximum. The message says where, and what to do.
    """
    where = get_record_name(dataset)
    _check_place(dataset, where)
    for name in need:
        if name not in dataset or not np.isfinite(dataset[name].values).any():
            present = [str(known) for known in dataset.data_vars if not str(known).endswith("_qc")]
            raise DataError(
                where, f"no {name} on any day", details=find_nearest([name], present), fix=f"add {name} to the record"
            )
    _check_ranges(dataset, where)
    if {"air_temperature_min", "air_temperature_max"} <= set(dataset.data_vars):
        _check_extremes(dataset, where)


def get_record_name(dataset: xr.Dataset) -> str:
    """Return the name of a record for messages: its file, or else its site."""
    source = dataset.encoding.get("source")
    return Path(source).name if source else str(dataset.attrs.get("site", "the record"))


def list_fluxnet_columns(name: str) -> tuple[str, ...]:
    """List the columns of a variable in FLUXNET files."""
    return load_formats()["fluxnet"].columns.get(name, ())


def _check_extremes(dataset: xr.Dataset, where: str) -> None:
    low, high = dataset.air_temperature_min.values, dataset.air_temperature_max.values
    mean = dataset.air_temperature.values if "air_temperature" in dataset else np.full(low.shape, np.nan)
    for wrong, contradiction in (
        (low > high, "minimum above the maximum"),
        (mean < low - _ROUNDING, "mean below the minimum"),
        (mean > high + _ROUNDING, "mean above the maximum"),
    ):
        if wrong.any():
            at = int(np.argmax(wrong))
            raise DataError(
                where,
                f"on {dataset.time.values[at]:.10} the air temperature has its {contradiction} "
                f"({low[at]:.6g}, {mean[at]:.6g}, {high[at]:.6g} K; {wrong.sum()} such days)",
                fix="check which column is which, and mark wrong values as missing",
            )


def _check_place(dataset: xr.Dataset, where: str) -> None:
    for name in ("latitude", "longitude"):
        if dataset.attrs.get(name) is None:
            raise DataError(
                where, f"{name} is None", fix=f'pass site={{"{name}": ...}}, or `--site` on the command line'
            )
    refuse_impossible_site(dataset.attrs, where)


def _check_time(dataset: xr.Dataset, where: str) -> None:
    stamps = dataset.time.values
    place = compute_positions(stamps, find_time_step(stamps, where), where)
    if (jumps := np.diff(place) != 1).any():
        at = int(np.argmax(jumps))
        raise DataError(
            where,
            f"irregular time steps, {format_minute(stamps[at])} is followed by {format_minute(stamps[at + 1])}",
            fix="insert the missing rows, or read the file with a reader of bowen, which inserts them",
        )


def _check_presence(dataset: xr.Dataset, need: tuple[str, ...], where: str) -> None:
    for name in (*FORCING, *need):
        if name not in dataset:
            variable = SCHEMA[name]
            known_as = ", ".join(filter(None, (*list_fluxnet_columns(name), variable.alma, *variable.aliases)))
            raise DataError(where, f"no {name}", details={"read from": known_as}, fix="add one of these to the file")
        if not np.isfinite(dataset[name].values).any():
            raise DataError(
                where,
                f"{name} is missing at all {dataset.sizes['time']} steps",
                fix="take it from another instrument or a reanalysis, write it into the file, and flag it there as "
                "filled",
            )
    if not any(name in dataset for name in RADIATION):
        raise DataError(
            where,
            f"neither {' nor '.join(RADIATION)} has values, and a model needs one of them",
            details={
                "in FLUXNET files": ", ".join(list_fluxnet_columns(name)[0] for name in RADIATION),
                "in PLUMBER2 files": ", ".join(SCHEMA[name].alma for name in RADIATION),
            },
            fix="add one of these to the file",
        )


def _check_units(dataset: xr.Dataset, where: str) -> None:
    for name, mistakes in _UNIT_MISTAKES.items():
        if name not in dataset:
            continue
        typical = float(np.nanmedian(dataset[name].values))
        for low, high, mistake in mistakes:
            if low <= typical <= high:
                raise _unit_error(where, f"{name} has a median of {typical:.4g} {SCHEMA[name].units}", mistake)


def _check_humidity(dataset: xr.Dataset, where: str) -> None:
    """Compare the deficit with saturation and relative humidity: a wrong unit is off by a power of ten."""
    deficit = dataset.vapor_pressure_deficit.values
    saturated = saturation_vapor_pressure(dataset.air_temperature.values)
    if "vapor_pressure" in dataset:
        fraction = float(np.nanmedian(dataset.vapor_pressure.values / saturated))
        if not 0.03 < fraction < 1.2:
            mistake = "kPa, hPa and Pa were mixed up, or an air temperature is wrong"
            raise _unit_error(
                where, f"vapor_pressure has a median of {fraction:.3g} times that of saturated air", mistake
            )
    impossible = deficit > 1.05 * saturated + 100.0
    if impossible.mean() > 0.02:
        raise _unit_error(
            where,
            f"vapor_pressure_deficit exceeds saturation at {impossible.mean():.0%} of the steps",
            "it were in Pa instead of hPa, or in hPa instead of kPa, or an air temperature were wrong",
        )
    relative = dataset.relative_humidity.values if "relative_humidity" in dataset else np.full(deficit.shape, np.nan)
    expected = saturated * (1.0 - relative)
    both = np.isfinite(expected) & np.isfinite(deficit)
    if both.any() and expected[both].mean() > 50.0:
        ratio = deficit[both].mean() / expected[both].mean()
        evidence = f"is {ratio:.3g} times the value from relative humidity and saturation"
    else:
        if np.isfinite(deficit).sum() < _MIN_DAYS * 86400 / _step(dataset):
            return
        ratio = float(np.nanquantile(deficit / saturated, 0.995))
        evidence = f"never exceeds {ratio:.1%} of saturation"
        ratio = 1.0 if ratio > 0.1 else 0.1
    if ratio < 0.2 or ratio > 5.0:
        mistake = "it were in kPa instead of hPa" if ratio < 0.2 else "its unit were ten times smaller than declared"
        raise _unit_error(where, f"vapor_pressure_deficit {evidence}", mistake)


def _check_rain(dataset: xr.Dataset, where: str) -> None:
    rain = dataset.precipitation.values
    days = np.isfinite(rain).sum() * _step(dataset) / 86400
    if days < _MIN_DAYS:
        return
    yearly = float(np.nanmean(rain)) * 365.25 * 86400
    if yearly > _MAX_RAIN:
        mistake = "it were in mm per interval instead of kg m-2 s-1 (mm s-1)"
        raise _unit_error(where, f"precipitation sums to {yearly:.3g} mm in a year", mistake)
    wet = rain[rain > 0.0]
    if 0.0 < yearly < _MIN_RAIN and days > 90 and float(wet.mean()) * 3600.0 < _MIN_SHOWER:
        mistake = "it were in kg m-2 s-1 (mm s-1) instead of mm per interval"
        raise _unit_error(where, f"precipitation sums to {yearly:.3g} mm in a year", mistake)


def _check_radiation(dataset: xr.Dataset, where: str) -> None:
    """Compare radiation with a clear sky, and with a black body at air temperature."""
    for name, fraction, (low, high), reference in (
        ("shortwave_down", compute_clear_sky_fraction(dataset), _CLEAR_SKY, "the maximum under a clear sky"),
        (
            "longwave_down",
            compute_black_body_fraction(dataset),
            _BLACK_BODY,
            "the radiation of a black body at air temperature",
        ),
    ):
        if fraction is not None and not low <= fraction <= high:
            mistake = "its unit, its column or the position of the site were wrong"
            raise _unit_error(where, f"{name} is {fraction:.3g} times {reference}", mistake)


def _check_ranges(dataset: xr.Dataset, where: str) -> None:
    for name, variable in SCHEMA.items():
        if name not in dataset:
            continue
        low, high = variable.valid_range
        values = dataset[name].values
        outside = (values < low) | (values > high)
        if outside.any():
            at, unit = int(np.argmax(outside)), "" if variable.units == "1" else f" {variable.units}"
            raise DataError(
                where,
                f"{name} is {values[at]:.6g}{unit} at {format_minute(dataset.time.values[at])}, outside "
                f"{low:g} to {high:g} ({outside.sum()} such values)",
                fix="check its unit in the file, and mark wrong values as missing (-9999 in FLUXNET files, NaN in "
                "NetCDF)",
            )


def _unit_error(where: str, evidence: str, mistake: str) -> DataError:
    return DataError(where, f"{evidence}, as if {mistake}", fix="correct the unit in the file and read it again")


def _step(dataset: xr.Dataset) -> float:
    return float(np.diff(dataset.time.values[:2])[0] / np.timedelta64(1, "s"))

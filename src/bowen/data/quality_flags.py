"""What a record must be before it may drive a model, and which of its values were measured."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import xarray as xr

from bowen.data.checks.clear_sky import black_body_share, clear_sky_share
from bowen.data.formats import known_formats
from bowen.data.schema import FORCING, QC, RADIATION, SCHEMA, TURBULENT, WATER, nearest
from bowen.data.time_axis import minute, positions, step_of
from bowen.errors import DataError
from bowen.physics.thermodynamics import saturation_vapor_pressure

_DAYS_TO_JUDGE = 15  # below, a spell of fog or drought may look like a wrong unit
_MISREAD = {  # variable: (median or mean at least, at most, what must have happened)
    "air_pressure": (
        (30.0, 120.0, "kPa were given where Pa are due"),
        (300.0, 1200.0, "hPa were given where Pa are due"),
        (3e5, 1.2e6, "hPa were given where kPa are due"),
        (3e7, 1.2e8, "Pa were given where kPa are due"),
    ),
    "air_temperature": (
        (-60.0, 60.0, "degC were given where K are due"),
        (473.0, 606.0, "K were given where degC are due"),
    ),
    "specific_humidity": ((0.1, 60.0, "g kg-1 were given where kg kg-1 are due"),),
    "relative_humidity": ((1.5, 110.0, "percent were given where fractions are due"),),
}
_ROUNDING = 1e-3  # K; the mean of equal values in single precision is not quite their extreme
_CLEAR_SKY, _BLACK_BODY = (0.25, 2.0), (0.35, 1.5)  # shares that only a wrong unit or column gives
_WETTEST, _DRIEST = 20000.0, 1.0  # kg m-2 in a year; it never rains more, and where it rains, never less


def check(dataset: xr.Dataset, need: Iterable[str] = ()) -> None:
    """Refuse a record that cannot drive a model.

    Args:
        dataset: A canonical dataset.
        need: Variables that have to be there besides the forcing, e.g. the targets of a training.

    Raises:
        DataError: A variable is missing or empty, the position is impossible, the time axis has duplicates, is out
            of order or irregular, a unit is evidently wrong, or a value is outside what nature allows. The message
            says where, and what to do.
    """
    where = name_of(dataset)
    _check_place(dataset, where)
    _check_time(dataset, where)
    _check_presence(dataset, tuple(need), where)
    _check_units(dataset, where)
    _check_humidity(dataset, where)
    _check_rain(dataset, where)
    _check_ranges(dataset, where)
    _check_sky(dataset, where)


def check_warmth(dataset: xr.Dataset, where: str) -> None:
    """Refuse air temperatures that no humidity and no radiation can be computed from.

    Args:
        dataset: A dataset with or without `air_temperature`.
        where: The file, for messages.

    Raises:
        DataError: They have a wrong unit, or one is outside what nature allows.
    """
    if "air_temperature" in dataset and np.isfinite(dataset.air_temperature.values).any():
        warmth = dataset[["air_temperature"]]
        _check_units(warmth, where)
        _check_ranges(warmth, where)


def check_daily(dataset: xr.Dataset, need: Iterable[str] = ()) -> None:
    """Refuse a daily record that nothing can be made of.

    Args:
        dataset: A canonical dataset of one value a day.
        need: Variables that have to be there.

    Raises:
        DataError: A variable is missing or empty, the position is impossible, a value is outside what nature allows,
            or the minimum of a day is above its maximum. The message says where, and what to do.
    """
    where = name_of(dataset)
    _check_place(dataset, where)
    for name in need:
        if name not in dataset or not np.isfinite(dataset[name].values).any():
            there = [str(known) for known in dataset.data_vars if not str(known).endswith("_qc")]
            raise DataError(f"{where}: no {name} on any day. {nearest([name], there)} Add it to the record.")
    _check_ranges(dataset, where)
    if {"air_temperature_min", "air_temperature_max"} <= set(dataset.data_vars):
        _check_extremes(dataset, where)


def _check_extremes(dataset: xr.Dataset, where: str) -> None:
    low, high = dataset.air_temperature_min.values, dataset.air_temperature_max.values
    mean = dataset.air_temperature.values if "air_temperature" in dataset else np.full(low.shape, np.nan)
    for wrong, story in (
        (low > high, "minimum above the maximum"),
        (mean < low - _ROUNDING, "mean below the minimum"),
        (mean > high + _ROUNDING, "mean above the maximum"),
    ):
        if wrong.any():
            at = int(np.argmax(wrong))
            raise DataError(
                f"{where}: on {dataset.time.values[at]:.10} the air temperature has its {story} "
                f"({low[at]:.6g}, {mean[at]:.6g}, {high[at]:.6g} K; {wrong.sum()} such days). Check which column is "
                "which, and mark wrong values as missing."
            )


def measured(dataset: xr.Dataset, name: str) -> np.ndarray:
    """Where the variable `name` was measured, neither filled nor missing.

    Args:
        dataset: A canonical dataset.
        name: One of its variables.

    Returns:
        True at the steps that were measured. [1]
    """
    return (dataset[f"{name}_qc"].values == QC.MEASURED) & np.isfinite(dataset[name].values)


def fluxes_measured(dataset: xr.Dataset) -> tuple[str, ...]:
    """The turbulent fluxes of which a record has measured values; both where it has neither, so that a check says so.

    Args:
        dataset: A canonical dataset.
    """
    return tuple(name for name in targets_measured(dataset) if name in TURBULENT) or TURBULENT


def targets_measured(dataset: xr.Dataset) -> tuple[str, ...]:
    """What a record has measured of all that models may be trained on.

    Args:
        dataset: A canonical dataset.
    """
    return tuple(name for name in (*TURBULENT, *WATER) if name in dataset and measured(dataset, name).any())


def name_of(dataset: xr.Dataset) -> str:
    """What messages call a record: its file, or else its site."""
    source = dataset.encoding.get("source")
    return Path(source).name if source else str(dataset.attrs.get("site", "the record"))


def _check_place(dataset: xr.Dataset, where: str) -> None:
    for name, limit in (("latitude", 90.0), ("longitude", 180.0)):
        value = dataset.attrs.get(name)
        if value is None or not -limit <= value <= limit:
            raise DataError(
                f"{where}: {name} is {value}; it has to lie between -{limit:g} and {limit:g} degrees. "
                f'Correct it in the file, pass site={{"{name}": ...}}, or `--site site.toml` on the command line.'
            )


def _check_time(dataset: xr.Dataset, where: str) -> None:
    stamps = dataset.time.values
    places = positions(stamps, step_of(stamps, where), where)
    if (jumps := np.diff(places) != 1).any():
        at = int(np.argmax(jumps))
        raise DataError(
            f"{where}: irregular time steps, {minute(stamps[at])} is followed by {minute(stamps[at + 1])}. "
            "Insert the missing rows, or read the file with a reader of bowen, which does."
        )


def _check_presence(dataset: xr.Dataset, need: tuple[str, ...], where: str) -> None:
    for name in (*FORCING, *need):
        if name not in dataset:
            variable = SCHEMA[name]
            known_as = ", ".join(filter(None, (*columns_of(name), variable.alma, *variable.aliases)))
            raise DataError(f"{where}: no {name}. It is read from {known_as}; add one of them to the file.")
        if not np.isfinite(dataset[name].values).any():
            raise DataError(
                f"{where}: {name} is missing at all {dataset.sizes['time']} steps. Take it from another instrument "
                "or a reanalysis, write it into the file, and flag it there as filled."
            )
    if not any(name in dataset for name in RADIATION):
        raise DataError(
            f"{where}: neither {' nor '.join(RADIATION)} is there with values, and a surface needs one of them "
            f"({', '.join(columns_of(name)[0] for name in RADIATION)} in FLUXNET, "
            f"{', '.join(SCHEMA[name].alma for name in RADIATION)} in PLUMBER2 files). Add one to the file."
        )


def _check_units(dataset: xr.Dataset, where: str) -> None:
    for name, cases in _MISREAD.items():
        if name not in dataset:
            continue
        typical = float(np.nanmedian(dataset[name].values))
        for low, high, story in cases:
            if low <= typical <= high:
                raise _suspicion(f"{where}: {name} has a median of {typical:.4g} {SCHEMA[name].units}", story)


def _check_humidity(dataset: xr.Dataset, where: str) -> None:
    """A deficit in the wrong unit is off by a power of ten from what saturation and relative humidity allow."""
    deficit = dataset.vapor_pressure_deficit.values
    saturated = saturation_vapor_pressure(dataset.air_temperature.values)
    if "vapor_pressure" in dataset:
        share = float(np.nanmedian(dataset.vapor_pressure.values / saturated))
        if not 0.03 < share < 1.2:
            story = "kPa, hPa and Pa were mixed up, or an air temperature is wrong"
            raise _suspicion(f"{where}: vapor_pressure is {share:.3g} times that of saturated air in the median", story)
    unread = deficit > 1.05 * saturated + 100.0
    if unread.mean() > 0.02:
        raise _suspicion(
            f"{where}: vapor_pressure_deficit exceeds saturation at {unread.mean():.0%} of the steps",
            "Pa were given where hPa are due, hPa where kPa are due, or an air temperature is wrong",
        )
    relative = dataset.relative_humidity.values if "relative_humidity" in dataset else np.full(deficit.shape, np.nan)
    expected = saturated * (1.0 - relative)
    both = np.isfinite(expected) & np.isfinite(deficit)
    if both.any() and expected[both].mean() > 50.0:
        ratio = deficit[both].mean() / expected[both].mean()
        evidence = f"is {ratio:.3g} times what relative humidity and saturation give"
    else:
        if np.isfinite(deficit).sum() < _DAYS_TO_JUDGE * 86400 / _step(dataset):
            return
        ratio = float(np.nanquantile(deficit / saturated, 0.995))
        evidence = f"never exceeds {ratio:.1%} of saturation"
        ratio = 1.0 if ratio > 0.1 else 0.1
    if ratio < 0.2 or ratio > 5.0:
        story = "kPa were given where hPa are due" if ratio < 0.2 else "the unit is ten times smaller than the one due"
        raise _suspicion(f"{where}: vapor_pressure_deficit {evidence}", story)


def _check_rain(dataset: xr.Dataset, where: str) -> None:
    rain = dataset.precipitation.values
    days = np.isfinite(rain).sum() * _step(dataset) / 86400
    if days < _DAYS_TO_JUDGE:
        return
    yearly = float(np.nanmean(rain)) * 365.25 * 86400
    if yearly > _WETTEST:
        story = "mm per interval were given where kg m-2 s-1 (mm s-1) are due"
        raise _suspicion(f"{where}: precipitation sums to {yearly:.3g} mm in a year", story)
    if 0.0 < yearly < _DRIEST and days > 90:
        story = "kg m-2 s-1 (mm s-1) were given where mm per interval are due"
        raise _suspicion(f"{where}: precipitation sums to {yearly:.3g} mm in a year", story)


def _check_sky(dataset: xr.Dataset, where: str) -> None:
    """Radiation that is far from what the sun, or air of this warmth, sends."""
    for name, share, (low, high), of in (
        ("shortwave_down", clear_sky_share(dataset), _CLEAR_SKY, "what a clear sky gives at most"),
        ("longwave_down", black_body_share(dataset), _BLACK_BODY, "the radiation of a black body as warm as the air"),
    ):
        if share is not None and not low <= share <= high:
            story = "another unit or another column were read, or the site were elsewhere"
            raise _suspicion(f"{where}: {name} is {share:.3g} times {of}", story)


def _check_ranges(dataset: xr.Dataset, where: str) -> None:
    for name, variable in SCHEMA.items():
        if name not in dataset:
            continue
        low, high = variable.valid_range
        values = dataset[name].values
        outside = (values < low) | (values > high)
        if outside.any():
            at = int(np.argmax(outside))
            raise DataError(
                f"{where}: {name} is {values[at]:.6g} {variable.units} at {minute(dataset.time.values[at])}, outside "
                f"{low:g} to {high:g} ({outside.sum()} such values). Check its unit in the file, and mark wrong values "
                "as missing (-9999 in FLUXNET files, NaN in NetCDF)."
            )


def columns_of(name: str) -> tuple[str, ...]:
    """The columns of a variable in FLUXNET files."""
    return known_formats()["fluxnet"].columns.get(name, ())


def _suspicion(what: str, story: str) -> DataError:
    return DataError(f"{what}, as if {story}. Correct the unit in the file and read it again.")


def _step(dataset: xr.Dataset) -> float:
    return float(np.diff(dataset.time.values[:2])[0] / np.timedelta64(1, "s"))

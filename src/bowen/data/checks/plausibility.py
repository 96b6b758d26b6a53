"""Plausibility checks of size, sign and diurnal course, which reveal a wrong unit or column, or broken values."""

from collections.abc import Callable

import numpy as np
import xarray as xr

from bowen.data.checks.check import Check, find_doubts
from bowen.data.checks.clear_sky import (
    compute_black_body_fraction,
    compute_clear_day_fraction,
    compute_clear_sky_fraction,
    compute_nighttime_shortwave,
)
from bowen.data.forcing.disaggregation import has_daily_fluxes
from bowen.data.quality_flags import is_measured
from bowen.data.schema import TURBULENT
from bowen.data.solar import compute_clear_sky_radiation
from bowen.physics.thermodynamics import saturation_vapor_pressure

_INFINITY = float("inf")
_MIN_DAYS = 15
_BRIGHT_NOON, _DARK = 150.0, 2.0  # W m-2 under a clear sky, and of a sensor that misses it
_SUNNY, _SUNSHINE, _MIN_SUNNY_DAYS = 0.7, 100.0, 3  # fraction of a clear day; its mean [W m-2]; days
_MIN_WET_STEPS = 50
_MAX_TIP = 0.7  # kg m-2 in a step; gauges resolve smaller amounts
_WARM = 276.0  # K
_MIN_FLUX_FRACTION = 0.1  # of net radiation; smaller fluxes need not explain it
_MIN_NET_RADIATION = 200.0  # W m-2; in winters with less, the noise of the fluxes dominates
_MIN_STEPS = 200
_CHECK_UNIT = "check its unit, its column and the position"


def find_implausible_values(dataset: xr.Dataset) -> list[str]:
    """Find implausible statistics and impossible single values of a record.

    Args:
        dataset: A canonical dataset.

    Returns:
        A sentence for each doubt, with the variable, the number, the range at sound towers, and advice.
    """
    if dataset.sizes["time"] * dataset.attrs["timestep_s"] < _MIN_DAYS * 86400:
        return []
    doubts = find_doubts(dataset, PLAUSIBILITY_CHECKS)
    if is_latent_heat_truncated(dataset):
        night = float(dataset.latent_heat.values[is_measured(dataset, "latent_heat") & _is_dark(dataset)].mean())
        doubts.append(
            "Latent heat is never negative, as if negative values had been removed, and its mean at night, "
            f"{night:.0f} W m-2, is too high: restore them, or let `latent_heat_noise_scale` be learned."
        )
    return doubts


def describe_implausible_values(doubts: list[str]) -> str:
    """Describe the result of `find_implausible_values` in a few sentences."""
    return (
        " ".join(doubts)
        or "Radiation, wind, temperature, rain and fluxes have plausible sizes, signs and diurnal courses."
    )


def is_latent_heat_truncated(dataset: xr.Dataset) -> bool:
    """Check for removed negative values: many latent heat fluxes at night, none of them negative.

    Args:
        dataset: A canonical dataset.
    """
    if "latent_heat" not in dataset or has_daily_fluxes(dataset):
        return False
    night = dataset.latent_heat.values[is_measured(dataset, "latent_heat") & _is_dark(dataset)]
    return bool(len(night) >= _MIN_STEPS and (night >= 0.0).all())


def count_dark_days(dataset: xr.Dataset) -> float:
    """Count the days without any light, flagged as measured, although the sun is high enough. [1]."""
    step = dataset.attrs["timestep_s"]
    light = _by_day(dataset.shortwave_down.values, step)
    clear = _by_day(compute_clear_sky_radiation(dataset.time.values, step, dataset.attrs), step)
    dark = (light < _DARK) & _by_day(is_measured(dataset, "shortwave_down"), step)
    unseen = np.all(dark | (clear < _BRIGHT_NOON), axis=1)
    return float(np.sum(unseen & np.any(clear > _BRIGHT_NOON, axis=1)))


def compute_median_wind(dataset: xr.Dataset) -> float | None:
    """Compute the median wind speed; None where it is constant, and so an assumption. [m s-1]."""
    wind = _changing_wind(dataset)
    return float(np.median(wind)) if len(wind) else None


def compute_strongest_wind(dataset: xr.Dataset) -> float | None:
    """Compute the wind speed exceeded at one step in a thousand; None where it is constant. [m s-1]."""
    wind = _changing_wind(dataset)
    return float(np.quantile(wind, 0.999)) if len(wind) else None


def compute_daily_warming(dataset: xr.Dataset) -> float | None:
    """Compute the median daily range of air temperature on sunny days; None if there are too few. [K]."""
    step = dataset.attrs["timestep_s"]
    light = _by_day(dataset.shortwave_down.values, step).mean(axis=1)
    clear = _by_day(compute_clear_sky_radiation(dataset.time.values, step, dataset.attrs), step).mean(axis=1)
    sunny = (light > _SUNNY * clear) & (clear > _SUNSHINE)
    ranges = np.ptp(_by_day(dataset.air_temperature.values, step), axis=1)[sunny]
    known = ranges[np.isfinite(ranges)]
    return float(np.median(known)) if len(known) >= _MIN_SUNNY_DAYS else None


def compute_highest_humidity(dataset: xr.Dataset) -> float | None:
    """Compute the relative humidity, from the deficit, exceeded at one step in two hundred. [%]."""
    humidity = _humidity(dataset)
    return 100.0 * float(np.nanquantile(humidity, 0.995)) if np.isfinite(humidity).any() else None


def compute_humidity_difference(dataset: xr.Dataset) -> float | None:
    """Compute the median difference of relative humidity from that of the deficit. [%]."""
    if "relative_humidity" not in dataset:
        return None
    off = np.abs(dataset.relative_humidity.values - _humidity(dataset))
    return 100.0 * float(np.nanmedian(off)) if np.isfinite(off).any() else None


def compute_rain_intensity(dataset: xr.Dataset) -> float | None:
    """Compute mean precipitation in wet steps, if enough were measured. [mm h-1]."""
    wet = _wet(dataset)
    return float(wet.mean()) * 3600.0 if len(wet) >= _MIN_WET_STEPS else None


def compute_smallest_rain(dataset: xr.Dataset) -> float | None:
    """Compute the 5th percentile of precipitation in a wet step, if enough were measured. [mm]."""
    wet = _wet(dataset)
    return float(np.quantile(wet, 0.05)) * dataset.attrs["timestep_s"] if len(wet) >= _MIN_WET_STEPS else None


def compute_net_radiation_slope(dataset: xr.Dataset) -> float | None:
    """Compute the slope of net on shortwave radiation without snow; None if there is too little data. [1]."""
    if "net_radiation" not in dataset:
        return None
    warm = dataset.air_temperature.values > _WARM
    slopes = _slopes(dataset.net_radiation.values[warm], [dataset.shortwave_down.values[warm]])
    return None if slopes is None else float(slopes[0])


def compute_daytime_latent_heat(dataset: xr.Dataset) -> float | None:
    """Compute mean latent heat in full daylight; None for daily fluxes or too little data. [W m-2]."""
    if (fluxes := _fluxes(dataset)) is None:
        return None
    day = np.isfinite(fluxes).all(axis=0) & (dataset.shortwave_down.values > 200.0)
    return float(fluxes[0][day].mean()) if day.sum() >= _MIN_STEPS else None


def compute_nighttime_difference(dataset: xr.Dataset) -> float | None:
    """Compute mean latent minus sensible heat at night; None for daily fluxes or too little data. [W m-2]."""
    if (fluxes := _fluxes(dataset)) is None:
        return None
    night = np.isfinite(fluxes).all(axis=0) & _is_dark(dataset)
    return float((fluxes[0] - fluxes[1])[night].mean()) if night.sum() >= _MIN_STEPS else None


def compute_energy_slope(dataset: xr.Dataset, name: str) -> float | None:
    """Compute the slope of available energy on a flux, in the regression on both.

    Args:
        dataset: A canonical dataset.
        name: "latent_heat" or "sensible_heat".

    Returns:
        The slope, about 1 where the energy balance closes; None without net radiation, for daily fluxes, too little
        data, or a slope below 1 of a flux too small to explain net radiation. [1]
    """
    fluxes = _fluxes(dataset)
    if fluxes is None or "net_radiation" not in dataset:
        return None
    net = dataset.net_radiation.values
    ground = np.nan_to_num(dataset.ground_heat.values) if "ground_heat" in dataset else 0.0
    if (slopes := _slopes(net - ground, fluxes)) is None:
        return None
    place = TURBULENT.index(name)
    strong = _large(net)
    is_large = strong > _MIN_NET_RADIATION and _large(fluxes[place]) > _MIN_FLUX_FRACTION * strong
    return float(slopes[place]) if is_large or slopes[place] > 1.0 else None


def _extreme_checks(name: str, low: tuple[float, float], high: tuple[float, float]) -> list[Check]:
    """Make the checks of the smallest and largest measured value, given the limit and the range of each."""
    label = name.replace("_", " ").capitalize()

    def extreme(choose: Callable[[np.ndarray], float]) -> Callable[[xr.Dataset], float | None]:
        def compute(dataset: xr.Dataset) -> float | None:
            if name not in dataset or has_daily_fluxes(dataset):
                return None
            values = dataset[name].values[is_measured(dataset, name)]
            return float(choose(values)) if len(values) else None

        return compute

    return [
        Check(
            f"smallest {label.lower()} [W m-2]", extreme(np.min), f"{label} falls to {{value:,.0f}} W m-2",
            (low[0], _INFINITY), (low[1], _INFINITY), f"mark values below {low[0]:,g} as missing",
        ),
        Check(
            f"largest {label.lower()} [W m-2]", extreme(np.max), f"{label} rises to {{value:,.0f}} W m-2",
            (-_INFINITY, high[0]), (-_INFINITY, high[1]), f"mark values above {high[0]:,g} as missing",
        ),
    ]  # fmt: skip


def _energy_slope_check(name: str, usual: tuple[float, float]) -> Check:
    label = name.replace("_", " ").capitalize()
    return Check(
        f"available energy per {label.lower()}", lambda dataset: compute_energy_slope(dataset, name),
        f"{label} rises by 1 W m-2 where available energy rises by {{value:.2g}}",
        (0.1, 4.5), usual, "check its sign and unit",
    )  # fmt: skip


PLAUSIBILITY_CHECKS: tuple[Check, ...] = (
    Check(
        "brightest steps over clear sky", compute_clear_sky_fraction,
        "Shortwave down reaches {value:.2g} times a clear sky", (0.4, 1.6), (0.81, 1.09), _CHECK_UNIT,
    ),
    Check(
        "clear days over clear sky", compute_clear_day_fraction,
        "Shortwave down reaches {value:.2f} times a clear sky on the clearest days of a month", (0.8, 1.15),
        (0.87, 1.12), "check the calibration of the sensor, its level and shading, and the elevation",
    ),
    Check(
        "shortwave radiation at night [W m-2]", compute_nighttime_shortwave,
        "Shortwave down is {value:.0f} W m-2 on average at night", (-_INFINITY, 30.0), (-_INFINITY, 2.0),
        "check its column and the clock",
    ),
    Check(
        "dark days", count_dark_days,
        "Shortwave down stays at zero on {value:.0f} days with sun, flagged as measured", (-_INFINITY, 0.0),
        (-_INFINITY, 0.0), "mark them as missing",
    ),
    Check(
        "longwave radiation over black body", compute_black_body_fraction,
        "Longwave down is {value:.2g} times the radiation of a black body at air temperature", (0.5, 1.1), (0.69, 0.95),
        "check its unit and that of air temperature",
    ),
    Check(
        "median wind [m s-1]", compute_median_wind, "Wind speed has a median of {value:.2g} m s-1", (0.2, 15.0),
        (0.62, 5.1), "check its unit",
    ),
    Check(
        "strongest winds [m s-1]", compute_strongest_wind, "Wind speed has strongest winds of {value:.2g} m s-1",
        (2.2, 35.0), (3.9, 19.0), "check its unit",
    ),
    Check(
        "daily range of air temperature on sunny days [K]", compute_daily_warming,
        "Air temperature rises by {value:.2g} K from night to day on sunny days", (2.5, 45.0), (6.5, 24.1),
        "check its unit and column",
    ),
    Check(
        "highest relative humidity", compute_highest_humidity, "Relative humidity never exceeds {value:.0f}%",
        (30.0, _INFINITY), (93.0, _INFINITY), "check the unit of the humidity in the file", "%",
    ),
    Check(
        "relative humidity against the deficit", compute_humidity_difference,
        "Relative humidity differs by {value:.0f}% from that of the deficit", (-_INFINITY, 10.0), (-_INFINITY, 0.2),
        "check the units of both", "%",
    ),
    Check(
        "rain in wet steps [mm h-1]", compute_rain_intensity, "Precipitation is {value:.2g} mm per hour in wet steps",
        (0.2, 8.0), (0.4, 2.7), "check its unit",
    ),
    Check(
        "smallest rain in a step [mm]", compute_smallest_rain,
        "Precipitation is rarely less than {value:.2g} mm in a step", (-_INFINITY, _MAX_TIP), (-_INFINITY, 0.3),
        "check its unit",
    ),
    Check(
        "net per shortwave radiation", compute_net_radiation_slope,
        "Net radiation rises by {value:.2g} W m-2 per W m-2 of shortwave down", (0.15, 1.3), (0.63, 0.84),
        "check its sign and unit, and which column is which",
    ),
    _energy_slope_check("latent_heat", (0.85, 1.39)),
    _energy_slope_check("sensible_heat", (0.71, 1.7)),
    Check(
        "latent heat by day [W m-2]", compute_daytime_latent_heat, "Latent heat is {value:.0f} W m-2 in full daylight",
        (-8.0, _INFINITY), (28.0, _INFINITY), "check its sign",
    ),
    Check(
        "latent minus sensible heat at night [W m-2]", compute_nighttime_difference,
        "Latent minus sensible heat is {value:.0f} W m-2 at night", (-7.0, _INFINITY), (11.0, _INFINITY),
        "check signs, and which column is which",
    ),
    *_extreme_checks("latent_heat", (-250.0, -208.0), (1000.0, 874.0)),
    *_extreme_checks("sensible_heat", (-450.0, -363.0), (900.0, 794.0)),
    *_extreme_checks("net_radiation", (-300.0, -262.0), (1200.0, 1030.0)),
    *_extreme_checks("ground_heat", (-500.0, -431.0), (500.0, 370.0)),
)  # fmt: skip


def _is_dark(dataset: xr.Dataset) -> np.ndarray:
    return dataset.shortwave_down.values < 1.0


def _changing_wind(dataset: xr.Dataset) -> np.ndarray:
    """Return the known wind speeds; none if all are equal."""
    wind = dataset.wind_speed.values[np.isfinite(dataset.wind_speed.values)]
    return wind if len(wind) and np.ptp(wind) > 0.0 else wind[:0]


def _humidity(dataset: xr.Dataset) -> np.ndarray:
    return 1.0 - dataset.vapor_pressure_deficit.values / saturation_vapor_pressure(dataset.air_temperature.values)


def _wet(dataset: xr.Dataset) -> np.ndarray:
    rain = dataset.precipitation.values[is_measured(dataset, "precipitation")]
    return rain[rain > 0.0]


def _fluxes(dataset: xr.Dataset) -> list[np.ndarray] | None:
    """Return latent and sensible heat; None if one is missing, or they are daily means, which have no night."""
    if any(name not in dataset for name in TURBULENT) or has_daily_fluxes(dataset):
        return None
    return [dataset[name].values for name in TURBULENT]


def _large(flux: np.ndarray) -> float:
    return float(np.nanquantile(np.abs(flux), 0.98))


def _slopes(y: np.ndarray, x: list[np.ndarray]) -> np.ndarray | None:
    """Regress `y` on `x` and return the slopes; None if there is too little data."""
    known = np.isfinite(y) & np.isfinite(x).all(axis=0)
    if known.sum() < _MIN_STEPS:
        return None
    table = np.column_stack([np.ones(known.sum()), *(column[known] for column in x)])
    return np.linalg.lstsq(table, y[known], rcond=None)[0][1:]


def _by_day(values: np.ndarray, step: int) -> np.ndarray:
    """Reshape a series to whole days by steps, from its first step on."""
    size = round(86400 / step)
    return values[: len(values) // size * size].reshape(-1, size)

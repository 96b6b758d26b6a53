"""Water balance of a record: precipitation, evapotranspiration, and possible causes of a deficit."""

from typing import Any

import numpy as np
import xarray as xr

from bowen.data.checks.check import Check, find_doubts
from bowen.data.forcing.gap_filling import compute_mean_diurnal_course
from bowen.data.quality_flags import is_measured
from bowen.data.site_metadata import load_known_sites
from bowen.data.solar import compute_clear_sky_radiation
from bowen.data.time_axis import find_runs, find_time_step
from bowen.physics.constants import ICE_POINT
from bowen.physics.thermodynamics import saturation_vapor_pressure

LATENT_HEAT_OF_VAPORIZATION = 2.45e6  # J kg-1 at 20 degC, the convention of tower summaries
SECONDS_PER_YEAR = 365.25 * 86400.0  # s
# Possible supply from soil water. Within a year the root zone may lose all its water; over whole years it returns to
# where it was except for the difference between wet and dry years.
_WITHIN_A_YEAR, _OVER_WHOLE_YEARS = 250.0, 100.0  # kg m-2
_NEARLY_A_YEAR = 0.95
_TALL = ("ENF", "EBF", "DNF", "DBF", "MF", "CRO", "CVM")  # trees, and crops that replaced them
_MIN_FOREST_RAIN, _MIN_BOREAL_RAIN = 500.0, 250.0  # kg m-2 in a year
_MAX_BOREAL, _MAX_BIOTEMPERATURE = 6.0, 30.0  # degC of biotemperature
_HOLDRIDGE = 58.93  # kg m-2 degC-1, potential evaporation in a year per biotemperature
_SNOW_BELOW = 274.15  # K
_SNOWY = 0.25  # snow fraction from which undercatch is the first suspect
_RAIN_UNDERCATCH, _SNOW_UNDERCATCH = 1.1, 2.0  # true over measured, at an unshielded gauge in the wind
_MIN_RAIN, _MAX_RAIN = 10.0, 6000.0  # kg m-2 in a year at nearly all places
_MAX_DRY_SPELL = 200  # d; dry seasons are shorter
_MIN_KNOWN_YEAR = 0.95  # fraction of the steps of a year
_SHORT_RECORD = 3  # years, over which wet and dry ones do not yet balance
_FREEZING, _THAWED = ICE_POINT - 2.0, ICE_POINT + 2.0  # K, mean of days with snow alone and with rain alone
_OVERCAST, _MIN_DAYLIGHT = 0.4, 30.0  # fraction of a clear sky, and its mean over the day [W m-2]
_MIN_OVERCAST_DAYS = 10
_MAX_FREEZING_SHARE = 0.3  # of the precipitation of a thawed day; with more, snow is recorded on other days
_HUMID, _MIN_HUMID_DAYS = 0.9, 8  # mean relative humidity of days that usually have rain; number of dry ones
_MAX_WET_FRACTION = 0.4  # fraction of steps with precipitation
_DRIZZLE = 0.05  # kg m-2 in a step, less than a tip of the bucket


def compute_annual_sum(dataset: xr.Dataset, name: str) -> float | None:
    """Compute the annual sum of a water flux from its mean over the steps with a value.

    Args:
        dataset: A canonical dataset.
        name: "precipitation", or "latent_heat" for evapotranspiration.

    Returns:
        Sum over a year; None if there is no value. [kg m-2]
    """
    if name not in dataset or not np.isfinite(dataset[name].values).any():
        return None
    return (
        float(np.nanmean(dataset[name].values))
        / (LATENT_HEAT_OF_VAPORIZATION if name == "latent_heat" else 1.0)
        * SECONDS_PER_YEAR
    )


def accumulate_water_fluxes(dataset: xr.Dataset) -> dict[str, np.ndarray]:
    """Accumulate precipitation and evapotranspiration, with gaps filled by the mean diurnal course.

    Sums over the steps that have both would be biased: many instruments lose latent heat when it rains, so that rain
    would be left out with it.

    Args:
        dataset: A canonical dataset.

    Returns:
        The sums at the end of each step, by name, of the fluxes in the record. [kg m-2]
    """
    step = find_time_step(dataset.time.values, "the record")
    sums = {}
    for name, source, per in (
        ("precipitation", "precipitation", 1.0),
        ("evapotranspiration", "latent_heat", LATENT_HEAT_OF_VAPORIZATION),
    ):
        if source in dataset and np.isfinite(dataset[source].values).any():
            values = dataset[source].values
            whole = np.where(np.isfinite(values), values, compute_mean_diurnal_course(dataset[source], step))
            sums[name] = np.nancumsum(whole) * step / per
    return sums


def summarize_water_balance(dataset: xr.Dataset) -> dict[str, Any]:
    """Check evapotranspiration against precipitation, and precipitation for plausibility.

    Args:
        dataset: A canonical dataset.

    Returns:
        `years`, the period assessed: all whole years from the start, or the record if it is shorter; `precipitation`,
        `evapotranspiration` and `surplus` (their difference) over it, and the `allowance` for water from the soil [all
        kg m-2]; `snow_share`, the snow fraction of precipitation; `unseen_share`, the fraction of precipitation that
        fell while latent heat was missing; `calendar`, a list of `year`, `precipitation`, `evapotranspiration` and
        `days`; `exceeds`, true if the deficit is beyond the allowance; `correction`, the water correction of the model
        that may explain it: "external_supply", "precipitation_factor", or "record" if the record is doubtful;
        `doubts` about precipitation, a list of sentences; `misses_snow`, true if the gauge is probably not heated;
        `doubtful`; and `verdict`, a sentence. Without one of the
        two fluxes only the last five and `correction`, with an empty `calendar`.
    """
    doubts = find_precipitation_doubts(dataset)
    sums = accumulate_water_fluxes(dataset)
    if len(sums) < 2:
        verdict = "The water balance cannot be assessed: the record lacks precipitation or latent heat."
        unknown = {"doubts": doubts, "doubtful": bool(doubts) or None, "verdict": verdict}
        return {"calendar": [], "exceeds": None, "correction": None, **unknown}
    step = find_time_step(dataset.time.values, "the record")
    rain = dataset.precipitation.values
    length = len(rain) * step / SECONDS_PER_YEAR
    span, allowance = (
        (float(np.floor(length + 1.0 - _NEARLY_A_YEAR)), _OVER_WHOLE_YEARS)
        if length >= _NEARLY_A_YEAR
        else (length, _WITHIN_A_YEAR)
    )
    last = min(round(span * SECONDS_PER_YEAR / step), len(rain)) - 1
    fell, evaporated = (float(sums[name][last]) for name in ("precipitation", "evapotranspiration"))
    snow_share = _share(rain, dataset.air_temperature.values < _SNOW_BELOW)
    unseen_share = _share(rain, ~np.isfinite(dataset.latent_heat.values))
    found: dict[str, Any] = {
        "years": span,
        "precipitation": fell,
        "evapotranspiration": evaporated,
        "surplus": fell - evaporated,
        "allowance": allowance,
        "snow_share": snow_share,
        "unseen_share": unseen_share,
        "calendar": _calendar(dataset, sums),
        "exceeds": evaporated - fell > allowance,
        "correction": None,
        "doubts": doubts,
        "misses_snow": FREEZING_CHECK.find_doubt(dataset) is not None,
    }
    if found["exceeds"]:
        found["correction"] = _correction(found)
    return found | {"doubtful": bool(found["exceeds"] or doubts), "verdict": _verdict(found)}


def compute_life_zone(dataset: xr.Dataset) -> tuple[float, float] | None:
    """Compute biotemperature and annual precipitation, which determine the vegetation of a place.

    Args:
        dataset: A canonical dataset with filled forcing.

    Returns:
        The mean of air temperatures limited to 0-30 degC [degC], and precipitation in a year [kg m-2]; None for a
        record shorter than a year or without precipitation.

    Source:
        Holdridge (1967), Life Zone Ecology.
    """
    if dataset.sizes["time"] * find_time_step(dataset.time.values, "the record") < _NEARLY_A_YEAR * SECONDS_PER_YEAR:
        return None
    biotemperature = float(np.clip(dataset.air_temperature.values - ICE_POINT, 0.0, _MAX_BIOTEMPERATURE).mean())
    return (biotemperature, rain) if (rain := compute_annual_sum(dataset, "precipitation")) else None


def compute_aridity(dataset: xr.Dataset) -> float:
    """Compute Holdridge's ratio of potential evaporation to precipitation; see `compute_life_zone`.

    Returns:
        The ratio, below one in humid climates; NaN for a record shorter than a year. [1]
    """
    zone = compute_life_zone(dataset)
    return _HOLDRIDGE * zone[0] / zone[1] if zone else np.nan


def has_water_beyond_rain(dataset: xr.Dataset) -> bool:
    """Check for trees or crops where precipitation supports only steppe, so that they need another water source.

    Forests need 500 mm a year, in the boreal belt (biotemperature below 6 degC) 250 mm; see `compute_life_zone`. The
    same limits for crops are an assumption of bowen.
    """
    zone = compute_life_zone(dataset) if dataset.attrs["igbp"] in _TALL else None
    return zone is not None and zone[1] < (_MIN_BOREAL_RAIN if zone[0] < _MAX_BOREAL else _MIN_FOREST_RAIN)


def compute_station_ratio(dataset: xr.Dataset) -> float | None:
    """Compute precipitation over the station's annual mean in the site catalog; see `bowen sites`.

    Args:
        dataset: A canonical dataset.

    Returns:
        The ratio; None for less than a year, or a station whose mean is unknown. [1]
    """
    mean = load_known_sites().get(str(dataset.attrs.get("site")), {}).get("annual_precipitation")
    yearly = compute_annual_sum(dataset, "precipitation")
    return yearly / mean if mean and yearly is not None and _length(dataset) >= _NEARLY_A_YEAR else None


def compute_odd_year_ratio(dataset: xr.Dataset) -> float | None:
    """Compute precipitation of the oddest year over the median of the others.

    Args:
        dataset: A canonical dataset.

    Returns:
        The ratio, of the years from the start on; None for fewer than three, or if the others have none. [1]
    """
    years = _yearly_sums(dataset)
    if len(years) < _SHORT_RECORD:
        return None
    others = np.array([np.median(np.delete(years, place)) for place in range(len(years))])
    if not (others > 0.0).all():
        return None
    ratios = np.maximum(years, 1e-3) / others
    return float(ratios[np.argmax(np.abs(np.log(ratios)))])


def compute_freezing_ratio(dataset: xr.Dataset) -> float | None:
    """Compute precipitation of overcast days below -2 degC over that of overcast days above 2 degC.

    Cold days are dry under a clear sky, so only days below 0.4 of a clear sky show whether a gauge records snow.

    Args:
        dataset: A canonical dataset.

    Returns:
        The ratio of the means; None with fewer than ten days of either kind, or if cold days as a whole have more than
        0.3 of the precipitation of the others, so that snow is recorded. [%]
    """
    step = find_time_step(dataset.time.values, "the record")
    sky = compute_clear_sky_radiation(dataset.time.values, step, dataset.attrs)
    series = (dataset.precipitation.values, dataset.air_temperature.values, dataset.shortwave_down.values, sky)
    size = round(86400 / step)
    rain, temperature, light, clear = (values[: len(sky) // size * size].reshape(-1, size).mean(1) for values in series)
    overcast = (light < _OVERCAST * clear) & (clear > _MIN_DAYLIGHT) & np.isfinite(rain)
    cold, thawed = temperature < _FREEZING, temperature > _THAWED
    if min((overcast & cold).sum(), (overcast & thawed).sum()) < _MIN_OVERCAST_DAYS:
        return None
    on_cold, on_thawed = (float(np.nanmean(rain[days])) for days in (cold, thawed))
    reference = float(rain[overcast & thawed].mean())
    if on_cold > _MAX_FREEZING_SHARE * on_thawed or reference <= 0.0:
        return None
    return 100.0 * float(rain[overcast & cold].mean()) / reference


def _limited_to(years: tuple[float, float], ratio: float | None, dataset: xr.Dataset) -> float | None:
    """Return the ratio for a record of a length within `years`, else None."""
    return ratio if years[0] <= _length(dataset) < years[1] else None


_REPLACE_RAIN = "compare it with a neighboring gauge or a reanalysis, and correct or replace it"
FREEZING_CHECK = Check(
    "precipitation on overcast freezing days", compute_freezing_ratio,
    "Precipitation of overcast days below -2 °C is {value:.1f}% of that of overcast days above 2 °C",
    (8.0, float("inf")), (10.0, float("inf")),
    "the gauge is probably not heated; let `precipitation_factor` be learned, or take the winter from a heated gauge "
    "or a reanalysis", "%",
)  # fmt: skip
PRECIPITATION_CHECKS: tuple[Check, ...] = (
    Check(
        "precipitation of one or two years over the station's mean",
        lambda dataset: _limited_to((0.0, _SHORT_RECORD), compute_station_ratio(dataset), dataset),
        "Precipitation is {value:.2f} times the mean of the station", (0.4, 1.8), (0.67, 1.44), _REPLACE_RAIN,
    ),
    Check(
        "precipitation of three years or more over the station's mean",
        lambda dataset: _limited_to((_SHORT_RECORD, np.inf), compute_station_ratio(dataset), dataset),
        "Precipitation is {value:.2f} times the mean of the station", (0.6, 1.6), (0.65, 1.35), _REPLACE_RAIN,
    ),
    Check(
        "precipitation of the oddest year over the others", compute_odd_year_ratio,
        "Precipitation of a year is {value:.2f} times the median of the other years", (0.35, 3.2), (0.48, 2.63),
        _REPLACE_RAIN,
    ),
    FREEZING_CHECK,
)  # fmt: skip


def find_precipitation_doubts(dataset: xr.Dataset) -> list[str]:
    """Find implausible statistics of precipitation.

    Args:
        dataset: A canonical dataset.

    Returns:
        A sentence for each doubt.
    """
    if "precipitation" not in dataset:
        return []
    rain, step = dataset.precipitation.values, find_time_step(dataset.time.values, "the record")
    known = np.isfinite(rain)
    yearly, wet = compute_annual_sum(dataset, "precipitation"), rain > 0.0
    if yearly is None:
        return []
    doubts = []
    years = _yearly_sums(dataset)
    if _length(dataset) >= _NEARLY_A_YEAR and yearly > _MAX_RAIN:
        doubts.append(
            f"Precipitation is {yearly:.3g} mm in a year. Very few places have so much (sound towers: up to 1,750): "
            "check its unit."
        )
    elif (dry := years < _MIN_RAIN).any():
        span = f"{years.mean():.2g} mm in a year" if dry.all() else f"below {_MIN_RAIN:.0f} mm in {dry.sum()} of "
        span += "" if dry.all() else f"{len(years)} years"
        doubts.append(
            f"Precipitation is {span}. Only the driest deserts have so little (sound towers: 110 or more): it was "
            "not measured, or its unit is wrong. Take it from a neighboring gauge or a reanalysis."
        )
    rains_all_day = "flux_interval_s" in dataset.attrs  # a daily record, whose rain is spread over the day
    if (fraction := wet.sum() / known.sum()) > _MAX_WET_FRACTION and not rains_all_day:
        doubts.append(f"It rains at {fraction:.0%} of the steps, more than in any climate: does the gauge drift?")
    if wet.any() and fraction > 0.1:
        amounts, counts = np.unique(rain[wet], return_counts=True)
        usual, most = float(amounts[np.argmax(counts)] * step), float(counts.max() / wet.sum())
        if usual < _DRIZZLE and most > 0.5:
            doubts.append(f"{most:.0%} of the wet steps have the same {usual:.2g} mm: is it no gauge, or does it leak?")
    ratios = [] if (years < _MIN_RAIN).any() else find_doubts(dataset, PRECIPITATION_CHECKS)
    return [*doubts, *ratios, *_dry_doubts(dataset, step)]


def _dry_doubts(dataset: xr.Dataset, step: int) -> list[str]:
    """Find dry spells, flagged as measured, that are too long or too humid."""
    steps = round(86400 / step)
    days = dataset.sizes["time"] // steps

    def by_day(values: np.ndarray) -> np.ndarray:
        return values[: days * steps].reshape(days, steps)

    without = is_measured(dataset, "precipitation") & (dataset.precipitation.values == 0.0)
    dry = np.asarray(by_day(without).all(axis=1))
    saturated = saturation_vapor_pressure(dataset.air_temperature.values)
    humidity = by_day(1.0 - dataset.vapor_pressure_deficit.values / saturated).mean(axis=1)
    found = find_runs(dry)
    if not len(found):
        return []
    doubts = []
    first, last = found[np.argmax(np.diff(found, axis=1))]
    if last - first > _MAX_DRY_SPELL:
        doubts.append(
            f"No precipitation in {last - first} days from {_date(dataset, first, steps)}, flagged as measured: longer "
            "than any dry season."
        )
    humid = np.array([(humidity[start:end] > _HUMID).sum() for start, end in found])
    first, last = found[np.argmax(humid)]
    if humid.max() >= _MIN_HUMID_DAYS:
        doubts.append(
            f"No precipitation in {last - first} days from {_date(dataset, first, steps)}, flagged as measured, though "
            f"the air was more than {_HUMID:.0%} humid on {humid.max()} of them: was the gauge blocked or frozen?"
        )
    return doubts


def _length(dataset: xr.Dataset) -> float:
    """Return the length of a record in years."""
    return dataset.sizes["time"] * find_time_step(dataset.time.values, "the record") / SECONDS_PER_YEAR


def _yearly_sums(dataset: xr.Dataset) -> np.ndarray:
    """Sum precipitation over each year from the start of which nearly all steps are known [kg m-2]."""
    step = find_time_step(dataset.time.values, "the record")
    size = round(365 * 86400 / step)
    count = max(dataset.sizes["time"] // size, int(_length(dataset) >= _NEARLY_A_YEAR))
    years = [dataset.precipitation.values[year * size : (year + 1) * size] for year in range(count)]
    return np.array(
        [np.nanmean(year) * SECONDS_PER_YEAR for year in years if np.isfinite(year).mean() >= _MIN_KNOWN_YEAR]
    )


def _date(dataset: xr.Dataset, day: int, steps: int) -> str:
    return f"{dataset.time.values[day * steps]:.10}"


def _share(rain: np.ndarray, chosen: np.ndarray) -> float:
    total = np.nansum(rain)
    return float(np.nansum(rain[chosen]) / total) if total > 0.0 else 0.0


def _calendar(dataset: xr.Dataset, sums: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    calendar, step = dataset.time.dt.year.values, find_time_step(dataset.time.values, "the record")
    rows = []
    for year in np.unique(calendar):
        chosen = calendar == year
        days = float(chosen.sum() * step / 86400)
        if days > 1.0:  # skip a stamp or two before New Year
            fluxes = {name: float(np.diff(total, prepend=0.0)[chosen].sum()) for name, total in sums.items()}
            rows.append({"year": int(year), "days": days, **fluxes})
    return rows


def _correction(found: dict[str, Any]) -> str:
    """Choose the correction: undercatch if it can be as large, else external supply, or a doubtful record."""
    if found["misses_snow"] and len(found["doubts"]) == 1:
        return "precipitation_factor"
    if found["doubts"] or found["precipitation"] <= 0.0:
        return "record"
    most = _RAIN_UNDERCATCH + (_SNOW_UNDERCATCH - _RAIN_UNDERCATCH) * found["snow_share"]
    due = found["evapotranspiration"] - found["allowance"]
    missed = found["snow_share"] >= _SNOWY and due <= most * found["precipitation"]
    return "precipitation_factor" if missed else "external_supply"


def _verdict(found: dict[str, Any]) -> str:
    rain, evaporation, years = found["precipitation"], found["evapotranspiration"], found["years"]
    span = "a year" if years == 1.0 else f"{years:.2g} years"
    verdict = f"P {rain:,.0f} mm, ET {evaporation:,.0f} mm in {span}."
    if not found["exceeds"]:
        if evaporation <= rain:
            return verdict
        return f"{verdict} ET exceeds P by {evaporation - rain:.0f} mm, which soil water may have supplied."
    gap = f"ET exceeds P by {evaporation - rain:,.0f} mm, more than the soil can supply ({found['allowance']:.0f} mm)"
    reason = {
        "precipitation_factor": (
            "the gauge misses snow: let "
            if found["misses_snow"]
            else f"{found['snow_share']:.0%} of P falls as snow, and a gauge may miss that much: let "
        )
        + f"`precipitation_factor` be learned (about {evaporation / max(rain, 1e-9):.1f})",
        "external_supply": "irrigation, groundwater or older soil water may supply it: let `external_supply` be "
        f"learned (about {(evaporation - rain) / years:,.0f} mm in a year)",
        "record": "correct the doubtful precipitation before anything else",
    }[found["correction"]]
    return f"{verdict} {gap}; {reason}."

"""Whether the water of a record adds up: what fell, what evaporated, and what may explain the difference."""

from typing import Any

import numpy as np
import xarray as xr

from bowen.data.forcing.gap_filling import mean_diurnal_course
from bowen.data.quality_flags import measured
from bowen.data.time_axis import spells, step_of
from bowen.physics.constants import ICE_POINT
from bowen.physics.thermodynamics import saturation_vapor_pressure

VAPORIZATION = 2.45e6  # J kg-1 at 20 degC, the convention of tower summaries
YEAR = 365.25 * 86400.0  # s
# What the soil may have given. Within a year the root zone gives all it holds; from a season to the same season it
# returns to where it was but for the difference between a wet and a dry year.
_WITHIN_A_YEAR, _OVER_WHOLE_YEARS = 250.0, 100.0  # kg m-2
_NEARLY_A_YEAR = 0.95
_TALL = ("ENF", "EBF", "DNF", "DBF", "MF", "CRO", "CVM")  # trees, and the crops that have taken their place
_LEAST_RAIN, _LEAST_BOREAL_RAIN = 500.0, 250.0  # kg m-2 in a year, that trees live on
_BOREAL, _HOTTEST = 6.0, 30.0  # degC of biotemperature
_HOLDRIDGE = 58.93  # kg m-2 degC-1, evaporation of a year by biotemperature
_SNOW_BELOW = 274.15  # K
_SNOWY = 0.25  # share of snow from which on a gauge is the first to be suspected
_RAIN_UNDERCATCH, _SNOW_UNDERCATCH = 1.1, 2.0  # true over measured, at a gauge without a shield in the wind
_DRIEST, _WETTEST = 10.0, 6000.0  # kg m-2 in a year, of nearly all places
_LONGEST_DRY_SPELL = 200  # d; dry seasons are shorter
_HUMID, _MOST_HUMID_DAYS = 0.9, 8  # relative humidity of days, of which more than half are wet, and so many dry
_MOST_WET = 0.4  # share of steps with precipitation
_DRIZZLE = 0.05  # kg m-2 in a step, less than a tip of a bucket


def annual(dataset: xr.Dataset, name: str) -> float | None:
    """A flux of water as its mean over the steps that have a value.

    Args:
        dataset: A canonical dataset.
        name: "precipitation", or "latent_heat" for evapotranspiration.

    Returns:
        Sum over a year, None where there is no value. [kg m-2]
    """
    if name not in dataset or not np.isfinite(dataset[name].values).any():
        return None
    return float(np.nanmean(dataset[name].values)) / (VAPORIZATION if name == "latent_heat" else 1.0) * YEAR


def cumulated(dataset: xr.Dataset) -> dict[str, np.ndarray]:
    """Precipitation and evapotranspiration summed through the record, gaps at the mean of the days around them.

    Sums over the steps that have both would not do: many instruments lose the latent heat when it rains, so the rain
    would be left out with it.

    Args:
        dataset: A canonical dataset.

    Returns:
        By name the sums at the end of each step, of those that the record has. [kg m-2]
    """
    step = step_of(dataset.time.values, "the record")
    sums = {}
    for name, source, per in (
        ("precipitation", "precipitation", 1.0),
        ("evapotranspiration", "latent_heat", VAPORIZATION),
    ):
        if source in dataset and np.isfinite(dataset[source].values).any():
            values = dataset[source].values
            whole = np.where(np.isfinite(values), values, mean_diurnal_course(dataset[source], step))
            sums[name] = np.nancumsum(whole) * step / per
    return sums


def water_balance(dataset: xr.Dataset) -> dict[str, Any]:
    """Whether evapotranspiration can come from the precipitation, and the precipitation from nature.

    Args:
        dataset: A canonical dataset.

    Returns:
        `years`, of the span judged: all the whole years from the start on, or the record if it is shorter;
        `precipitation`, `evapotranspiration` and `surplus` (their difference) over it, and the `allowance` for water
        from the soil [all kg m-2]; `snow_share` of the precipitation; `unseen_share` of the precipitation that fell
        while latent heat was missing; `calendar`, a list of `year`, `precipitation`, `evapotranspiration` and `days`;
        `exceeds`, whether the deficit is beyond the allowance; `correction`, which of the model's booked corrections
        may explain it: "external_supply", "precipitation_factor", or "record" if the record is to be doubted;
        `doubts` of the precipitation, a list of sentences; `doubtful`; and `verdict`, a sentence. Without one of the
        two only the last six, `calendar` empty.
    """
    doubts = precipitation_doubts(dataset)
    sums = cumulated(dataset)
    if len(sums) < 2:
        verdict = "The water balance cannot be judged: precipitation or latent heat is not there."
        told = {"doubts": doubts, "doubtful": bool(doubts) or None, "verdict": verdict}
        return {"calendar": [], "exceeds": None, "correction": None, **told}
    step = step_of(dataset.time.values, "the record")
    rain = dataset.precipitation.values
    length = len(rain) * step / YEAR
    span, allowance = (
        (float(np.floor(length + 1.0 - _NEARLY_A_YEAR)), _OVER_WHOLE_YEARS)
        if length >= _NEARLY_A_YEAR
        else (length, _WITHIN_A_YEAR)
    )
    last = min(round(span * YEAR / step), len(rain)) - 1
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
    }
    if found["exceeds"]:
        found["correction"] = _correction(found)
    return found | {"doubtful": bool(found["exceeds"] or doubts), "verdict": _verdict(found)}


def life_zone(dataset: xr.Dataset) -> tuple[float, float] | None:
    """Biotemperature and annual precipitation, of which follows what grows at a place.

    Args:
        dataset: A canonical dataset, its forcing filled.

    Returns:
        The mean of air temperatures between 0 and 30 degC [degC], and precipitation in a year [kg m-2]; None for a
        record that is shorter than a year or without a drop.

    Source:
        Holdridge (1967), Life Zone Ecology.
    """
    if dataset.sizes["time"] * step_of(dataset.time.values, "the record") < _NEARLY_A_YEAR * YEAR:
        return None
    warmth = float(np.clip(dataset.air_temperature.values - ICE_POINT, 0.0, _HOTTEST).mean())
    return (warmth, rain) if (rain := annual(dataset, "precipitation")) else None


def aridity(dataset: xr.Dataset) -> float:
    """Evaporation that the warmth of a place allows, over its precipitation: Holdridge's ratio; see `life_zone`.

    Returns:
        The ratio, below one where it is humid; NaN where nothing is known of a year. [1]
    """
    zone = life_zone(dataset)
    return _HOLDRIDGE * zone[0] / zone[1] if zone else np.nan


def lives_on_more_than_rain(dataset: xr.Dataset) -> bool:
    """Whether a site carries trees or crops where the rain of its record makes a steppe: they have other water.

    Forests begin at 500 mm a year, in the boreal belt, below a biotemperature of 6 degC, at 250 mm; see `life_zone`.
    That crops need as much as forest is ours.
    """
    zone = life_zone(dataset) if dataset.attrs["igbp"] in _TALL else None
    return zone is not None and zone[1] < (_LEAST_BOREAL_RAIN if zone[0] < _BOREAL else _LEAST_RAIN)


def precipitation_doubts(dataset: xr.Dataset) -> list[str]:
    """What is not as precipitation is.

    Args:
        dataset: A canonical dataset.

    Returns:
        A sentence for each doubt.
    """
    if "precipitation" not in dataset:
        return []
    rain, step = dataset.precipitation.values, step_of(dataset.time.values, "the record")
    known = np.isfinite(rain)
    yearly, wet = annual(dataset, "precipitation"), rain > 0.0
    if yearly is None:
        return []
    doubts = []
    if len(rain) * step >= _NEARLY_A_YEAR * YEAR and not _DRIEST <= yearly <= _WETTEST:
        extreme = "Only the driest deserts have so little" if yearly < _DRIEST else "Very few places have so much"
        doubts.append(f"Precipitation is {yearly:.3g} mm in a year. {extreme}: is its unit right?")
    if (share := wet.sum() / known.sum()) > _MOST_WET:
        doubts.append(f"It rains at {share:.0%} of the steps, more than in any climate: does the gauge drift?")
    if wet.any() and share > 0.1:
        amounts, counts = np.unique(rain[wet], return_counts=True)
        usual, most = float(amounts[np.argmax(counts)] * step), float(counts.max() / wet.sum())
        if usual < _DRIZZLE and most > 0.5:
            doubts.append(f"{most:.0%} of the wet steps have the same {usual:.2g} mm: not a gauge, or one that leaks.")
    return [*doubts, *_dry_doubts(dataset, step)]


def _dry_doubts(dataset: xr.Dataset, step: int) -> list[str]:
    """Dry spells, flagged as measured, that are too long or too humid to be dry."""
    steps = round(86400 / step)
    days = dataset.sizes["time"] // steps

    def by_day(values: np.ndarray) -> np.ndarray:
        return values[: days * steps].reshape(days, steps)

    without = measured(dataset, "precipitation") & (dataset.precipitation.values == 0.0)
    dry = np.asarray(by_day(without).all(axis=1))
    saturated = saturation_vapor_pressure(dataset.air_temperature.values)
    humidity = by_day(1.0 - dataset.vapor_pressure_deficit.values / saturated).mean(axis=1)
    found = spells(dry)
    if not len(found):
        return []
    doubts = []
    first, last = found[np.argmax(np.diff(found, axis=1))]
    if last - first > _LONGEST_DRY_SPELL:
        doubts.append(
            f"No precipitation in {last - first} days from {_date(dataset, first, steps)}, flagged as measured: longer "
            "than dry seasons last."
        )
    humid = np.array([(humidity[start:end] > _HUMID).sum() for start, end in found])
    first, last = found[np.argmax(humid)]
    if humid.max() >= _MOST_HUMID_DAYS:
        doubts.append(
            f"No precipitation in {last - first} days from {_date(dataset, first, steps)}, flagged as measured, though "
            f"the air was more than {_HUMID:.0%} humid on {humid.max()} of them: was the gauge blocked or frozen?"
        )
    return doubts


def _date(dataset: xr.Dataset, day: int, steps: int) -> str:
    return f"{dataset.time.values[day * steps]:.10}"


def _share(rain: np.ndarray, chosen: np.ndarray) -> float:
    total = np.nansum(rain)
    return float(np.nansum(rain[chosen]) / total) if total > 0.0 else 0.0


def _calendar(dataset: xr.Dataset, sums: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    calendar, step = dataset.time.dt.year.values, step_of(dataset.time.values, "the record")
    rows = []
    for year in np.unique(calendar):
        chosen = calendar == year
        days = float(chosen.sum() * step / 86400)
        if days > 1.0:  # a stamp or two before New Year are no year
            fluxes = {name: float(np.diff(total, prepend=0.0)[chosen].sum()) for name, total in sums.items()}
            rows.append({"year": int(year), "days": days, **fluxes})
    return rows


def _correction(found: dict[str, Any]) -> str:
    """Undercatch if a gauge can miss as much, another source of water if not, unless the gauge is to be doubted."""
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
        return f"{verdict} ET exceeds P by {evaporation - rain:.0f} mm, which the soil may have given."
    gap = f"ET exceeds P by {evaporation - rain:,.0f} mm, more than the soil gives ({found['allowance']:.0f} mm)"
    reason = {
        "precipitation_factor": f"{found['snow_share']:.0%} of P falls as snow, and a gauge may miss as much: let "
        f"`precipitation_factor` be learned (about {evaporation / max(rain, 1e-9):.1f})",
        "external_supply": "irrigation, groundwater or older soil water feeds it: let `external_supply` be "
        f"learned (about {(evaporation - rain) / years:,.0f} mm in a year)",
        "record": "the precipitation is to be doubted",
    }[found["correction"]]
    return f"{verdict} {gap}; {reason}."

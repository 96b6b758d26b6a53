"""How well a model meets what it was never shown: streamflow, snow, soil, and the days of fluxes elsewhere.

It works on datasets of days and knows nothing of the models, so anybody's output can be judged.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from bowen.data.schema import TURBULENT, WATER
from bowen.errors import DataError
from bowen.evaluation.metrics import MIN_PAIRS, standard_metrics
from bowen.evaluation.scores import as_tower_reports

COLUMNS = ("model", "site", "variable", "depth", "metric", "value", "n", "note")
TRAINED_NOTE = "trained on runoff or snow of this place,"  # in notes
QUICK_SHARE, QUICK_DAYS = 0.5, 1.0  # of drainage and d; round numbers, the same everywhere
LOG_FLOW_OFFSET = 0.01  # of the mean observed flow, added before logarithms, as Pushpalatha et al. (2012) do
MIN_SNOW = 20.0  # kg m-2; winters with less have no melt-out worth comparing
GONE = 0.1  # of the largest snow of a winter that is left at melt-out
SOIL_DEPTH = 0.05  # m, of the shallowest probe where nobody tells
AROUND, AROUND_LEAST = "35D", 18  # of which soil moisture departs, and the days of them that are needed
WHOLE_YEAR = 360  # d
SNOW_YEAR = 9, 3  # month in which a winter begins, north and south


class Evidence(NamedTuple):
    """One kind of evidence: pairs of days, numbers beyond `skill` with what they count, and what to know of it."""

    pairs: xr.Dataset | None
    beyond: Mapping[str, tuple[float, float]]
    depth: float = np.nan  # m
    note: str = ""


Evaluator = Callable[[xr.Dataset, xr.Dataset], Evidence | None]  # of days in common; None where the model lacks it


def evaluate_unseen_variables(
    simulation: xr.Dataset, observed: xr.Dataset, *, model: str, first: str | None = None, last: str | None = None
) -> pd.DataFrame:
    """Judge the days of a simulation by all that was observed and the model has.

    Args:
        simulation: Days of a model, as `simulate_days` gives them. Fluxes it was trained on, if it was trained here,
            are not judged; of runoff and snow the note says so, as there may be other years to judge.
        observed: Days at the same place under canonical names; missing ones are NaN. A variable whose attribute
            `product` is set is another model's, which the note says. Soil temperature is at 5 cm, unless its attribute
            `depth` [m] says otherwise.
        model: The name the numbers are filed under.
        first: First year, month or day to judge; None is the first there is.
        last: The last.

    Returns:
        One row a number, columns `COLUMNS`: all of `skill`, and of runoff `log_nse`, `sd_ratio` (standard deviation,
        modeled over observed) and `runoff_ratio_error` (bias over the precipitation of the same days), of snow
        `melt_out_days` and `melt_out_days_off` (mean difference and mean absolute difference, later is positive) and
        `peak_ratio` (largest snow of the winter, modeled over observed). Soil moisture has a unit of its own, and is
        judged by `correlation`, `rank_correlation` (Spearman) and `anomaly_correlation` (of what departs from the mean
        over the 35 days around, as of Dorigo et al. 2015) with the root zone's water only.

    Raises:
        DataError: They have no day in common.
    """
    chosen = observed.sel(time=slice(first, last))
    days = np.intersect1d(simulation.time.values, chosen.time.values)
    if not len(days):
        raise DataError(
            f"{observed.attrs.get('site')}: nothing was observed on the days of the simulation "
            f"({simulation.time.values[0]:.10} to {simulation.time.values[-1]:.10}) from {first} to {last}."
        )
    ours, theirs = with_routing(simulation).sel(time=days), chosen.sel(time=days)
    rows = []
    for name, judged_by in EVALUATORS.items():
        observable = OBSERVED_AS.get(name, name)
        if name in TURBULENT and simulation.attrs.get("trained_here"):
            continue
        if observable in theirs and (judged := judged_by(ours, theirs)):
            product = theirs[observable].attrs.get("product")
            seen = observable in WATER and simulation.attrs.get("water_trained")
            parts = product and f"model product: {product}", seen and f"{TRAINED_NOTE} {seen}", judged.note
            note = "; ".join(part for part in parts if part)
            numbers = {"n": 0.0} if judged.pairs is None else standard_metrics(judged.pairs)
            count = numbers.pop("n")
            told = {metric: (value, count) for metric, value in numbers.items()} | dict(judged.beyond)
            filed = model, observed.attrs["site"], name, judged.depth
            rows += [(*filed, metric, value, n, note) for metric, (value, n) in told.items()]
    return pd.DataFrame(rows, columns=pd.Index(COLUMNS))


def paired_days(simulated: np.ndarray, observed: xr.DataArray) -> xr.Dataset:
    """Days on which there are both, as what `skill` takes."""
    both = np.isfinite(simulated) & np.isfinite(observed.values)
    columns = {"simulated": ("time", simulated[both]), "observed": ("time", observed.values[both])}
    return xr.Dataset(columns, {"time": observed.time.values[both]})


def with_routing(simulation: xr.Dataset) -> xr.Dataset:
    """The days of a model with `runoff_routed`, if it has what drains and no quick way of its own; see `routed`."""
    has_its_own = "surface_runoff" in simulation and simulation.surface_runoff.any()
    if {"runoff", "drainage"} <= set(simulation.data_vars) and not has_its_own:
        return simulation.assign(runoff_routed=("time", route_runoff(simulation)))
    return simulation


def route_runoff(simulation: xr.Dataset, share: float = QUICK_SHARE, days: float = QUICK_DAYS) -> np.ndarray:
    """Runoff of a model some of whose drainage goes to the river by a quick way in the place of its groundwater.

    Groundwater is a linear reservoir, so that the rest of the drainage gives that share of the model's runoff.

    Args:
        simulation: Days of a model without gaps, with `drainage` and `runoff`.
        share: Of the drainage that takes the quick way.
        days: Residence time there.

    Returns:
        Runoff, in the unit of the model's.
    """
    from scipy.signal import lfilter

    drained = simulation.drainage.values
    keep = np.exp(-1.0 / days)
    stored, _ = lfilter([(1.0 - keep) * days], [1.0, -keep], drained, zi=[keep * days * drained.mean()])
    quick = drained - np.diff(stored, prepend=days * drained.mean())
    return share * quick + (1.0 - share) * simulation.runoff.values


def runoff_evaluator(name: str, note: str = "") -> Evaluator:
    """What judges runoff of a name by the streamflow per area."""

    def judge_runoff(simulation: xr.Dataset, observed: xr.Dataset) -> Evidence | None:
        if name not in simulation:
            return None
        pairs = paired_days(simulation[name].values, observed.runoff)
        count = float(pairs.sizes["time"])
        if count < MIN_PAIRS:
            return Evidence(pairs, {}, note=note)
        rain = float(simulation.precipitation.sel(time=pairs.time).mean())
        difference = float((pairs.simulated - pairs.observed).mean())
        logarithms = standard_metrics(np.log(pairs.clip(min=0.0) + LOG_FLOW_OFFSET * float(pairs.observed.mean())))
        beyond = {
            "log_nse": (logarithms["nse"], count),
            "sd_ratio": (float(pairs.simulated.std() / pairs.observed.std()), count),
            "runoff_ratio_error": (difference / rain if rain > 0.0 else np.nan, count),
        }
        return Evidence(pairs, beyond, note=note)

    return judge_runoff


def evaluate_snow(simulation: xr.Dataset, observed: xr.Dataset) -> Evidence | None:
    """Snow water, and when it is gone."""
    if "snow_water" not in simulation:
        return None
    latitude = observed.attrs.get("latitude", 0.0)
    winters = zip(*(by_winter(place.snow_water, latitude) for place in (simulation, observed)), strict=True)
    snowy = [
        (ours, theirs)
        for ours, theirs in winters
        if len(theirs.dropna()) >= WHOLE_YEAR and min(ours.max(), theirs.max()) >= MIN_SNOW
    ]
    later = np.array([melt_out(ours) - melt_out(theirs) for ours, theirs in snowy])
    peaks = np.array([ours.max() / theirs.max() for ours, theirs in snowy])
    told = {"melt_out_days": later, "melt_out_days_off": np.abs(later), "peak_ratio": peaks}
    count = len(snowy)
    beyond = {name: (float(values.mean()) if count else np.nan, float(count)) for name, values in told.items()}
    return Evidence(paired_days(simulation.snow_water.values, observed.snow_water), beyond)


def by_winter(snow: xr.DataArray, latitude: float) -> list[pd.Series]:
    """The snow of each year that begins before a winter of its hemisphere."""
    series = snow.to_series()
    begins = SNOW_YEAR[latitude < 0.0]
    stamps = pd.DatetimeIndex(series.index)
    return [winter for _, winter in series.groupby(np.asarray(stamps.year + (stamps.month >= begins)))]


def melt_out(winter: pd.Series) -> float:
    """Day of a snow year by which nine tenths of its largest snow are gone; its end if they never are. [d]."""
    values = winter.to_numpy()
    peak = int(np.argmax(values))
    gone = values[peak:] < GONE * values[peak]
    return float(peak + np.argmax(gone)) if gone.any() else float(len(values))


def flux_evaluator(name: str) -> Evaluator:
    """What judges the days of a flux."""

    def judge_flux(simulation: xr.Dataset, observed: xr.Dataset) -> Evidence | None:
        if name not in simulation:
            return None
        return Evidence(paired_days(as_tower_reports(simulation, name), observed[name]), {})

    return judge_flux


def evaluate_soil_temperature(simulation: xr.Dataset, observed: xr.Dataset) -> Evidence | None:
    """Soil temperature between the two layers whose centers are above and below."""
    if "soil_temperature" not in simulation:
        return None
    depth = float(observed.soil_temperature.attrs.get("depth", SOIL_DEPTH))
    note = "" if "depth" in observed.soil_temperature.attrs else "depth assumed: the file does not tell it"
    return Evidence(
        paired_days(soil_temperature_at(simulation, depth).values, observed.soil_temperature), {}, depth, note
    )


def soil_temperature_at(simulation: xr.Dataset, depth: float = SOIL_DEPTH) -> xr.DataArray:
    """Soil temperature at a depth [m], between the centers of layers. [K]."""
    layers, centers = simulation.soil_temperature.values, simulation.layer_depth.values
    return xr.DataArray([np.interp(depth, centers, layer) for layer in layers], {"time": simulation.time})


def evaluate_soil_moisture(simulation: xr.Dataset, observed: xr.Dataset) -> Evidence | None:
    """Water of the root zone and soil moisture, of which only the ups and downs compare."""
    if "root_zone_water" not in simulation:
        return None
    both = pd.DataFrame(
        {"root_zone_water": simulation.root_zone_water.values, "soil_moisture": observed.soil_moisture.values}
    )
    both.index = pd.DatetimeIndex(observed.time.values)
    around = both.rolling(AROUND, center=True, min_periods=AROUND_LEAST).mean()
    anomalies, both = (both - around).dropna(), both.dropna()
    told = {}
    compared = {"correlation": both, "rank_correlation": both.rank(), "anomaly_correlation": anomalies}
    for name, frame in compared.items():
        enough = len(frame) >= MIN_PAIRS
        told[name] = float(frame.corr().to_numpy()[0, 1]) if enough else np.nan, float(len(frame))
    return Evidence(None, told)


OBSERVED_AS = {"runoff_routed": "runoff"}
EVALUATORS: Mapping[str, Evaluator] = {
    "runoff": runoff_evaluator("runoff"),
    "runoff_routed": runoff_evaluator(
        "runoff_routed",
        f"{QUICK_SHARE:.0%} of the drainage through a reservoir of {QUICK_DAYS:g} d, not fitted to any streamflow",
    ),
    "snow_water": evaluate_snow,
    "latent_heat": flux_evaluator("latent_heat"),
    "sensible_heat": flux_evaluator("sensible_heat"),
    "ground_heat": flux_evaluator("ground_heat"),
    "soil_temperature": evaluate_soil_temperature,
    "soil_moisture": evaluate_soil_moisture,
}

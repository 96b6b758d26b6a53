"""Evaluation of variables not used in training: streamflow, snow, soil, and daily fluxes at unseen sites.

The functions take datasets of days and know no model, so the output of any model can be evaluated.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from bowen.data.schema import TURBULENT, WATER
from bowen.errors import DataError
from bowen.evaluation.metrics import METRICS, MIN_PAIRS, compute_metrics, select_metrics
from bowen.evaluation.scores import as_tower_reports

UNSEEN_COLUMNS = ("model", "site", "variable", "depth", "metric", "value", "n", "note")
TRAINED_NOTE = "trained on runoff or snow of this site,"  # begins a note
QUICKFLOW_FRACTION, QUICKFLOW_DAYS = 0.5, 1.0  # of drainage, and d; round numbers, the same at all sites
MIN_PEAK_SNOW = 20.0  # kg m-2; winters with less have no melt-out to compare
MELT_OUT_FRACTION = 0.1  # of the largest snow water of a winter that is left at melt-out
DEFAULT_SOIL_DEPTH = 0.05  # m, of the shallowest probe where the file gives no depth
ANOMALY_WINDOW, MIN_ANOMALY_DAYS = "35D", 18  # of the running mean of soil moisture
MIN_WINTER_DAYS = 360  # of a snow year that counts
SNOW_YEAR_START = 9, 3  # month, in the northern and the southern hemisphere


class VariableComparison(NamedTuple):
    """Pairs of days of a variable, its sets of metrics, and further numbers, each with its count."""

    pairs: xr.Dataset | None
    metrics: tuple[str, ...] = ("standard",)
    further: Mapping[str, tuple[float, float]] = {}
    depth: float = np.nan  # m
    note: str = ""


Evaluator = Callable[[xr.Dataset, xr.Dataset], VariableComparison | None]  # None where the model lacks the variable


def evaluate_unseen_variables(
    simulation: xr.Dataset, observed: xr.Dataset, *, model: str, first: str | None = None, last: str | None = None
) -> pd.DataFrame:
    """Evaluate the days of a simulation against every observed variable that the model has.

    Args:
        simulation: Daily output of a model, as `simulate_days` gives it. Turbulent fluxes are left out if the model
            was trained at this site; training on runoff or snow is said in the note, as the years may differ.
        observed: Daily values at the same site under canonical names; missing ones are NaN. The attribute `product`
            of a variable that is itself a model product is repeated in the note. Soil temperature is at 5 cm unless
            its attribute `depth` [m] is set.
        model: Name of the model in the table.
        first: First year, month or day to evaluate; None is the first of the observations.
        last: Last year, month or day to evaluate; None is the last of the observations.

    Returns:
        One row for each number, columns `UNSEEN_COLUMNS`: the standard metrics; for runoff `log_nse`, `sd_ratio`
        (standard deviation, modeled over observed) and `runoff_ratio_error` (bias over the precipitation of the same
        days); for snow `melt_out_days` and `melt_out_days_off` (mean and mean absolute difference, later is positive)
        and `peak_ratio` (largest snow water of the winter, modeled over observed). Soil moisture has another unit
        than root-zone water, so it has `correlation`, `rank_correlation` (Spearman) and `anomaly_correlation` only.

    Raises:
        DataError: They have no day in common.

    Source:
        Dorigo et al. (2015), Remote Sens. Environ. 162, 380-395, for anomalies from the mean over 35 days.
    """
    chosen = observed.sel(time=slice(first, last))
    days = np.intersect1d(simulation.time.values, chosen.time.values)
    if not len(days):
        raise DataError(
            str(observed.attrs.get("site")),
            f"nothing was observed on the days of the simulation ({simulation.time.values[0]:.10} to "
            f"{simulation.time.values[-1]:.10}) from {first} to {last}",
            fix="choose a period that both have",
        )
    ours, theirs = add_routed_runoff(simulation).sel(time=days), chosen.sel(time=days)
    rows = []
    for name, evaluate in EVALUATORS.items():
        observable = OBSERVED_AS.get(name, name)
        if name in TURBULENT and simulation.attrs.get("trained_here"):
            continue
        if observable in theirs and (compared := evaluate(ours, theirs)):
            product = theirs[observable].attrs.get("product")
            seen = observable in WATER and simulation.attrs.get("water_trained")
            parts = product and f"model product: {product}", seen and f"{TRAINED_NOTE} {seen}", compared.note
            note = "; ".join(part for part in parts if part)
            numbers: dict[str, tuple[float, float]] = {}
            if compared.pairs is not None:
                functions = {key: each for of in compared.metrics for key, each in select_metrics(of).items()}
                values = compute_metrics(compared.pairs, functions)
                count = values.pop("n")
                numbers = {metric: (value, count) for metric, value in values.items()}
            case = model, observed.attrs["site"], name, compared.depth
            rows += [
                (*case, metric, value, n, note) for metric, (value, n) in (numbers | dict(compared.further)).items()
            ]
    return pd.DataFrame(rows, columns=pd.Index(UNSEEN_COLUMNS))


def pair_days(simulated: np.ndarray, observed: xr.DataArray) -> xr.Dataset:
    """Pair simulated with observed values of the days that have both."""
    both = np.isfinite(simulated) & np.isfinite(observed.values)
    columns = {"simulated": ("time", simulated[both]), "observed": ("time", observed.values[both])}
    return xr.Dataset(columns, {"time": observed.time.values[both]})


def add_routed_runoff(simulation: xr.Dataset) -> xr.Dataset:
    """Add `runoff_routed` by `route_runoff` to the days of a model with drainage and without surface runoff."""
    has_quickflow = "surface_runoff" in simulation and simulation.surface_runoff.any()
    if {"runoff", "drainage"} <= set(simulation.data_vars) and not has_quickflow:
        return simulation.assign(runoff_routed=("time", route_runoff(simulation)))
    return simulation


def route_runoff(
    simulation: xr.Dataset, fraction: float = QUICKFLOW_FRACTION, days: float = QUICKFLOW_DAYS
) -> np.ndarray:
    """Route a fraction of a model's drainage through a fast linear reservoir instead of its groundwater.

    Groundwater is a linear reservoir too, so the rest of the drainage gives the rest of the model's runoff.

    Args:
        simulation: Daily output of a model without gaps, with `drainage` and `runoff`.
        fraction: Fraction of the drainage that flows through the fast reservoir. [1]
        days: Residence time in the fast reservoir. [d]

    Returns:
        Runoff, in the unit of the model's runoff.
    """
    from scipy.signal import lfilter

    drained = simulation.drainage.values
    keep = np.exp(-1.0 / days)
    stored, _ = lfilter([(1.0 - keep) * days], [1.0, -keep], drained, zi=[keep * days * drained.mean()])
    quick = drained - np.diff(stored, prepend=days * drained.mean())
    return fraction * quick + (1.0 - fraction) * simulation.runoff.values


def make_runoff_evaluator(name: str, note: str = "") -> Evaluator:
    """Return the evaluator of a variable of runoff against streamflow per area."""

    def evaluate_runoff(simulation: xr.Dataset, observed: xr.Dataset) -> VariableComparison | None:
        if name not in simulation:
            return None
        pairs = pair_days(simulation[name].values, observed.runoff)
        count = float(pairs.sizes["time"])
        if count < MIN_PAIRS:
            return VariableComparison(pairs, note=note)
        precipitation = float(simulation.precipitation.sel(time=pairs.time).mean())
        bias = float((pairs.simulated - pairs.observed).mean())
        ratio_error = bias / precipitation if precipitation > 0.0 else np.nan
        further = {"runoff_ratio_error": (ratio_error, count)}
        return VariableComparison(pairs, ("standard", "runoff"), further, note=note)

    return evaluate_runoff


def evaluate_snow(simulation: xr.Dataset, observed: xr.Dataset) -> VariableComparison | None:
    """Evaluate snow water, its largest value of each winter, and the day it has melted."""
    if "snow_water" not in simulation:
        return None
    latitude = observed.attrs.get("latitude", 0.0)
    winters = zip(*(split_winters(days.snow_water, latitude) for days in (simulation, observed)), strict=True)
    snowy = [
        (ours, theirs)
        for ours, theirs in winters
        if len(theirs.dropna()) >= MIN_WINTER_DAYS and min(ours.max(), theirs.max()) >= MIN_PEAK_SNOW
    ]
    delays = np.array([find_melt_out(ours) - find_melt_out(theirs) for ours, theirs in snowy])
    peaks = np.array([ours.max() / theirs.max() for ours, theirs in snowy])
    by_metric = {"melt_out_days": delays, "melt_out_days_off": np.abs(delays), "peak_ratio": peaks}
    count = len(snowy)
    further = {name: (float(values.mean()) if count else np.nan, float(count)) for name, values in by_metric.items()}
    pairs = pair_days(simulation.snow_water.values, observed.snow_water)
    return VariableComparison(pairs, ("standard", "snow"), further)


def split_winters(snow: xr.DataArray, latitude: float) -> list[pd.Series]:
    """Split snow water into years that begin before the winter of the hemisphere."""
    series = snow.to_series()
    start = SNOW_YEAR_START[latitude < 0.0]
    stamps = pd.DatetimeIndex(series.index)
    return [winter for _, winter in series.groupby(np.asarray(stamps.year + (stamps.month >= start)))]


def find_melt_out(winter: pd.Series) -> float:
    """Return the day of a snow year when a tenth of its largest snow water is left, or its last day. [d]."""
    values = winter.to_numpy()
    peak = int(np.argmax(values))
    melted = values[peak:] < MELT_OUT_FRACTION * values[peak]
    return float(peak + np.argmax(melted)) if melted.any() else float(len(values))


def make_flux_evaluator(name: str) -> Evaluator:
    """Return the evaluator of the days of a heat flux."""

    def evaluate_flux(simulation: xr.Dataset, observed: xr.Dataset) -> VariableComparison | None:
        if name not in simulation:
            return None
        return VariableComparison(pair_days(as_tower_reports(simulation, name), observed[name]))

    return evaluate_flux


def evaluate_soil_temperature(simulation: xr.Dataset, observed: xr.Dataset) -> VariableComparison | None:
    """Evaluate soil temperature at the depth of the observations."""
    if "soil_temperature" not in simulation:
        return None
    depth = float(observed.soil_temperature.attrs.get("depth", DEFAULT_SOIL_DEPTH))
    note = "" if "depth" in observed.soil_temperature.attrs else "depth assumed: the file does not give it"
    pairs = pair_days(interpolate_soil_temperature(simulation, depth).values, observed.soil_temperature)
    return VariableComparison(pairs, depth=depth, note=note)


def interpolate_soil_temperature(simulation: xr.Dataset, depth: float = DEFAULT_SOIL_DEPTH) -> xr.DataArray:
    """Interpolate soil temperature between the centers of layers to a depth [m]. [K]."""
    layers, centers = simulation.soil_temperature.values, simulation.layer_depth.values
    return xr.DataArray([np.interp(depth, centers, layer) for layer in layers], {"time": simulation.time})


def evaluate_soil_moisture(simulation: xr.Dataset, observed: xr.Dataset) -> VariableComparison | None:
    """Evaluate root-zone water by its correlation with soil moisture, which has another unit and depth."""
    if "root_zone_water" not in simulation:
        return None
    pairs = pair_days(simulation.root_zone_water.values, observed.soil_moisture)
    both = pd.DataFrame(
        {"simulated": simulation.root_zone_water.values, "observed": observed.soil_moisture.values},
        pd.DatetimeIndex(observed.time.values),
    )
    anomalies = (both - both.rolling(ANOMALY_WINDOW, center=True, min_periods=MIN_ANOMALY_DAYS).mean()).dropna()
    sample = xr.Dataset({name: ("time", anomalies[name].to_numpy()) for name in both})
    value = compute_metrics(sample, {"correlation": METRICS["correlation"]})["correlation"]
    return VariableComparison(pairs, ("soil_moisture",), {"anomaly_correlation": (value, float(len(anomalies)))})


OBSERVED_AS = {"runoff_routed": "runoff"}
EVALUATORS: Mapping[str, Evaluator] = {
    "runoff": make_runoff_evaluator("runoff"),
    "runoff_routed": make_runoff_evaluator(
        "runoff_routed",
        f"{QUICKFLOW_FRACTION:.0%} of the drainage through a reservoir of {QUICKFLOW_DAYS:g} d, not fitted to any "
        "streamflow",
    ),
    "snow_water": evaluate_snow,
    "latent_heat": make_flux_evaluator("latent_heat"),
    "sensible_heat": make_flux_evaluator("sensible_heat"),
    "ground_heat": make_flux_evaluator("ground_heat"),
    "soil_temperature": evaluate_soil_temperature,
    "soil_moisture": evaluate_soil_moisture,
}

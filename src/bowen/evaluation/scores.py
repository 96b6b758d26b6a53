"""How well a simulation meets the tower, on measured steps only, and whether its budgets close.

It works on datasets and knows nothing of the models, so anybody's output can be scored.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bowen.data.forcing.disaggregation import has_daily_fluxes
from bowen.data.quality_flags import is_measured
from bowen.data.schema import OBSERVED
from bowen.data.schema import TURBULENT as TARGETS
from bowen.data.splits import SPLITS
from bowen.errors import DataError, RunError
from bowen.evaluation.metrics import standard_metrics
from bowen.evaluation.subsets import ALL
from bowen.files import replace_atomically

COLUMNS = ("tower", "model", "split", "regime", "variable", "resolution", "metric", "value")
STORES = ("snow_water", "root_zone_water", "groundwater", "quickflow_water", "canopy_water")
WATER_FLUXES = ("rainfall", "snowfall", "external_supply", "evapotranspiration", "runoff")
RESIDUALS = ("energy_residual", "water_residual")
MEASURED_SHARE = {"daily": 0.5, "monthly": 0.25}  # of a period that has a mean; nights and rain are often not measured


def score(
    simulation: xr.Dataset,
    observed: xr.Dataset,
    split: np.ndarray | xr.DataArray,
    *,
    model: str,
    targets: Iterable[str] = TARGETS,
    warmup_days: float = 0,
    regimes: Mapping[str, np.ndarray] | None = None,
    resolutions: Sequence[str] = ("native", "daily"),
    metrics: Callable[[xr.Dataset], Mapping[str, float]] = standard_metrics,
) -> pd.DataFrame:
    """Score one simulation against the measured steps (qc 0) of a record, split by split.

    Where a model has learned which fraction of its turbulent fluxes the tower observes, that fraction is scored.

    Daily scores compare means over the measured steps of a day, the same steps in both, for days with at least
    half of their steps measured; monthly scores those of months with at least a quarter. In a regime, days and months
    consist of its steps. Where the fluxes were given by day (`flux_interval_s`), whole days take the place of steps.

    Args:
        simulation: What the model gave; holds every target on the time axis of `observed`.
        observed: The canonical record, with a `_qc` flag beside each target.
        split: The label of each step: "train", "validation", "test", or "" where it is not to be scored.
        model: The name the scores are filed under.
        targets: The variables to score.
        warmup_days: How much of the record's beginning is left out. [d]
        regimes: The steps of each regime to score by itself, such as those of `regimes_of`; None scores all together.
        resolutions: Any of "native", "daily" and "monthly".
        metrics: What makes numbers of pairs: `skill`, or `seven`.

    Returns:
        One row a number, columns `COLUMNS`. `rmse` and `bias` are in the unit of the target, `bias_percent` in
        percent of the observed mean, `n` counts pairs; with fewer than ten pairs the metrics are NaN.

    Raises:
        DataError: The two do not share a time axis, a target is missing, or a simulated value to be scored is
            not finite.
    """
    labels = np.asarray(split)
    check_axes(simulation, observed, labels, model)
    step = step_seconds(observed)
    interval = 86400.0 if has_daily_fluxes(observed) else step
    after_warmup = observed.time.values >= observed.time.values[0] + np.timedelta64(round(warmup_days * 86400), "s")
    rows = []
    for target in targets:
        _check_target(observed, target)
        scorable = is_measured(observed, target) & after_warmup
        for label in (label for label in SPLITS if (labels == label).any()):
            for regime, inside in (regimes or {ALL: np.full(labels.shape, True)}).items():
                native = pairs(simulation, observed, target, scorable & (labels == label) & inside, model=model)
                elsewhere = observed.time.values[~inside]
                if interval > step:
                    native, elsewhere = average_pairs(native, "daily", step, share=1.0), ()
                for resolution in resolutions:
                    filed = (observed.attrs.get("site", ""), model, label, regime, target, resolution)
                    sample = average_pairs(native, resolution, interval, elsewhere)
                    rows += [(*filed, metric, value) for metric, value in metrics(sample).items()]
    return pd.DataFrame(rows, columns=pd.Index(COLUMNS))


def pairs(simulation: xr.Dataset, observed: xr.Dataset, target: str, keep: np.ndarray, *, model: str) -> xr.Dataset:
    """Set `simulated` beside `observed` values of a target at the steps to keep.

    Raises:
        DataError: The simulation lacks the target, or is not finite at a step to keep.
    """
    if target not in simulation:
        raise DataError(
            f"{model}: the simulation has no {target}; it holds {', '.join(map(str, simulation.data_vars))}."
            "\n  fix: name only targets that the model gives."
        )
    both = {"simulated": as_tower_reports(simulation, target)[keep], "observed": observed[target].values[keep]}
    times = observed.time.values[keep]
    if (lost := ~np.isfinite(both["simulated"])).any():
        raise DataError(
            f"{model}: {target} is not finite at {lost.sum()} of {lost.size} steps to be compared, first at "
            f"{times[lost][0]:.16}.\n  fix: look at the forcing and the parameters there."
        )
    return xr.Dataset({name: ("time", values) for name, values in both.items()}, {"time": times})


def as_tower_reports(simulation: xr.Dataset, target: str) -> np.ndarray:
    """What the tower would have reported of a simulated flux: all of it, or what a model tells."""
    return simulation[target + OBSERVED if target + OBSERVED in simulation else target].values


def average_pairs(
    native: xr.Dataset,
    resolution: str,
    step: float,
    elsewhere: Sequence | np.ndarray = (),
    share: float | None = None,
) -> xr.Dataset:
    """Average pairs over the days or months of which enough was measured.

    Args:
        native: Pairs at measured steps.
        resolution: "daily" or "monthly"; "native" leaves them as they are.
        step: Length of a step. [s]
        elsewhere: Stamps of the steps of other regimes, which nobody expects in the means.
        share: Of a period that has a mean; None is half of a day, a quarter of a month.

    Raises:
        DataError: There is no such resolution.
    """
    if resolution == "native":
        return native
    if resolution not in MEASURED_SHARE:
        raise DataError(f"No resolution `{resolution}`.\n  fix: use native, {', '.join(MEASURED_SHARE)}.")
    letter = {"daily": "D", "monthly": "M"}[resolution]
    unit, one = f"datetime64[{letter}]", np.timedelta64(1, letter)
    periods, place, counts = np.unique(native.time.values.astype(unit), return_inverse=True, return_counts=True)
    others = np.sort(np.asarray(elsewhere, "datetime64[ns]").astype(unit))
    outside = np.searchsorted(others, periods, side="right") - np.searchsorted(others, periods)
    expected = (periods + one - periods.astype("datetime64[s]")) / np.timedelta64(1, "s") / step - outside
    enough = counts >= (share or MEASURED_SHARE[resolution]) * expected
    means = {name: (np.bincount(place, native[name].values) / counts)[enough] for name in ("simulated", "observed")}
    return xr.Dataset(
        {name: ("time", values) for name, values in means.items()}, {"time": periods[enough].astype("datetime64[ns]")}
    )


def score_table(
    frame: pd.DataFrame, *, split: str = "test", regime: str = ALL, resolution: str = "native"
) -> pd.DataFrame:
    """Lay one split at one resolution out for reading.

    Args:
        frame: Scores in the long format.
        split: The split to show.
        regime: The regime to show.
        resolution: "native", "daily" or "monthly".

    Returns:
        A row per tower and model, a column per variable and metric, in the order of `frame`.

    Raises:
        DataError: There are no such scores.
    """
    where = frame["split"] + "/" + frame["regime"] + "/" + frame["resolution"]
    chosen = frame[where == f"{split}/{regime}/{resolution}"]
    if chosen.empty:
        known = sorted(set(where))
        raise DataError(
            f"No scores for {split}/{regime}/{resolution}.\n  fix: choose among {', '.join(known) or 'none'}."
        )
    wide = chosen.pivot(index=["tower", "model"], columns=["variable", "metric"], values="value")
    rows = pd.MultiIndex.from_arrays([chosen["tower"], chosen["model"]]).unique()
    columns = pd.MultiIndex.from_arrays([chosen["variable"], chosen["metric"]]).unique()
    return wide.reindex(index=rows, columns=columns)


def audit_budgets(simulation: xr.Dataset) -> dict[str, Any]:
    """Check that a simulation neither makes nor loses energy or water.

    The residuals are those the model reports step by step; `water_closure` is summed again here, from the fluxes and
    the stores of the whole record. Stores belong to the end of their step, so the sums start at the second step.

    Args:
        simulation: What a physical model gave.

    Returns:
        `energy_residual_max` [W m-2] and `water_residual_max` [kg m-2 s-1], largest absolute values, each with
        `_time` and with the `_mean`; then sums over the record: `precipitation`, `external_supply`,
        `evapotranspiration`, `runoff`, `storage_change`, and `water_closure`, what is left of the first two after
        the other three. [kg m-2]

    Raises:
        DataError: The simulation is not of a model with budgets.
    """
    if missing := [name for name in (*RESIDUALS, *WATER_FLUXES, *STORES) if name not in simulation]:
        raise DataError(
            f"{simulation.attrs.get('model', 'The simulation')} has no {', '.join(missing)}: there is no budget to "
            "audit.\n  fix: audit the simulation of a physical model."
        )
    found: dict[str, Any] = {}
    for name in RESIDUALS:
        worst = int(np.argmax(np.abs(simulation[name].values)))  # the first NaN where there is one: it must not hide
        found[f"{name}_max"] = float(np.abs(simulation[name].values[worst]))
        found[f"{name}_max_time"] = f"{simulation.time.values[worst]:.19}"
        found[f"{name}_mean"] = float(np.mean(simulation[name].values))
    step = step_seconds(simulation)
    total = {name: step * float(simulation[name].values[1:].sum()) for name in WATER_FLUXES}
    total["precipitation"] = total.pop("rainfall") + total.pop("snowfall")
    total["storage_change"] = sum(float(simulation[store].values[-1] - simulation[store].values[0]) for store in STORES)
    closure = total["precipitation"] + total["external_supply"]
    closure -= total["evapotranspiration"] + total["runoff"] + total["storage_change"]
    return found | total | {"water_closure": closure}


def step_seconds(dataset: xr.Dataset) -> float:
    """Return the length in seconds of a step of a regular time axis."""
    return float((dataset.time.values[1] - dataset.time.values[0]) / np.timedelta64(1, "s"))


def write_scores(frame: pd.DataFrame, path: Path | str) -> Path:
    """Write scores as CSV, whole or not at all, and return the path.

    Raises:
        DataError: The table has other columns than `COLUMNS`.
        RunError: The file cannot be written.
    """
    check_columns(frame, "these scores")
    with replace_atomically(path) as unfinished:
        frame.to_csv(unfinished, index=False)
    return Path(path)


def read_scores(path: Path | str) -> pd.DataFrame:
    """Read scores written by `write_scores`, or by anybody in the same columns; without a regime they are of all steps.

    Raises:
        RunError: There is no such file.
        DataError: It is no table, its columns are not `COLUMNS`, or a value is not a number.
    """
    kinds: dict[Hashable, str] = {name: "float64" if name == "value" else "str" for name in COLUMNS}
    try:
        frame = pd.read_csv(path, dtype=kinds, keep_default_na=False, na_values={"value": [""]})
    except FileNotFoundError as error:
        raise RunError(f"{path}: no such file.\n  fix: write it with `bowen evaluate`.") from error
    except ValueError as error:
        raise DataError(f"{path}: not a table of scores ({error}).\n  fix: run `bowen evaluate` again.") from error
    if set(COLUMNS) - set(frame.columns) == {"regime"}:
        frame.insert(COLUMNS.index("regime"), "regime", ALL)
    check_columns(frame, str(path))
    return frame


def check_axes(simulation: xr.Dataset, observed: xr.Dataset, labels: np.ndarray, model: str) -> None:
    """Refuse a simulation and a split that do not fit the record.

    Raises:
        DataError: The time axes differ, or the split has another length or unknown labels.
    """
    if not np.array_equal(simulation.time.values, observed.time.values):
        spans = [f"{data.sizes['time']} steps from {data.time.values[0]:.16}" for data in (simulation, observed)]
        raise DataError(
            f"{model}: the simulation ({spans[0]}) and the record ({spans[1]}) have different time axes."
            "\n  fix: cut both to the same steps, e.g. observed.sel(time=simulation.time)."
        )
    if labels.shape != observed.time.shape:
        raise DataError(
            f"{model}: the split has shape {labels.shape} for {observed.sizes['time']} steps."
            "\n  fix: give one label to each step of the record."
        )
    if unknown := sorted(set(labels.tolist()) - {*SPLITS, ""}):
        raise DataError(f"{model}: unknown split label {unknown[0]!r}.\n  fix: use {', '.join(SPLITS)} or ''.")


def _check_target(observed: xr.Dataset, target: str) -> None:
    if missing := [name for name in (target, f"{target}_qc") if name not in observed]:
        raise DataError(
            f"{observed.attrs.get('site', 'The record')} has no {', '.join(missing)}, so {target} cannot be "
            "scored.\n  fix: name only targets that the record holds with their flags."
        )


def check_columns(frame: pd.DataFrame, where: str) -> None:
    """Refuse a table that is not in the long format of the scores.

    Raises:
        DataError: It has other columns than `COLUMNS`.
    """
    if tuple(frame.columns) != COLUMNS:
        raise DataError(
            f"{where}: columns are {','.join(map(str, frame.columns))} and should be {','.join(COLUMNS)}."
            "\n  fix: run `bowen evaluate` again, or rename them."
        )

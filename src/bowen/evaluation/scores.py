"""Scores of a simulation against a record, on measured steps only, and an audit of its energy and water budgets.

The functions take datasets and know no model, so the output of any model can be scored.
"""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bowen.data.checks.required import check_canonical
from bowen.data.forcing.disaggregation import has_daily_fluxes
from bowen.data.quality_flags import is_measured
from bowen.data.schema import ENERGY_BUDGET, OBSERVED, WATER_BUDGET
from bowen.data.schema import TURBULENT as TARGETS
from bowen.data.splits import SPLITS
from bowen.errors import DataError, RunError
from bowen.evaluation.metrics import MetricFunction, compute_metrics
from bowen.evaluation.subsets import ALL
from bowen.files import UNREADABLE, open_file, replace_atomically

SCORE_COLUMNS = ("tower", "model", "split", "subset", "variable", "resolution", "metric", "value")
RESIDUALS = ("energy_residual", "water_residual")
# Round-off of a half-hour by precision; in single precision that of stores of 1,000 kg m-2 is the largest part.
MAX_ENERGY_RESIDUAL = {"float64": 1e-9, "float32": 0.05}  # W m-2
MAX_WATER_RESIDUAL = {"float64": 1e-11, "float32": 1e-3}  # kg m-2
# Share of a period that has to be measured for a mean; nights and rain are often not measured.
MIN_MEASURED_SHARE = {"daily": 0.5, "monthly": 0.25}


def score(
    simulation: xr.Dataset,
    record: xr.Dataset,
    split: np.ndarray | xr.DataArray,
    *,
    model: str | None = None,
    targets: Iterable[str] = TARGETS,
    warmup_days: float = 0,
    subsets: Mapping[str, np.ndarray] | None = None,
    resolutions: Sequence[str] = ("native", "daily"),
    metrics: str | Mapping[str, MetricFunction] = "standard",
) -> pd.DataFrame:
    """Score a simulation against the measured steps (quality flag 0) of a record, split by split.

    Where a model has learned the fraction of its turbulent fluxes that the tower observes, that fraction is scored.

    Daily scores compare means over the measured steps of a day, the same steps in both, for days with at least
    half of their steps measured; monthly scores those of months with at least a quarter. In a subset, days and months
    consist of its steps. Where the fluxes were given by day (`flux_interval_s`), whole days replace the steps.

    Args:
        simulation: Output of the model; holds every target on the time axis of the record.
        record: The canonical record, with a `_qc` flag for each target.
        split: The label of each step: "train", "validation", "test", or "" where it is not to be scored.
        model: Name of the model in the scores; None takes the attribute `model` of the simulation.
        targets: The variables to score.
        warmup_days: Length of the beginning of the record to leave out. [d]
        subsets: The steps of each subset to score separately, such as those of `subsets_of`; None scores all steps
            together.
        resolutions: Any of "native", "daily" and "monthly".
        metrics: A set of metrics, "standard" or "plumber2", or functions of (simulated, observed) by name.

    Returns:
        One row for each number, columns `SCORE_COLUMNS`. `rmse` and `bias` are in the unit of the target,
        `bias_percent` in percent of the observed mean, `n` counts pairs; with fewer than ten pairs the metrics are NaN.

    Raises:
        DataError: The record is not canonical, the two do not share a time axis, a target is missing, or a simulated
            value to be scored is not finite.
        ConfigError: There is no such set of metrics.
    """
    check_canonical(record)
    model = model or str(simulation.attrs.get("model", "simulation"))
    labels = np.asarray(split)
    check_axes(simulation, record, labels, model)
    step = step_seconds(record)
    interval = 86400.0 if has_daily_fluxes(record) else step
    after_warmup = record.time.values >= record.time.values[0] + np.timedelta64(round(warmup_days * 86400), "s")
    rows = []
    for target in targets:
        _check_target(record, target)
        scorable = is_measured(record, target) & after_warmup
        for label in (label for label in SPLITS if (labels == label).any()):
            for subset, inside in (subsets or {ALL: np.full(labels.shape, True)}).items():
                native = select_pairs(simulation, record, target, scorable & (labels == label) & inside, model=model)
                outside = record.time.values[~inside]
                if interval > step:
                    native, outside = average_pairs(native, "daily", step, share=1.0), ()
                for resolution in resolutions:
                    case = (record.attrs.get("site", ""), model, label, subset, target, resolution)
                    sample = average_pairs(native, resolution, interval, outside)
                    rows += [(*case, metric, value) for metric, value in compute_metrics(sample, metrics).items()]
    return pd.DataFrame(rows, columns=pd.Index(SCORE_COLUMNS))


def select_pairs(
    simulation: xr.Dataset, observed: xr.Dataset, target: str, keep: np.ndarray, *, model: str
) -> xr.Dataset:
    """Pair `simulated` with `observed` values of a target at the steps to keep.

    Raises:
        DataError: The simulation lacks the target, or is not finite at a step to keep.
    """
    if target not in simulation:
        raise DataError(
            model,
            f"the simulation has no {target}; it holds {', '.join(map(str, simulation.data_vars))}",
            fix="name only targets that the model simulates",
        )
    both = {"simulated": as_tower_reports(simulation, target)[keep], "observed": observed[target].values[keep]}
    times = observed.time.values[keep]
    if (bad := ~np.isfinite(both["simulated"])).any():
        raise DataError(
            model,
            f"{target} is not finite at {bad.sum()} of {bad.size} steps to be compared, first at {times[bad][0]:.16}",
            fix="check the forcing and the parameters at that step",
        )
    return xr.Dataset({name: ("time", values) for name, values in both.items()}, {"time": times})


def as_tower_reports(simulation: xr.Dataset, target: str) -> np.ndarray:
    """Return a simulated flux as the tower would report it: times the closure fraction, if the model has one."""
    return simulation[target + OBSERVED if target + OBSERVED in simulation else target].values


def average_pairs(
    native: xr.Dataset,
    resolution: str,
    step: float,
    outside: Sequence | np.ndarray = (),
    share: float | None = None,
) -> xr.Dataset:
    """Average pairs over the days or months with enough measured steps.

    Args:
        native: Pairs at measured steps.
        resolution: "daily" or "monthly"; "native" returns the pairs unchanged.
        step: Length of a step. [s]
        outside: Stamps of the steps outside the subset, which do not count as missing.
        share: Share of a period that has to be measured; None is half of a day, a quarter of a month. [1]

    Raises:
        DataError: There is no such resolution.
    """
    if resolution == "native":
        return native
    if resolution not in MIN_MEASURED_SHARE:
        raise DataError(
            f"resolution {resolution!r}", "unknown resolution", fix=f"use native, {', '.join(MIN_MEASURED_SHARE)}"
        )
    letter = {"daily": "D", "monthly": "M"}[resolution]
    unit, one = f"datetime64[{letter}]", np.timedelta64(1, letter)
    periods, place, counts = np.unique(native.time.values.astype(unit), return_inverse=True, return_counts=True)
    others = np.sort(np.asarray(outside, "datetime64[ns]").astype(unit))
    num_outside = np.searchsorted(others, periods, side="right") - np.searchsorted(others, periods)
    expected = (periods + one - periods.astype("datetime64[s]")) / np.timedelta64(1, "s") / step - num_outside
    enough = counts >= (share or MIN_MEASURED_SHARE[resolution]) * expected
    means = {name: (np.bincount(place, native[name].values) / counts)[enough] for name in ("simulated", "observed")}
    return xr.Dataset(
        {name: ("time", values) for name, values in means.items()}, {"time": periods[enough].astype("datetime64[ns]")}
    )


def score_table(
    frame: pd.DataFrame, *, split: str = "test", subset: str = ALL, resolution: str = "native"
) -> pd.DataFrame:
    """Tabulate the scores of one split at one resolution.

    Args:
        frame: Scores in the long format.
        split: The split to show.
        subset: The subset to show.
        resolution: "native", "daily" or "monthly".

    Returns:
        A row for each tower and model, a column for each variable and metric, in the order of `frame`.

    Raises:
        DataError: There are no such scores.
    """
    where = frame["split"] + "/" + frame["subset"] + "/" + frame["resolution"]
    chosen = frame[where == f"{split}/{subset}/{resolution}"]
    if chosen.empty:
        raise DataError(
            f"{split}/{subset}/{resolution}",
            "there are no such scores",
            fix=f"choose among {', '.join(sorted(set(where))) or 'none'}",
        )
    wide = chosen.pivot(index=["tower", "model"], columns=["variable", "metric"], values="value")
    rows = pd.MultiIndex.from_arrays([chosen["tower"], chosen["model"]]).unique()
    columns = pd.MultiIndex.from_arrays([chosen["variable"], chosen["metric"]]).unique()
    return wide.reindex(index=rows, columns=columns)


def variables_in_budget(simulation: xr.Dataset, budget: str, part: str) -> list[str]:
    """Return the variables whose attribute says that they have a part in a budget.

    Args:
        simulation: What a model gave, as `to_dataset` describes it.
        budget: `WATER_BUDGET` or `ENERGY_BUDGET`.
        part: "store", "source" or "sink".
    """
    return [str(name) for name, variable in simulation.data_vars.items() if variable.attrs.get(budget) == part]


def has_budgets(simulation: xr.Dataset) -> bool:
    """Return whether a simulation has residuals, and stores, sources and sinks that name themselves so."""
    parts = ((WATER_BUDGET, "store"), (WATER_BUDGET, "source"), (WATER_BUDGET, "sink"), (ENERGY_BUDGET, "source"))
    return set(RESIDUALS) <= set(simulation.data_vars) and all(variables_in_budget(simulation, *part) for part in parts)


def audit_budgets(simulation: xr.Dataset) -> dict[str, Any]:
    """Audit the conservation of energy and water in a simulation.

    The residuals are those that the model reports for each step. Two more are computed here from the variables of the
    simulation that name their part in the budgets: `energy_closure_max` from the energy fluxes of each step, and
    `water_closure` from the fluxes and the stores of the whole record. Stores are at the end of their step, so the
    sums start at the second step.

    Args:
        simulation: Output of a physical model.

    Returns:
        `energy_residual_max` [W m-2] and `water_residual_max` [kg m-2 s-1], largest absolute values, each with
        `_time` and with the `_mean`; `energy_closure_max` [W m-2], largest absolute value of net radiation less
        latent, sensible, ground and fusion heat, with `_time`; then sums over the record: each source and sink of
        water by its name, but `precipitation` for rainfall and snowfall, `external_water`, the sum of the other
        sources, `storage_change`, and `water_closure`, the sources less the sinks and the change of storage. [kg m-2]

    Raises:
        DataError: The simulation is not of a model with budgets.
    """
    model = simulation.attrs.get("model", "The simulation")
    if missing := [name for name in RESIDUALS if name not in simulation]:
        raise DataError(
            model,
            f"there is no budget to audit without {', '.join(missing)}",
            fix="audit the simulation of a physical model",
        )
    if not has_budgets(simulation):
        raise DataError(
            model,
            "no variables name themselves as stores, sources and sinks of the budgets",
            fix="simulate again with this version of bowen",
        )

    def total(budget: str, part: str) -> np.ndarray:
        return np.sum([simulation[name].values for name in variables_in_budget(simulation, budget, part)], axis=0)

    found: dict[str, Any] = {}
    series = {name: simulation[name].values for name in RESIDUALS}
    closure = total(ENERGY_BUDGET, "source") - total(ENERGY_BUDGET, "sink")
    for name, values in (series | {"energy_closure": closure}).items():
        worst = int(np.argmax(np.abs(values)))  # the first NaN where there is one: it must not hide
        found[f"{name}_max"] = float(np.abs(values[worst]))
        found[f"{name}_max_time"] = f"{simulation.time.values[worst]:.19}"
    found |= {f"{name}_mean": float(np.mean(values)) for name, values in series.items()}
    step = step_seconds(simulation)
    parts = {part: variables_in_budget(simulation, WATER_BUDGET, part) for part in ("source", "sink")}
    sums = {name: step * float(simulation[name].values[1:].sum()) for names in parts.values() for name in names}
    supplied, used = (sum(sums[name] for name in names) for names in parts.values())
    sums["precipitation"] = sums.pop("rainfall", 0.0) + sums.pop("snowfall", 0.0)
    sums["external_water"] = supplied - sums["precipitation"]
    stored = total(WATER_BUDGET, "store")
    sums["storage_change"] = float(stored[-1] - stored[0])
    return found | sums | {"water_closure": supplied - used - sums["storage_change"]}


def step_seconds(dataset: xr.Dataset) -> float:
    """Return the length in seconds of a step of a regular time axis."""
    return float((dataset.time.values[1] - dataset.time.values[0]) / np.timedelta64(1, "s"))


def write_scores(frame: pd.DataFrame, path: Path | str) -> Path:
    """Write scores to a CSV file atomically and return its path.

    Raises:
        DataError: The table has other columns than `SCORE_COLUMNS`.
        RunError: The file cannot be written.
    """
    check_columns(frame, "these scores")
    with replace_atomically(path) as unfinished:
        frame.to_csv(unfinished, index=False)
    return Path(path)


def read_scores(path: Path | str) -> pd.DataFrame:
    """Read scores from a CSV file in the columns of `write_scores`.

    The column `subset` may be called `regime`, as in files of earlier versions, or be absent if the scores are of all
    steps.

    Raises:
        RunError: There is no such file.
        DataError: It is no table, its columns are not `SCORE_COLUMNS`, or a value is not a number.
    """
    kinds: dict[Hashable, str] = {name: "float64" if name == "value" else "str" for name in (*SCORE_COLUMNS, "regime")}
    try:
        with open_file(path) as file:
            frame = pd.read_csv(file, dtype=kinds, keep_default_na=False, na_values={"value": [""]})
    except FileNotFoundError as error:
        raise RunError(str(path), "no such file", fix="write it with `bowen evaluate`") from error
    except UNREADABLE as error:
        raise DataError(str(path), f"not a table of scores ({error})", fix="run `bowen evaluate` again") from error
    frame = frame.rename(columns={"regime": "subset"})
    if set(SCORE_COLUMNS) - set(frame.columns) == {"subset"}:
        frame.insert(SCORE_COLUMNS.index("subset"), "subset", ALL)
    check_columns(frame, str(path))
    return frame


def check_axes(simulation: xr.Dataset, observed: xr.Dataset, labels: np.ndarray, model: str) -> None:
    """Check that a simulation and a split fit the record.

    Raises:
        DataError: The time axes differ, or the split has another length or unknown labels.
    """
    if not np.array_equal(simulation.time.values, observed.time.values):
        spans = [f"{data.sizes['time']} steps from {data.time.values[0]:.16}" for data in (simulation, observed)]
        raise DataError(
            model,
            f"the simulation ({spans[0]}) and the record ({spans[1]}) have different time axes",
            fix="cut both to the same steps, e.g. observed.sel(time=simulation.time)",
        )
    if labels.shape != observed.time.shape:
        raise DataError(
            model,
            f"the split has shape {labels.shape} for {observed.sizes['time']} steps",
            fix="give one label for each step of the record",
        )
    if unknown := sorted(set(labels.tolist()) - {*SPLITS, ""}):
        raise DataError(model, f"unknown split label {unknown[0]!r}", fix=f"use {', '.join(SPLITS)} or ''")


def _check_target(observed: xr.Dataset, target: str) -> None:
    if missing := [name for name in (target, f"{target}_qc") if name not in observed]:
        raise DataError(
            str(observed.attrs.get("site", "record")),
            f"the record has no {', '.join(missing)}, so {target} cannot be scored",
            fix="name only targets that the record holds with their quality flags",
        )


def check_columns(frame: pd.DataFrame, where: str) -> None:
    """Check that a table has the columns of scores.

    Raises:
        DataError: It has other columns than `SCORE_COLUMNS`.
    """
    if tuple(frame.columns) != SCORE_COLUMNS:
        raise DataError(
            where,
            f"the columns are {','.join(map(str, frame.columns))} and should be {','.join(SCORE_COLUMNS)}",
            fix="run `bowen evaluate` again, or rename the columns",
        )
